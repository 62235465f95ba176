"""The connections to PostgreSQL: a pool of asyncpg's, and the statements that run on them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper

from colibris.persist.connections import Client, Statement, Transaction, raise_translated, resolve
from colibris.persist.errors import TransactionManagementError
from colibris.persist.pool import Pool
from colibris.persist.postgresql.errors import translate
from colibris.persist.sessions import may_change_session

if TYPE_CHECKING:
    from colibris.persist.postgresql.backend import PostgreSQLBackend

__all__ = ['CLOSE_TIMEOUT', 'PostgreSQLClient']

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 10  # seconds for the connections in use to come back


class _Statements:
    """Runs statements, and notes on which connections they may have changed the session."""

    log: Any

    def _statement(self, query: str) -> Any:
        return Statement(self, changes_session=may_change_session(query))  # type: ignore[arg-type]

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        async with self._statement(query) as connection:
            self.log.debug('%s: %s', query, values)
            return await connection.fetchrow(query, *values)

    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, list[Any]]:
        async with self._statement(query) as connection:
            self.log.debug('%s: %s', query, values)
            if query.lstrip()[:6].upper() in ('UPDATE', 'DELETE', 'INSERT'):
                done = (await connection.execute(query, *(values or ()))).split(' ')
                return int(done[1]) if len(done) > 1 and done[1].isdigit() else 0, []
            rows = await connection.fetch(query, *(values or ()))
            return len(rows), rows

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        async with self._statement(query) as connection:
            self.log.debug('%s: %s', query, values)
            await connection.executemany(query, values)  # all or nothing

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.fetch(query, values or [])]

    async def fetch(self, query: str, values: list[Any]) -> list[Any]:
        async with self._statement(query) as connection:
            self.log.debug('%s: %s', query, values)
            rows: list[Any] = await connection.fetch(query, *values)
            return rows


class PostgreSQLClient(Client, _Statements, AsyncpgDBClient):
    """A pool of connections of asyncpg's."""

    aborts_on_error = True
    returns_rows = True
    backend: PostgreSQLBackend
    _pool: Pool | None

    def __init__(self, backend: PostgreSQLBackend, connection_name: str) -> None:
        super().__init__(
            user=backend.username,
            database=backend.name,
            host=backend.host,
            port=backend.port,
            schema=backend.schema,
            connection_name=connection_name,
        )
        self.backend = backend
        #: The connections in use on which something may have changed the session.
        self._changed: set[Any] = set()

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
        self._changed.clear()
        if pool is not None:
            with suppress(Exception):  # of a loop that is closed
                pool.terminate()

    async def create_connection(self, with_db: bool) -> None:
        options = self.backend.connect_options()
        pool = Pool(
            lambda: asyncpg.connect(**options),
            minimum=self.backend.min_connections,
            maximum=self.backend.max_connections,
        )
        try:
            await pool.fill()
        except BaseException:
            pool.terminate()
            raise
        self._pool = pool
        await self._post_connect()

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None and super()._check_loop():
            try:
                await asyncio.wait_for(pool.close(), CLOSE_TIMEOUT)
            except TimeoutError:
                pool.terminate()
        self._bound_loop = None

    async def _get_pool(self) -> Pool:
        if self._pool is None:
            async with self._pool_init_lock:
                if self._pool is None:
                    await self.create_connection(with_db=True)
        pool: Pool = self._pool  # type: ignore[assignment]
        return pool

    async def checkout(self) -> Any:
        self._check_loop()
        if self._pool is not None and (idle := self._pool.take()) is not None:
            return idle
        try:
            async with self.waiting():
                return await (await self._get_pool()).acquire(self.backend.pool_timeout)
        except TimeoutError as exc:
            if self._pool is not None and self._pool.is_full:
                raise self.exhausted() from exc
            raise self.backend.slow() from exc
        except Exception as exc:
            if isinstance(exc, OSError):
                raise self.backend.unreachable(exc) from exc
            if (translated := self.translate(exc)) is not None:
                raise translated from exc
            raise

    async def checkin(self, raw: Any, *, broken: bool = False) -> None:
        pool = self._pool
        if pool is None or not pool.owns(raw):  # of a pool that was given up
            self._changed.discard(raw)
            raw.terminate()
        elif broken:
            self._changed.discard(raw)
            pool.discard(raw)
        elif raw in self._changed:
            await asyncio.shield(asyncio.ensure_future(self._reset(raw, pool)))
        else:
            pool.release(raw)

    async def _reset(self, raw: Any, pool: Pool) -> None:
        """Give *raw* back as if it were new; that waits for what still runs on it."""
        self._changed.discard(raw)
        try:
            await raw.reset(timeout=CLOSE_TIMEOUT)
        except Exception as exc:  # the statement itself is done
            logger.debug('a connection to %s is lost: %s', self.backend.describe(), exc)
            pool.discard(raw)
        except BaseException:
            pool.discard(raw)
            raise
        else:
            pool.release(raw)

    def note_change(self, raw: Any) -> None:
        self._changed.add(raw)

    async def fetch(self, query: str, values: list[Any]) -> list[Any]:
        """Run one statement, as the mixin does, with fewer steps where a connection is idle and no transaction open."""
        pool = self._pool
        if (
            pool is None
            or pool.loop is not asyncio.get_running_loop()
            or resolve(self) is not self
            or may_change_session(query)
            or (idle := pool.take() or await self._given(pool)) is None
        ):
            fetched: list[Any] = await super().fetch(query, values)
            return fetched
        raw: Any = idle
        self.log.debug('%s: %s', query, values)
        try:
            rows = await _fetch(raw, query, values)
        except BaseException as exc:
            self.note_change(raw)
            await self.checkin(raw)
            raise_translated(self, exc)
            raise
        if self._pool is pool:
            pool.release(raw)
        else:
            await self.checkin(raw)
        return rows

    async def _given(self, pool: Pool) -> Any:
        """Wait for a connection in use, if no more may be made; None if one may."""
        if not pool.is_full:
            return None
        try:
            return await pool.wait(self.backend.pool_timeout)
        except TimeoutError as exc:
            raise self.exhausted() from exc

    async def run(self, raw: Any, statement: str) -> None:
        done = await raw.execute(statement)
        if statement == 'COMMIT' and done == 'ROLLBACK':
            raise TransactionManagementError(
                'nothing was committed: a statement in the transaction had failed, and its error was not let through; '
                'put what may fail into a transaction() of its own'
            )

    def in_block(self, raw: Any) -> bool:
        return not raw.is_closed() and bool(raw.is_in_transaction())

    def translate(self, error: BaseException) -> Exception | None:
        return translate(error, self.backend)

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        return await func(self, *args, **kwargs)


class PostgreSQLTransaction(Transaction, _Statements, TransactionWrapper):
    """A transaction, or a savepoint in one."""

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        return await func(self, *args, **kwargs)


PostgreSQLClient.transaction_class = PostgreSQLTransaction

_RECORD = asyncpg.Record
#: As it is while nobody has put something around it, such as what makes spans.
_PLAIN_FETCH = asyncpg.Connection.fetch


async def _fetch(raw: Any, query: str, values: list[Any]) -> list[Any]:
    """Do as ``raw.fetch(query, *values)``, in fewer steps for a statement that *raw* has prepared already."""
    rows: list[Any]
    prepared = raw._stmt_cache.get((query, _RECORD, False))
    if prepared is None or raw._query_loggers or type(raw).fetch is not _PLAIN_FETCH:
        rows = await raw.fetch(query, *values)
        return rows
    try:
        rows = await raw._protocol.bind_execute(prepared, values, '', 0, False, None)
    except asyncpg.InvalidCachedStatementError:  # the table has changed; nothing was done, and asyncpg prepares anew
        rows = await raw.fetch(query, *values)
    except asyncpg.OutdatedSchemaCacheError:  # a type has changed; the statement was done, but its rows are not read
        await raw.reload_schema_state()
        raise
    return rows
