"""The queue's file: making it, opening it, and what its errors mean."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from colibris.taskqueue.errors import TaskQueueUnavailable

#: Marks a SQLite file as a queue of ours ("CQue").
APPLICATION_ID = 0x43517565
#: The version of the tables.
VERSION = 1

#: How long to wait for another process that writes, in seconds.
BUSY_TIMEOUT = 5.0
#: The pauses between attempts to write grow from the one to the other, in seconds.
_FIRST_PAUSE = 0.0002
_LONGEST_PAUSE = 0.005

#: The write-ahead log is cut back to this size when it starts anew, in bytes.
_WAL_LIMIT = 16 * 1024 * 1024

#: What the file keeps; the first counts for a file without tables.
_OPTIONS_OF_FILE = ('PRAGMA auto_vacuum = INCREMENTAL', 'PRAGMA journal_mode = WAL')
#: What each connection is told.
_OPTIONS = (
    'PRAGMA synchronous = NORMAL',
    f'PRAGMA journal_size_limit = {_WAL_LIMIT}',
    'PRAGMA temp_store = MEMORY',
)


class QueueFile:
    """The SQLite file at *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, statements: Iterable[str]) -> None:
        """Make the file, for its owner alone, and its tables by *statements*, unless they are there.

        A queue that is there is read alone: opening it costs no writing to the disk, and waits for nobody.
        """
        self._create()
        with closing(self.connect(patience=BUSY_TIMEOUT)) as connection, self.translating():
            connection.execute('BEGIN')  # one state of the file for all that is read, while others make it
            made = self._is_made(connection)
            connection.execute('COMMIT')
            if made:
                return
            for option in _OPTIONS_OF_FILE:
                until_free(connection, option)
            begin(connection)
            if not self._is_made(connection):
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f'PRAGMA application_id = {APPLICATION_ID}')
                connection.execute(f'PRAGMA user_version = {VERSION}')
            connection.execute('COMMIT')

    def _is_made(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the file is a queue, rather than new. Raises TaskQueueUnavailable if it is something else."""
        if self._is_new(connection):
            return False
        self.check_version(connection)
        return True

    def _create(self) -> None:
        """Make an empty file.

        One that is there is not touched: closing it would drop the locks by which this process already uses it.
        """
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as exc:
            if isinstance(exc, FileExistsError) and not self.path.is_dir():
                return
            raise TaskQueueUnavailable(f'cannot make the task queue {self.path}: {self._why(exc)}') from exc

    def connect(self, *, patience: float = 0) -> sqlite3.Connection:
        """Return a connection that threads may share if only one uses it at a time; transactions are the caller's.

        A statement waits for *patience* seconds if another process holds the file; see also `begin`.
        """
        with self.translating():
            connection = sqlite3.connect(
                f'{self.path.absolute().as_uri()}?mode=rw',
                uri=True,
                timeout=patience,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                for option in _OPTIONS:
                    until_free(connection, option)
            except BaseException:
                connection.close()
                raise
        return connection

    def identity(self) -> tuple[int, int]:
        """Return what tells the file from another one of the same name. Raises TaskQueueUnavailable if it is gone."""
        try:
            status = self.path.stat()
        except OSError as exc:
            raise TaskQueueUnavailable(
                f'the file of the task queue, {self.path}, cannot be found ({exc.strerror}): put it back, or restart '
                'the service and its workers, which begin with an empty queue then'
            ) from exc
        return (status.st_dev, status.st_ino)

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn errors of SQLite that say that the file cannot be used into TaskQueueUnavailable."""
        try:
            yield
        except sqlite3.Error as exc:
            if (message := self._explain(exc)) is None:
                raise
            raise TaskQueueUnavailable(message) from exc

    def _explain(self, error: sqlite3.Error) -> str | None:
        name = getattr(error, 'sqlite_errorname', '')
        for prefix, meaning in _MEANINGS.items():
            if name.startswith(prefix):
                return f'the task queue {self.path} {meaning} ({error})'
        return None

    def check_version(self, connection: sqlite3.Connection) -> None:
        """Raise unless this is a queue that we know how to use; called in a transaction."""
        self._is_new(connection)
        version = _number(connection, 'user_version')
        if version != VERSION:
            raise TaskQueueUnavailable(
                f'the task queue {self.path} is of version {version}, which another release of colibris-tasks made; '
                f'this one knows version {VERSION}: install that release, or remove the file if nothing in it counts'
            )

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        """Tell whether the database has neither our mark nor tables; raise if it has tables or another mark."""
        mark = _number(connection, 'application_id')
        if mark == APPLICATION_ID:
            return False
        if mark or connection.execute('SELECT count(*) FROM sqlite_master').fetchone()[0]:
            raise TaskQueueUnavailable(
                f'{self.path} is a database of another program: set the option "path" of TASK_QUEUE to another file'
            )
        return True

    def _why(self, error: OSError) -> str:
        directory = self.path.parent
        if self.path.is_dir():
            return 'this is a directory; set the option "path" of TASK_QUEUE to a file'
        if not directory.is_dir():
            return f'the directory {directory} does not exist; make it, or change the option "path" of TASK_QUEUE'
        if not os.access(directory, os.W_OK):
            return f'the directory {directory} is not writable'
        return str(error)


_MEANINGS = {
    'SQLITE_FULL': 'cannot be written: the disk is full; make room',
    'SQLITE_BUSY': 'is held by another process that does not let go of it',
    'SQLITE_LOCKED': 'is held by another connection that does not let go of it',
    'SQLITE_CORRUPT': 'is damaged: move it and its -wal file away and restart the service and its workers',
    'SQLITE_NOTADB': 'is no SQLite database, or damaged: move it away, or set the option "path" of TASK_QUEUE',
    'SQLITE_READONLY': 'cannot be written: look at its owner and permissions, and those of its directory',
    'SQLITE_CANTOPEN': 'cannot be opened: look whether it is a file, and at its permissions',
    'SQLITE_PERM': 'cannot be used: look at its permissions',
    'SQLITE_IOERR': 'cannot be read or written: look at the disk and the system log',
    'SQLITE_NOMEM': 'cannot be used: there is not enough memory',
}


def begin(connection: sqlite3.Connection) -> None:
    """Begin a transaction that may write, waiting for other writers.

    SQLite's own waiting sleeps up to 100 ms between attempts, which is longer than our transactions take.
    """
    until_free(connection, 'BEGIN IMMEDIATE')


def until_free(connection: sqlite3.Connection, statement: str) -> None:
    """Run *statement* until nobody else holds the file, at most for BUSY_TIMEOUT."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    pause = _FIRST_PAUSE
    while True:
        try:
            connection.execute(statement)
            return
        except sqlite3.OperationalError as exc:
            if not exc.sqlite_errorname.startswith('SQLITE_BUSY') or time.monotonic() >= deadline:
                raise
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    value: int = connection.execute(f'PRAGMA {pragma}').fetchone()[0]
    return value
