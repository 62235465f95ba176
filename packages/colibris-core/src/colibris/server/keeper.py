"""One process that is kept running: started again when it dies, replaced without a gap when that is wanted."""

import asyncio
import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable

from colibris.server.children import DRAIN, Child

logger = logging.getLogger('colibris.server')

#: The pause before a process is started again, in seconds: it doubles while the process keeps dying young.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
#: A process that lived for so many seconds did not die young.
STABLE = 10.0
#: What a process may take to come up when it is to replace another one, in seconds.
START_LIMIT = 120.0


class Keeper:
    """Keeps one process running."""

    def __init__(self, name: str, start: Callable[[], Awaitable[Child]]) -> None:
        self.name = name
        self._start = start
        self._stopping = asyncio.Event()
        self._swapped = asyncio.Event()
        self._leaving: dict[Child, asyncio.Task[int]] = {}
        self._pause = 0.0
        self.child: Child | None = None
        self._born = time.monotonic()
        self._died: float | None = None
        self._telling: asyncio.Task[None] | None = None
        #: What `age` is compared with: a little less than 1, another one for each process, so that not all go at once.
        self.jitter = 1.0

    @property
    def age(self) -> float:
        """How long the process has been running, in seconds."""
        return time.monotonic() - self._born

    @property
    def is_up(self) -> bool:
        """Whether the process is running and has come up."""
        return self.child is not None and self.child.came_up and not self.child.has_ended

    async def begin(self) -> bool:
        """Start the process for the first time; tell whether it came up."""
        self._take(await self._start())
        assert self.child is not None
        return await self.child.ready()

    def _take(self, child: Child) -> None:
        self.child = child
        self._born = time.monotonic()
        self.jitter = random.uniform(0.8, 1)

    async def keep(self) -> int:
        """Start the process whenever it is not running, until `stop`; return its last exit code."""
        while True:
            if self.child is None:
                if self._stopping.is_set():
                    return await self._last(0)
                try:
                    started = await self._start()
                except OSError as exc:
                    await self._wait_to_restart(f'cannot be started: {exc}', 0)
                    continue
                if self.child is None:
                    self._take(started)
                    self._telling = asyncio.create_task(self._tell_back(started))
                else:  # another one has taken the place meanwhile
                    self._see_off(started)
            child = self.child
            assert child is not None
            if self._stopping.is_set():
                child.leave()
            code = await self._end_of(child)
            if self.child is not child:
                continue
            if self._stopping.is_set():
                ended_as_told = not child.came_up or code == -signal.SIGTERM
                return await self._last(0 if ended_as_told else code)
            self.child = None
            self._died = time.monotonic()
            await self._wait_to_restart(f'ended ({_reason(code)})', self.age)

    async def _tell_back(self, child: Child) -> None:
        if await child.ready():
            if self._died is None:
                logger.info('%s serves (process %d)', self.name, child.pid)
            else:
                passed = time.monotonic() - self._died
                logger.info('%s is back after %.2f seconds (process %d)', self.name, passed, child.pid)

    async def _end_of(self, child: Child) -> int:
        """Wait until *child* ends or another one has taken its place."""
        self._swapped.clear()
        ended = asyncio.create_task(child.wait())
        swapped = asyncio.create_task(self._swapped.wait())
        await asyncio.wait({ended, swapped}, return_when=asyncio.FIRST_COMPLETED)
        swapped.cancel()
        if not ended.done():
            ended.cancel()
            return 0
        return ended.result()

    async def _last(self, code: int) -> int:
        """Wait for those that were replaced, too; return the exit code of them all."""
        return code or max([0, *await asyncio.gather(*self._leaving.values())], key=abs)

    async def _wait_to_restart(self, reason: str, lived: float) -> None:
        self._pause = FIRST_PAUSE if lived >= STABLE else min(max(self._pause * 2, FIRST_PAUSE), LONGEST_PAUSE)
        logger.error('%s %s; it is started again in %.1f seconds', self.name, reason, self._pause)
        try:
            await asyncio.wait_for(self._stopping.wait(), self._pause)
        except TimeoutError:
            return

    async def successor(self, start: Callable[[], Awaitable[Child]] | None = None) -> Child | None:
        """Start another process beside the present one, by *start* if it is given; None if it does not come up."""
        try:
            child = await (start or self._start)()
        except OSError as exc:
            logger.error('%s: its successor cannot be started: %s', self.name, exc)
            return None
        try:
            async with asyncio.timeout(START_LIMIT):
                if await child.ready():
                    return child
            logger.error('%s: its successor does not come up (%s)', self.name, _reason(await child.wait()))
        except TimeoutError:
            logger.error('%s: its successor does not come up within %g seconds', self.name, START_LIMIT)
            await discard(child)
        except asyncio.CancelledError:
            await discard(child)
            raise
        return None

    def replace(self, child: Child) -> None:
        """Let *child* take the place of the present process, which ends gracefully."""
        old = self.child
        self._take(child)
        logger.info('%s is process %d now', self.name, child.pid)
        self._swapped.set()
        if old is not None:
            self._see_off(old)
        if self._stopping.is_set():
            child.leave()

    def _see_off(self, child: Child) -> None:
        """Let *child* end gracefully while another one works."""

        async def leave() -> int:
            code = await child.stop(child.terms.shutdown.total)
            if code:
                logger.error('%s: its predecessor ended with %s', self.name, _reason(code))
            del self._leaving[child]
            return code if child.came_up else 0

        self._leaving[child] = asyncio.create_task(leave())

    def drain(self) -> None:
        """Have the process say that it is unready."""
        if self.child is not None:
            self.child.order(DRAIN)

    def stop(self) -> None:
        """End the process gracefully and do not start it again."""
        self._stopping.set()
        if self.child is not None:
            self.child.leave()

    def kill(self) -> None:
        """End the process at once, and those that it has replaced."""
        for child in (self.child, *self._leaving):
            if child is not None:
                child.signal(signal.SIGKILL)


async def discard(child: Child) -> None:
    """End at once a process that never got anything to do."""
    child.signal(signal.SIGKILL)
    await child.wait()


def _reason(code: int) -> str:
    return f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'
