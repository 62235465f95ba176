"""Several server processes on the same sockets: started, watched, started again, and ended together."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence

from colibris.server.children import Child
from colibris.server.serving import GRACEFUL, Shutdown, Stop, die
from colibris.server.sockets import refuse_newcomers

logger = logging.getLogger('colibris.server')

#: The pause before a process is started again, in seconds: it doubles while the process keeps dying young.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
#: A process that lived for so many seconds did not die young.
STABLE = 10.0
#: What closing the application may take beyond the requests in flight, in seconds.
CLOSING = 10.0


class Keeper:
    """Keeps one process running."""

    def __init__(self, name: str, start: Callable[[], Awaitable[Child]]) -> None:
        self.name = name
        self._start = start
        self._stopping = asyncio.Event()
        self._pause = 0.0
        self.child: Child | None = None

    async def begin(self) -> bool:
        """Start the process for the first time; tell whether it came up."""
        self.child = await self._start()
        return await self.child.ready()

    async def keep(self) -> int:
        """Start the process whenever it is not running, until `stop`; return its last exit code."""
        while True:
            if self.child is None:
                if self._stopping.is_set():
                    return 0
                self.child = await self._start()
            if self._stopping.is_set():
                self.child.signal(signal.SIGTERM)
            born = time.monotonic()
            code = await self.child.wait()
            if self._stopping.is_set():
                return code if self.child.came_up else 0
            await self._wait_to_restart(code, time.monotonic() - born)
            self.child = None

    async def _wait_to_restart(self, code: int, lived: float) -> None:
        self._pause = FIRST_PAUSE if lived >= STABLE else min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        logger.error('%s ended (%s); it is started again in %.1f seconds', self.name, _reason(code), self._pause)
        try:
            await asyncio.wait_for(self._stopping.wait(), self._pause)
        except TimeoutError:
            return

    def stop(self) -> None:
        """End the process gracefully and do not start it again."""
        self._stopping.set()
        if self.child is not None:
            self.child.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        if self.child is not None:
            self.child.signal(signal.SIGKILL)


def _reason(code: int) -> str:
    return f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'


class Supervisor:
    """Runs *workers* server processes on *sockets*, and beside them one process for each of *companions*.

    A companion is the arguments of another command of this program.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        workers: int,
        companions: Sequence[Sequence[str]] = (),
        shutdown: Shutdown = GRACEFUL,
    ) -> None:
        self._sockets = sockets
        self._shutdown = shutdown
        serving = [Keeper(f'worker {number}', self._serving) for number in range(1, workers + 1)]
        self._keepers = [*serving, *(self._companion(arguments) for arguments in companions)]

    async def run(self, on_serving: Callable[[], None]) -> int:
        """Run until SIGTERM or SIGINT; return the exit code. *on_serving* is called when the first worker serves.

        The first worker shows whether the service starts at all: if it does not, nothing else is started.
        """
        stop = Stop(again=self._kill)
        stop.started()
        stopping = asyncio.create_task(stop.wait())
        begun = asyncio.create_task(self._keepers[0].begin())
        await asyncio.wait({begun, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done() and not begun.result():
            assert self._keepers[0].child is not None
            return abs(await self._keepers[0].child.wait()) or 1
        keeping = [asyncio.create_task(keeper.keep()) for keeper in self._keepers]
        if not stopping.done():
            on_serving()
        await asyncio.wait({stopping, *keeping}, return_when=asyncio.FIRST_COMPLETED)
        return await self._end(keeping)

    async def _end(self, keeping: Sequence[asyncio.Task[int]]) -> int:
        refuse_newcomers(self._sockets)
        for keeper in self._keepers:
            keeper.stop()
        for sock in self._sockets:  # so that the last worker that stops accepting closes them: newcomers are refused
            sock.close()
        _, late = await asyncio.wait(keeping, timeout=self._shutdown.limit + CLOSING)
        if late:
            logger.error('%d processes did not end in time and are killed', len(late))
            for keeper in self._keepers:
                keeper.kill()
        codes = await asyncio.gather(*keeping)
        return 1 if any(codes) else 0

    def _kill(self, number: int) -> None:
        for keeper in self._keepers:
            keeper.kill()
        die(number)

    async def _serving(self) -> Child:
        return await Child.serving(self._sockets, self._shutdown)

    @staticmethod
    def _companion(arguments: Sequence[str]) -> Keeper:
        async def start() -> Child:
            return await Child.running(arguments)

        return Keeper(' '.join(arguments), start)
