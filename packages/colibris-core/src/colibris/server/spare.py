"""A process that is loaded and waits: starting one takes long while the others are busy, and this one is there."""

import asyncio
import logging
import socket
from collections.abc import Sequence

from colibris.server.children import SERVE, Child
from colibris.server.keeper import FIRST_PAUSE, Keeper, discard
from colibris.server.serving import Shutdown

logger = logging.getLogger('colibris.server')

#: How often it is looked whether all workers are up, in seconds; they come first.
LOOK_INTERVAL = 0.2
LONGEST_PAUSE = 60.0


class Spare:
    """Keeps one loaded process that can serve on *sockets*, and starts another when it was taken."""

    def __init__(self, sockets: Sequence[socket.socket], shutdown: Shutdown | None) -> None:
        self._sockets = sockets
        self._shutdown = shutdown
        self._child: Child | None = None
        self._taken = asyncio.Event()

    def take(self) -> Child | None:
        """Return the process, told to serve; None if there is none at the moment."""
        child = self._child
        if child is None or not child.loaded or child.has_ended:
            return None
        self._child = None
        self._taken.set()
        child.order(SERVE)
        return child

    async def renew(self) -> None:
        """Have another process with the code and the settings as they are now."""
        child, self._child = self._child, None
        self._taken.set()
        if child is not None:
            await discard(child)

    async def keep(self, workers: Sequence[Keeper]) -> None:
        """Keep a process ready while all *workers* are up, until this is cancelled."""
        pause = FIRST_PAUSE
        try:
            while True:
                while not all(keeper.is_up for keeper in workers):  # noqa: ASYNC110  # they may die at any time
                    await asyncio.sleep(LOOK_INTERVAL)
                self._taken.clear()
                if await self._load():
                    pause = FIRST_PAUSE
                if not self._taken.is_set():
                    logger.warning('there is no spare worker; another one is started in %.1f seconds', pause)
                    self._child = None
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            await self.renew()

    async def _load(self) -> bool:
        """Start a process, and wait until it is taken or ends; tell whether it was loaded."""
        try:
            child = self._child = await Child.serving(self._sockets, self._shutdown, spare=True)
        except OSError as exc:
            logger.error('a spare worker cannot be started: %s', exc)
            return False
        if not await child.is_loaded():
            return False
        logger.info('a spare worker is loaded (process %d)', child.pid)
        await self._gone(child)
        return True

    async def _gone(self, child: Child) -> None:
        """Wait until *child* is taken or has ended."""
        ended = asyncio.create_task(child.wait())
        taken = asyncio.create_task(self._taken.wait())
        try:
            await asyncio.wait({ended, taken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            taken.cancel()
