"""A pool of connections: the one that was used last is used next, so that what a burst needed is let go after it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

__all__ = ['Pool', 'PoolClosed']

#: Seconds; what was not needed for as long is closed.
IDLE_TIME = 300.0


class PoolClosed(Exception):
    """Raised when a connection is asked of a pool that is closed."""


class Connection(Protocol):
    """What a pool asks of a connection."""

    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...


class Pool:
    """Keeps from *minimum* to *maximum* connections, made by *connect*, for the sole use of whoever takes one."""

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], *, minimum: int, maximum: int, idle_time: float = IDLE_TIME
    ) -> None:
        #: The loop that the connections belong to.
        self.loop = asyncio.get_running_loop()
        self._connect = connect
        self._minimum = minimum
        self._maximum = maximum
        self._idle_time = idle_time
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._opening = 0
        #: Who waits for a connection; None instead of one means that there is room to make one.
        self._waiting: deque[tuple[asyncio.Future[Connection | None], float]] = deque()
        self._expiry: asyncio.TimerHandle | None = None
        #: The fewest connections that were idle at once since the last sweep.
        self._unused = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._closing = False

    @property
    def size(self) -> int:
        """How many connections there are, those included that are being made."""
        return len(self._all) + self._opening

    @property
    def is_full(self) -> bool:
        """Whether no more connections may be made."""
        return self.size >= self._maximum

    @property
    def idle(self) -> int:
        """How many connections nobody uses."""
        return len(self._idle)

    def owns(self, connection: Connection) -> bool:
        """Whether *connection* is one of this pool's."""
        return connection in self._all

    async def fill(self) -> None:
        """Make the connections that are to be there at least."""
        missing = self._minimum - self.size
        if missing > 0:
            for connection in await asyncio.gather(*(self._open() for _ in range(missing))):
                self.release(connection)
        self._sweeper = asyncio.get_running_loop().call_later(self._idle_time, self._sweep)

    def take(self) -> Connection | None:
        """Return an idle connection; None if there is none."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if len(idle) < self._unused:
                self._unused = len(idle)
            if not connection.is_closed():
                return connection
            self._all.discard(connection)
        return None

    async def acquire(self, seconds: float) -> Connection:
        """Return a connection, an idle one or a new one, as soon as there is one; for one in use wait so long."""
        while not self._closing:
            if (idle := self.take()) is not None:
                return idle
            if not self.is_full:
                return await self._open()
            if (given := await self.wait(seconds)) is not None:
                return given
        raise PoolClosed('the pool is closed')

    async def wait(self, seconds: float) -> Connection | None:
        """Return a connection that somebody gives back, or None as there is room for another one.

        Raises TimeoutError after so many *seconds*, which are the same for all. One timer serves all who wait.
        """
        future: asyncio.Future[Connection | None] = self.loop.create_future()
        deadline = self.loop.time() + seconds
        self._waiting.append((future, deadline))
        if self._expiry is None:
            self._expiry = self.loop.call_at(deadline, self._expire)
        try:
            return await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:  # given in the same moment
                self._hand_on(future.result())
            raise

    def _expire(self) -> None:
        """End the waiting of those for whom it has been too long."""
        self._expiry = None
        now = self.loop.time()
        while self._waiting:
            future, deadline = self._waiting[0]
            if not future.done():
                if deadline > now:
                    self._expiry = self.loop.call_at(deadline, self._expire)
                    return
                future.set_exception(TimeoutError())
            self._waiting.popleft()

    def _hand_on(self, given: Connection | None) -> None:
        if given is None:
            self._wake()
        else:
            self.release(given)

    async def _open(self) -> Connection:
        self._opening += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._opening -= 1
            self._wake()
            raise
        self._opening -= 1
        if self._closing:
            connection.terminate()
            self._tell_emptied()
            raise PoolClosed('the pool is closed')
        self._all.add(connection)
        return connection

    def release(self, connection: Connection) -> None:
        """Take back *connection*, in the state in which the next one is to get it."""
        if self._closing or connection.is_closed():
            self.discard(connection)
            return
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_result(connection)
                return
        self._idle.append(connection)

    def discard(self, connection: Connection) -> None:
        """Cut *connection*, which was taken."""
        self._all.discard(connection)
        connection.terminate()
        self._wake()
        self._tell_emptied()

    def _wake(self) -> None:
        """Let one who waits see for himself."""
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _sweep(self) -> None:
        """Close what was idle all the time since the last sweep."""
        spare = min(self._unused, len(self._all) - self._minimum, len(self._idle))
        if spare > 0:
            unused, self._idle = self._idle[:spare], self._idle[spare:]
            for connection in unused:
                self._all.discard(connection)
                connection.terminate()
        self._unused = len(self._idle)
        self._sweeper = asyncio.get_running_loop().call_later(self._idle_time, self._sweep)

    async def close(self) -> None:
        """Close the connections, waiting for those in use to come back."""
        self._begin_to_close()
        if self.size:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    def terminate(self) -> None:
        """Cut all connections at once."""
        self._begin_to_close()
        for connection in list(self._all):
            connection.terminate()
        self._all.clear()
        self._tell_emptied()

    def _begin_to_close(self) -> None:
        self._closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        idle, self._idle = self._idle, []
        for connection in idle:
            self._all.discard(connection)
            connection.terminate()
        if self._expiry is not None:
            self._expiry.cancel()
        for future, _ in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def _tell_emptied(self) -> None:
        if self._emptied is not None and not self.size and not self._emptied.done():
            self._emptied.set_result(None)
