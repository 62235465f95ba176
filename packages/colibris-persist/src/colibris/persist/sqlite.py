"""SQLite: a database in a file, with no server to install."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import time
from pathlib import Path
from typing import Any

import aiosqlite
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper

from colibris import tracing
from colibris.persist.base import TEST_PREFIX, DatabaseBackend, one_of, seconds
from colibris.persist.connections import Client, Transaction
from colibris.persist.errors import (
    CheckViolation,
    DatabaseUnavailable,
    InvalidValue,
    MissingDatabase,
    MissingReference,
    NotNullViolation,
    OperationalError,
    StillReferenced,
    TransactionConflict,
    UniqueViolation,
    Violation,
)
from colibris.persist.matching import SQLITE_LOWER

__all__ = ['SQLiteBackend']

MEMORY = ':memory:'

# Tortoise does so for dates and decimals, and leaves out times.
sqlite3.register_adapter(time, time.isoformat)

_STOP_TIMEOUT = 5  # seconds for a thread that has nothing more to do
_JOURNAL_MODES = ('wal', 'delete', 'truncate', 'persist', 'memory')
_SYNCHRONOUS = ('off', 'normal', 'full', 'extra')


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


class SQLiteBackend(DatabaseBackend):
    """A database in a file.

    - *name*: the path of the file; a relative one starts at the project's root. ``:memory:`` is a database that is gone
      when it is closed.
    - *busy_timeout*: seconds to wait for another process that writes.
    - *pool_timeout*: seconds to wait for another task of this process: there is one connection.
    - *journal_mode*, *synchronous*: the pragmas of that name. With the defaults (WAL, normal) a power failure may lose
      the last transactions but never breaks the file; ``full`` loses none.
    """

    dialect = 'sqlite'
    client_class = SQLiteClient

    def __init__(
        self,
        *,
        name: str,
        busy_timeout: float = 10,
        pool_timeout: float = 30,
        journal_mode: str = 'wal',
        synchronous: str = 'normal',
    ) -> None:
        super().__init__(name=name, pool_timeout=pool_timeout)
        self.pragmas = {
            'busy_timeout': int(seconds('busy_timeout', busy_timeout) * 1000),
            'journal_mode': one_of('journal_mode', journal_mode, _JOURNAL_MODES),
            'synchronous': one_of('synchronous', synchronous, _SYNCHRONOUS),
            'foreign_keys': 'ON',
        }
        self._memory_lock = asyncio.Lock()
        self._memory_dropped = False

    @property
    def in_memory(self) -> bool:
        return self.name == MEMORY

    @property
    def path(self) -> Path:
        """The file, as an absolute path."""
        return (self.base_dir or Path.cwd()) / Path(self.name).expanduser()

    def uri(self, mode: str) -> str:
        return 'file::memory:' if self.in_memory else f'{self.path.as_uri()}?mode={mode}'

    def describe(self) -> str:
        return 'SQLite in memory' if self.in_memory else f'SQLite file {self.path}'

    def identity(self) -> tuple[object, ...]:
        return (self.dialect, id(self) if self.in_memory else self.path.resolve())

    @classmethod
    def test_name(cls, name: str, suffix: str = '') -> str:
        if name == MEMORY:
            return name
        path = Path(name)
        return cls.with_suffix(str(path.with_name(TEST_PREFIX + path.name)), suffix)

    @classmethod
    def with_suffix(cls, name: str, suffix: str) -> str:
        path = Path(name)
        return name if name == MEMORY else str(path.with_name(f'{path.stem}{suffix}{path.suffix}'))

    def file_id(self) -> tuple[int, int] | None:
        """Return what tells the file from another one of the same name; None if it is not there."""
        if self.in_memory:
            return None if self._memory_dropped else (0, 0)
        try:
            status = self.path.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino)

    async def open(self) -> None:
        """Open the file; one that does not exist is made."""
        if not await self.exists():
            await self.create()
        await super().open()

    async def check_health(self) -> None:
        if isinstance(self.client, SQLiteClient):
            self.client.check_file()
        await super().check_health()

    async def exists(self) -> bool:
        return self.file_id() is not None

    async def create(self) -> None:
        if self.in_memory:
            self._memory_dropped = False
        else:
            await asyncio.to_thread(self._create)

    def _create(self) -> None:
        try:
            connection = sqlite3.connect(self.uri('rwc'), uri=True)
            try:
                connection.execute('PRAGMA user_version')
                connection.execute(f'PRAGMA journal_mode = {self.pragmas["journal_mode"]}')
            finally:
                connection.close()
        except sqlite3.Error as exc:
            raise DatabaseUnavailable(f'cannot make {self.describe()}: {self._reason(exc)}') from exc

    def _reason(self, error: Exception) -> str:
        directory = self.path.parent
        if not directory.is_dir():
            return f'the directory {directory} does not exist; make it or change the name'
        if self.path.is_dir():
            return 'this is a directory; change the name'
        if not os.access(directory, os.W_OK):
            return f'the directory {directory} is not writable'
        if self.path.exists() and not os.access(self.path, os.R_OK | os.W_OK):
            return 'the file is not readable and writable'
        return str(error)

    async def drop(self) -> None:
        if self._client is not None:
            await self._client.unwrap()
            await self._client.close()
        if self.in_memory:
            self._memory_dropped = True
        else:
            await asyncio.to_thread(self._remove)

    def _remove(self) -> None:
        for suffix in ('', '-wal', '-shm', '-journal', '-lock'):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    @asynccontextmanager
    async def lock(self, *, timeout: float = 60) -> AsyncIterator[None]:  # noqa: ASYNC109
        """Hold an empty database beside this one locked; the system lets go of it if the process dies."""
        if self.in_memory:
            try:
                async with asyncio.timeout(timeout):
                    await self._memory_lock.acquire()
            except TimeoutError as exc:
                raise self.lock_timeout(timeout) from exc
            release: Callable[[], None] = self._memory_lock.release
        else:
            release = (await asyncio.to_thread(self._lock_file, timeout)).close
        try:
            yield
        finally:
            release()

    def _lock_file(self, timeout: float) -> sqlite3.Connection:
        path = self.path.with_name(f'{self.path.name}-lock')
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
            connection.execute('BEGIN EXCLUSIVE')
        except sqlite3.Error as exc:
            if connection is not None:
                connection.close()
            if _is_busy(exc):
                raise self.lock_timeout(timeout) from exc
            raise DatabaseUnavailable(f'cannot lock {self.describe()}: {self._reason(exc)}') from exc
        return connection


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, 'sqlite_errorname', '').startswith(('SQLITE_BUSY', 'SQLITE_LOCKED'))


_CONSTRAINTS: dict[str, type[Violation]] = {
    'SQLITE_CONSTRAINT_UNIQUE': UniqueViolation,
    'SQLITE_CONSTRAINT_PRIMARYKEY': UniqueViolation,
    'SQLITE_CONSTRAINT_ROWID': UniqueViolation,
    'SQLITE_CONSTRAINT_FOREIGNKEY': MissingReference,
    'SQLITE_CONSTRAINT_TRIGGER': StillReferenced,  # ON DELETE RESTRICT
    'SQLITE_CONSTRAINT_NOTNULL': NotNullViolation,
    'SQLITE_CONSTRAINT_CHECK': CheckViolation,
    'SQLITE_CONSTRAINT_DATATYPE': CheckViolation,
}
_COLUMNS = re.compile(r'constraint failed: (?!index )(?P<columns>[^.,\s]+\.[^,]+(?:, [^.,\s]+\.[^,]+)*)$')
_INDEX = re.compile(r"constraint failed: index '(?P<index>[^']+)'$")


def translate(error: BaseException, backend: SQLiteBackend) -> Exception | None:
    """Return the exception that stands for what SQLite or its driver raised."""
    message = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return _violation(error, message)
    if isinstance(error, OverflowError | UnicodeEncodeError | sqlite3.DataError | sqlite3.InterfaceError):
        return InvalidValue(f'SQLite cannot store the value: {message}')
    if isinstance(error, sqlite3.Error) and _is_busy(error):
        return TransactionConflict(f'{backend.describe()} is locked by another process: {message}')
    if isinstance(error, sqlite3.DatabaseError):
        return _unavailable(error, backend) or OperationalError(error)
    if isinstance(error, sqlite3.ProgrammingError) or (isinstance(error, ValueError) and 'onnection' in message):
        return DatabaseUnavailable(f'{backend.describe()} is closed: {message}')
    return None


def _unavailable(error: sqlite3.DatabaseError, backend: SQLiteBackend) -> Exception | None:
    name = getattr(error, 'sqlite_errorname', '')
    if name.startswith('SQLITE_CANTOPEN'):
        if backend.file_id() is None and backend.path.parent.is_dir():
            return MissingDatabase(
                f'{backend.describe()} does not exist: it has been removed, or migrate has not made it'
            )
        return DatabaseUnavailable(f'cannot open {backend.describe()}: {backend._reason(error)}')
    if name.startswith(('SQLITE_IOERR', 'SQLITE_FULL', 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_READONLY')):
        return DatabaseUnavailable(f'{backend.describe()} cannot be used: {error}')
    return None


def _violation(error: sqlite3.IntegrityError, message: str) -> Exception:
    violation = _CONSTRAINTS.get(getattr(error, 'sqlite_errorname', ''), Violation)
    if match := _COLUMNS.search(message):
        pairs = [name.split('.', 1) for name in match['columns'].split(', ')]
        return violation(message, table=pairs[0][0], columns=[column for _, column in pairs])
    index = _INDEX.search(message)
    return violation(message, constraint=index['index'] if index else None)
