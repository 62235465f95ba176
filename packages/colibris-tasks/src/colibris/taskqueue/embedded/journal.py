"""Writing the file, and reading it: what several threads want to write at the same time is committed together."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from colibris.taskqueue.embedded.clock import Clock
from colibris.taskqueue.embedded.file import BUSY_TIMEOUT, QueueFile, begin
from colibris.taskqueue.errors import TaskQueueUnavailable

T = TypeVar('T')

#: How many operations share a transaction at most: others wait for it.
_LARGEST_GROUP = 200
#: For how long it is taken for granted that the file is still there, where nothing is lost by that, in seconds.
_TRUST = 0.2


class Session:
    """A connection to the file, the file's clock, and the kinds of bells to ring after the commit."""

    def __init__(self, connection: sqlite3.Connection, identity: tuple[int, int]) -> None:
        self.connection = connection
        self.execute = connection.execute
        self.executemany = connection.executemany
        self.identity = identity
        self.clock: Clock
        self.rings: set[str] = set()

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self.connection.close()


#: Reads or writes in a session. It may be run again if its transaction fails, so that it changes the file alone.
Operation = Callable[[Session], T]


class _Request:
    """An operation that waits to be run, then what came of it; *future* is told in its event loop if there is one."""

    __slots__ = ('durable', 'error', 'finished', 'future', 'operation', 'value')

    def __init__(self, operation: Operation[Any], *, durable: bool, future: asyncio.Future[Any] | None = None) -> None:
        self.operation = operation
        self.durable = durable
        self.future = future
        self.finished = False
        self.value: Any = None
        self.error: Exception | None = None

    def tell(self) -> None:
        """Resolve the future; called in its event loop."""
        if self.future is None or self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


