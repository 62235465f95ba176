"""What is known of an SQLite database: which file it is, how it is made and dropped."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from colibris.persist.base import TEST_PREFIX, DatabaseBackend, one_of, seconds
from colibris.persist.errors import DatabaseUnavailable
from colibris.persist.sqlite.client import SQLiteClient
from colibris.persist.sqlite.errors import is_busy

__all__ = ['SQLiteBackend']

MEMORY = ':memory:'

_JOURNAL_MODES = ('wal', 'delete', 'truncate', 'persist', 'memory')
_SYNCHRONOUS = ('off', 'normal', 'full', 'extra')


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
            raise DatabaseUnavailable(f'cannot make {self.describe()}: {self.reason(exc)}') from exc

    def reason(self, error: Exception) -> str:
        """Return why the file cannot be opened, as far as a look at it tells; else what *error* says."""
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
            if is_busy(exc):
                raise self.lock_timeout(timeout) from exc
            raise DatabaseUnavailable(f'cannot lock {self.describe()}: {self.reason(exc)}') from exc
        return connection
