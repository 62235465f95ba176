"""The one connection to an SQLite database, and the statements that run on it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import time
from typing import TYPE_CHECKING, Any

import aiosqlite
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper

from colibris import tracing
from colibris.persist.connections import Client, Transaction
from colibris.persist.errors import MissingDatabase, MissingReference, StillReferenced
from colibris.persist.matching import SQLITE_LOWER
from colibris.persist.sqlite.errors import translate

if TYPE_CHECKING:
    from colibris.persist.sqlite.backend import SQLiteBackend

__all__ = ['SQLiteClient']

# Tortoise does so for dates and decimals, and leaves out times.
sqlite3.register_adapter(time, time.isoformat)

_STOP_TIMEOUT = 5  # seconds for a thread that has nothing more to do


class _Statements:
    """Tells by the statement which of the two sides of a foreign key SQLite means, as its error does not."""

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        with _telling(query):
            return await super().execute_insert(query, values)  # type: ignore[misc]

    async def execute_query(self, query: str, values: list[Any] | None = None) -> Any:
        with _telling(query):
            return await super().execute_query(query, values)  # type: ignore[misc]


class _Fetching:
    """Runs statements whose rows are wanted as they are."""

    log: Any

    async def fetch(self, query: str, values: list[Any]) -> Any:
        async with self.acquire_connection() as connection:  # type: ignore[attr-defined]
            self.log.debug('%s: %s', query, values)
            return await connection.execute_fetchall(query, values)


@contextmanager
def _telling(query: str) -> Iterator[None]:
    try:
        yield
    except MissingReference as exc:
        if query.lstrip()[:6].upper() == 'DELETE':
            raise StillReferenced(str(exc)) from exc.__cause__
        raise


class SQLiteClient(_Statements, Client, _Fetching, SqliteClient):
    """One connection in a thread of its own; whoever has it has the lock."""

    # A deferred transaction that turns from reading to writing fails at once if another process has written meanwhile.
    begin_statement = 'BEGIN IMMEDIATE'
    bound_to_loop = False
    returns_rows = sqlite3.sqlite_version_info >= (3, 35)
    backend: SQLiteBackend

    def __init__(self, backend: SQLiteBackend, connection_name: str) -> None:
        super().__init__(file_path=str(backend.path), connection_name=connection_name)
        self.backend = backend
        self._file: tuple[int, int] | None = None

    def _check_loop(self) -> bool:
        """The connection lives in a thread, so it is of use to any event loop; a lock is not."""
        if not super()._check_loop():
            self.refuse_beside()
            self._bound_loop = asyncio.get_running_loop()
            self._lock = asyncio.Lock()
        return True

    async def create_connection(self, with_db: bool) -> None:
        if self._connection is None:
            self._connection = await self._connect()
            self._file = self.backend.file_id()
            await self._post_connect()

    async def _connect(self) -> aiosqlite.Connection:
        if self.backend.in_memory and self.backend.file_id() is None:
            raise MissingDatabase(f'{self.backend.describe()} does not exist: it has been dropped')
        connection = _connector()(self.backend.uri('rw'), isolation_level=None, uri=True)
        connection._thread.daemon = True  # one that was forgotten does not keep the process from ending
        try:
            await connection
            connection._conn.row_factory = sqlite3.Row
            for pragma, value in self.backend.pragmas.items():
                await connection.execute_fetchall(f'PRAGMA {pragma} = {value}')
            await connection.create_function(SQLITE_LOWER, 1, _lower, deterministic=True)
        except BaseException:
            if connection._running:
                connection.stop()
            # The thread tells the event loop that it is done, which must still be there then.
            await asyncio.shield(asyncio.to_thread(connection._thread.join, _STOP_TIMEOUT))
            raise
        return connection

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._bound_loop = None
        self._lock = asyncio.Lock()
        if connection is not None:
            await connection.close()

    async def checkout(self) -> aiosqlite.Connection:
        self._check_loop()
        lock = self._lock
        if lock.locked():
            try:
                async with self.waiting():
                    await lock.acquire()
            except TimeoutError:
                raise self.exhausted() from None
        else:
            await lock.acquire()
        if self._connection is None:
            try:
                await self.create_connection(with_db=True)
            except BaseException as exc:
                lock.release()
                if (translated := self.translate(exc)) is not None:
                    raise translated from exc
                raise
        return self._connection  # type: ignore[return-value]

    async def checkin(self, raw: aiosqlite.Connection, *, broken: bool = False) -> None:
        lock = self._lock
        try:
            if broken:
                # The thread works off what it was asked in order: this comes after a statement that nobody waits for.
                await asyncio.shield(asyncio.ensure_future(_end_transaction(raw)))
        finally:
            if lock.locked():
                lock.release()

    async def run(self, raw: aiosqlite.Connection, statement: str) -> None:
        await raw.execute_fetchall(statement)

    def in_block(self, raw: aiosqlite.Connection) -> bool:
        return raw.in_transaction

    def check_file(self) -> None:
        """Raise if the file that is open is no longer the one of that name."""
        if self._connection is not None and self._file != self.backend.file_id():
            raise MissingDatabase(f'{self.backend.path} has been removed or replaced since it was opened')

    def translate(self, error: BaseException) -> Exception | None:
        return translate(error, self.backend)


def _connector() -> Callable[..., aiosqlite.Connection]:
    if not tracing.is_on():
        return aiosqlite.connect
    from colibris.persist import spans

    return spans.connect_sqlite


def _lower(value: object) -> object:
    """What LOWER is elsewhere: SQLite's own knows the letters of ASCII only."""
    return value.lower() if isinstance(value, str) else value


async def _end_transaction(raw: aiosqlite.Connection) -> None:
    with suppress(sqlite3.Error, ValueError):  # the connection is closed
        await raw.rollback()


class SQLiteTransaction(_Statements, Transaction, _Fetching, SqliteTransactionWrapper):
    """A transaction, or a savepoint in one."""


SQLiteClient.transaction_class = SQLiteTransaction