class _Connected:
    """Opens a session when one is needed, and again when the file was replaced."""

    def __init__(self, file: QueueFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._looked = 0.0
        self._closed = False

    def _ready(self, *, careful: bool = False) -> Session:
        """Return a session; *careful* looks in any case whether the file is still there."""
        if self._closed:
            raise TaskQueueUnavailable(f'the task queue {self._file.path} is closed in this process')
        now = time.monotonic()
        if self._session is not None and not careful and now < self._looked + _TRUST:
            return self._session
        identity = self._file.identity()
        self._looked = now
        if self._session is not None and self._session.identity == identity:
            return self._session
        self._drop()
        session = Session(self._connect(), identity)
        try:
            self._prepare(session)
        except BaseException:
            session.close()
            raise
        self._session = session
        return session

    def _connect(self) -> sqlite3.Connection:
        return self._file.connect(patience=BUSY_TIMEOUT)

    def _prepare(self, session: Session) -> None:
        """Make a new session ready to be used."""
        raise NotImplementedError

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._drop()


class Reader(_Connected):
    """The connection by which a process reads; it sees what has been committed, and holds nobody up."""

    def read(self, operation: Operation[T]) -> T:
        """Run *operation*, which sees one state of the file, and return what it returns.

        Blocks: not for the event loop.
        """
        with self._lock, self._file.translating():
            session = self._ready()
            try:
                try:
                    session.execute('BEGIN')
                    return operation(session)
                finally:
                    if session.connection.in_transaction:
                        session.execute('ROLLBACK')  # nothing was written
            except sqlite3.Error:
                self._drop()
                raise

    def _prepare(self, session: Session) -> None:
        session.execute('PRAGMA query_only = ON')
        session.clock = Clock(session.connection)


class Journal(_Connected):
    """The connection by which a process writes.

    Whoever finds it free commits for all who wait, in one transaction: many small operations cost little more than one.
    A *durable* operation has reached the disk when it returns and outlives a power cut; others outlive the end of the
    process, and are there in order or not at all.
    """

    def __init__(self, file: QueueFile, ring: Callable[[str], None]) -> None:
        super().__init__(file)
        self._ring = ring
        self._waiting: deque[_Request] = deque()
        self._signals: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._synchronous = ''

    def run(self, operation: Operation[T], *, durable: bool = False) -> T:
        """Run *operation* in a transaction and return what it returns. Blocks: not for the event loop."""
        request = _Request(operation, durable=durable)
        self._waiting.append(request)
        while not request.finished:
            with self._lock:
                if not request.finished:
                    self._commit_waiting()
        if request.error is not None:
            raise request.error
        value: T = request.value
        return value

    async def write(self, operation: Operation[T], *, durable: bool = False) -> T:
        """Have *operation* run in a transaction by the journal's thread, and return what it returns.

        A caller that is cancelled meanwhile does not call back what is on its way to the file.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Request(operation, durable=durable, future=future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name='colibris-tasks-journal', daemon=True)
            self._thread.start()
        self._signals.put(True)
        return await future

    def close(self) -> None:
        """Write what waits and end."""
        if self._thread is not None:
            self._signals.put(False)
            self._thread.join()
            self._thread = None
        super().close()
        left = self._take_group(len(self._waiting))
        _finish(left, TaskQueueUnavailable(f'the task queue {self._file.path} was closed meanwhile'))

    def _serve(self) -> None:
        going_on = True
        while going_on:
            going_on = self._signals.get()
            with suppress(Empty):
                while going_on:
                    going_on = self._signals.get_nowait()
            while self._waiting:
                with self._lock:
                    self._commit_waiting()

    def _commit_waiting(self) -> None:
        """Commit one group of what waits; the lock is held."""
        group = self._take_group(_LARGEST_GROUP)
        try:
            self._commit(group)
        except TaskQueueUnavailable as exc:
            self._drop()
            _finish([*group, *self._take_group(len(self._waiting))], exc)
        except Exception as exc:
            if len(group) == 1:
                _finish(group, exc)
            else:  # one of them is at fault: each goes its own way
                self._commit_apart(group)
        except BaseException:  # something ends this thread: others do it
            self._waiting.extendleft(reversed(group))
            raise

    def _commit_apart(self, group: Sequence[_Request]) -> None:
        for request in group:
            try:
                self._commit([request])
            except Exception as exc:
                _finish([request], exc)

    def _take_group(self, most: int) -> list[_Request]:
        group: list[_Request] = []
        with suppress(IndexError):
            while len(group) < most:
                group.append(self._waiting.popleft())
        return group

    def _commit(self, group: Sequence[_Request]) -> None:
        if not group:
            return
        with self._file.translating():
            durable = any(request.durable for request in group)
            session = self._ready(careful=durable)
            session.rings.clear()
            self._synchronize(session, 'FULL' if durable else 'NORMAL')
            begin(session.connection)
            try:
                for request in group:
                    request.value = request.operation(session)
                session.execute('COMMIT')
            except BaseException:
                self._roll_back(session)
                raise
        _finish(group)
        for kind in session.rings:
            self._ring(kind)

    def _roll_back(self, session: Session) -> None:
        try:
            if session.connection.in_transaction:
                session.execute('ROLLBACK')
        except sqlite3.Error:
            self._drop()

    def _synchronize(self, session: Session, level: str) -> None:
        if self._synchronous != level:
            session.execute(f'PRAGMA synchronous = {level}')
            self._synchronous = level

    def _connect(self) -> sqlite3.Connection:
        self._synchronous = ''
        return self._file.connect()

    def _prepare(self, session: Session) -> None:
        begin(session.connection)
        self._file.check_version(session.connection)
        session.clock = Clock(session.connection)
        if not session.clock.went_on:
            session.clock.keep(session.connection)
        session.execute('COMMIT')


def _finish(group: Sequence[_Request], error: Exception | None = None) -> None:
    """Tell those who wait for a group what came of it."""
    loops: dict[asyncio.AbstractEventLoop, list[_Request]] = {}
    for request in group:
        request.error = None if error is None else _again(error)
        if request.future is not None:
            loops.setdefault(request.future.get_loop(), []).append(request)
        request.finished = True
    for loop, requests in loops.items():
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(_tell, requests)


def _tell(group: Sequence[_Request]) -> None:
    for request in group:
        request.tell()


def _again(error: Exception) -> Exception:
    """Return an error of its own for each who is told that the file cannot be used: a traceback belongs to a thread."""
    if not isinstance(error, TaskQueueUnavailable):
        return error
    copy = TaskQueueUnavailable(*error.args)
    copy.__cause__ = error.__cause__
    return copy
