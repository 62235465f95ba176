"""Connections to a MySQL server, and transactions on them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

import asyncmy
from tortoise.backends.mysql.client import MySQLClient as TortoiseMySQLClient
from tortoise.backends.mysql.client import TransactionWrapper

from colibris import tracing
from colibris.persist.connections import Client, Transaction
from colibris.persist.mysql.errors import translate

if TYPE_CHECKING:
    from colibris.persist.mysql.backend import MySQLBackend

T = TypeVar('T')

CLOSE_TIMEOUT = 10  # seconds for the connections in use to come back
_CANCEL_AGAIN = 0.1  # seconds


class _Statements:
    """Runs statements whose rows are wanted as they are."""

    log: Any

    async def fetch(self, query: str, values: list[Any]) -> Any:
        async with self.acquire_connection() as connection:  # type: ignore[attr-defined]
            self.log.debug('%s: %s', query, values)
            async with connection.cursor() as cursor:
                await cursor.execute(query, values)
                return await cursor.fetchall()


class MySQLClient(Client, _Statements, TortoiseMySQLClient):
    """A pool of asyncmy's."""

    backend: MySQLBackend

    def __init__(self, backend: MySQLBackend, connection_name: str) -> None:
        super().__init__(
            user=backend.username,
            password='',
            database=backend.name,
            host=backend.host,
            port=backend.port,
            connection_name=connection_name,
        )
        self.backend = backend
        # asyncmy's own limit makes a task of each read.
        self.statement_timeout = backend.command_timeout

    def _check_loop(self) -> bool:
        if not super()._check_loop():
            self.refuse_beside()
            self.abandon()
        return True

    def abandon(self) -> None:
        """Cut all connections at once."""
        pool, self._pool = self._pool, None
        self._bound_loop = None
        self._pool_init_lock = asyncio.Lock()
        if pool is not None:
            _cut(pool)

    async def create_connection(self, with_db: bool) -> None:
        making = asyncmy.create_pool(
            **self.backend.connect_options(),
            **self._tracing_options(),
            minsize=self.backend.min_connections,
            maxsize=self.backend.max_connections,
        )
        self._pool = await ended_by_cancelling(making, _cut)
        await self._post_connect()

    def _tracing_options(self) -> Mapping[str, Any]:
        if not tracing.is_on():
            return {}
        from colibris.persist import spans

        return spans.mysql_options(self.backend.name)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None and super()._check_loop():
            pool.close()
            try:
                await asyncio.wait_for(pool.wait_closed(), CLOSE_TIMEOUT)
            except TimeoutError:
                _cut(pool)
        self._bound_loop = None

    async def checkout(self) -> Any:
        self._check_loop()
        try:
            async with self.waiting():
                if self._pool is None:
                    async with self._pool_init_lock:
                        if self._pool is None:
                            await self._first_connection()
                pool: Any = self._pool
                if _is_ready(pool):
                    raw = await pool.acquire()
                else:
                    raw = await ended_by_cancelling(pool.acquire(), partial(_give_back, pool))
                self.returns_rows = _returns_rows(raw.get_server_info())
                return raw
        except TimeoutError as exc:
            if self._pool is not None and self._pool.size >= self.backend.max_connections:
                raise self.exhausted() from exc
            raise self.backend.slow() from exc
        except Exception as exc:
            if (translated := self.translate(exc)) is not None:
                raise translated from exc
            raise

    async def _first_connection(self) -> None:
        async with asyncio.timeout(self.backend.connect_timeout):
            await self.create_connection(with_db=True)

    async def checkin(self, raw: Any, *, broken: bool = False) -> None:
        if broken or self._pool is None:
            raw.close()
        if self._pool is not None:
            _give_back(self._pool, raw)

    async def run(self, raw: Any, statement: str) -> None:
        if not tracing.is_on():
            await self._run(raw, statement)
            return
        from colibris.persist import spans

        with spans.of_mysql(statement, self.backend.name):
            await self._run(raw, statement)

    async def _run(self, raw: Any, statement: str) -> None:
        async with asyncio.timeout(self.statement_timeout):
            await raw.query(statement)

    def in_block(self, raw: Any) -> bool:
        return bool(raw.connected and raw.get_transaction_status())

    def translate(self, error: BaseException) -> Exception | None:
        return translate(error, self.backend)


async def ended_by_cancelling(connecting: Awaitable[T], undo: Callable[[T], object] | None = None) -> T:
    """Return what *connecting* returns; once this is cancelled, cancel that until it ends, and *undo* what it did.

    Up to Python 3.11 asyncmy may lose a cancellation while it connects, and then wait for a silent server without end.
    When this is cancelled twice, it waits no longer for that end, which comes all the same.
    """
    task = asyncio.ensure_future(connecting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(partial(_undo, undo))
        _end(task)
        await asyncio.wait([task])
        raise


def _undo(undo: Callable[[T], object] | None, task: asyncio.Future[T]) -> None:
    if not task.cancelled() and task.exception() is None and undo is not None:
        undo(task.result())


def _end(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        task.get_loop().call_later(_CANCEL_AGAIN, _end, task)


@lru_cache
def _returns_rows(version: str) -> bool:
    """Whether an INSERT can give back the row that it made: MariaDB's can from 10.5 on, MySQL's cannot."""
    match = re.search(r'(\d+)\.(\d+)\.\d+-MariaDB', version)
    return match is not None and (int(match[1]), int(match[2])) >= (10, 5)


def _is_ready(pool: Any) -> bool:
    """Return whether asyncmy gives a connection at once: of its free ones, which may be dead, it tries the first."""
    free = pool._free
    if not free or free[0]._stream_broken or pool._cond.locked() or pool.size < pool.minsize:
        return False
    return bool(pool._loop.time() - free[0].last_usage <= pool._recycle)


def _give_back(pool: Any, raw: Any) -> None:
    with suppress(KeyError):  # of a pool that has been cut
        pool.release(raw)


def _cut(pool: Any) -> None:
    with suppress(Exception):  # of a loop that is closed
        for connection in [*pool._free, *pool._used]:
            connection.close()
        pool._free.clear()
        pool.terminate()


class MySQLTransaction(Transaction, _Statements, TransactionWrapper):
    """A transaction, or a savepoint in one."""

    @property
    def charset(self) -> str:
        charset: str = self.root.charset  # type: ignore[attr-defined]
        return charset


MySQLClient.transaction_class = MySQLTransaction
