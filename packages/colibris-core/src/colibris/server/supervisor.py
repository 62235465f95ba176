"""Several server processes on the same sockets: started, watched, started again, replaced, and ended together."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Sequence

from colibris.server import notify
from colibris.server.children import Child
from colibris.server.keeper import Keeper
from colibris.server.recycling import reason_to_replace
from colibris.server.serving import GRACEFUL, Shutdown, Stop, die
from colibris.server.sockets import refuse_newcomers
from colibris.server.spare import Spare

logger = logging.getLogger('colibris.server')

#: What a process may take to end beyond what its own limits add up to, in seconds.
CLOSING = 2.0
#: How often age and memory of the processes are looked at, in seconds.
LOOK_INTERVAL = 1.0
#: The pause after a process could not be replaced, in seconds; it doubles each time.
FIRST_RETRY, LONGEST_RETRY = 2.0, 300.0


class Supervisor:
    """Runs *workers* server processes on *sockets*, and beside them one process for each of *companions*.

    A companion is the arguments of another command of this program. SIGHUP replaces all of them by new ones, with the
    code and the settings as they are by then. A *spare* process, loaded and waiting, takes the place of one that dies.
    Without *shutdown* each process's own settings say how it ends.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        workers: int,
        companions: Sequence[Sequence[str]] = (),
        shutdown: Shutdown | None = None,
        spare: bool = False,
    ) -> None:
        self._sockets = sockets
        self._shutdown = shutdown
        self._workers = [Keeper(f'worker {number}', self._serving) for number in range(1, workers + 1)]
        self._companions = [self._companion(arguments) for arguments in companions]
        self._spare = Spare(sockets, shutdown) if spare else None
        self._replacing = asyncio.Lock()
        self._reloads: asyncio.Queue[None] = asyncio.Queue()

    @property
    def _keepers(self) -> list[Keeper]:
        return [*self._workers, *self._companions]

    async def run(self, on_serving: Callable[[], None]) -> int:
        """Run until SIGTERM or SIGINT; return the exit code. *on_serving* is called when the first worker serves.

        The first worker shows whether the service starts at all: if it does not, nothing else is started.
        """
        stop = Stop(again=self._kill, hurried=(signal.SIGINT,))
        stop.started()
        self._handle_hangup(stop)
        async with notify.watched():
            stopping = asyncio.create_task(stop.wait())
            begun = asyncio.create_task(self._workers[0].begin())
            await asyncio.wait({begun, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done() and not begun.result():
                assert self._workers[0].child is not None
                return abs(await self._workers[0].child.wait()) or 1
            keeping = [asyncio.create_task(keeper.keep()) for keeper in self._keepers]
            helping: list[asyncio.Task[None]] = []
            if not stopping.done():
                on_serving()
                helping = [asyncio.create_task(self._reload_on_request()), asyncio.create_task(self._recycle())]
                helping += [asyncio.create_task(self._spare.keep(self._workers))] if self._spare is not None else []
            await asyncio.wait({stopping, *keeping, *helping}, return_when=asyncio.FIRST_COMPLETED)
            return await self._end(stop, keeping, helping)

    def _handle_hangup(self, stop: Stop) -> None:
        """Reload on SIGHUP; but one that tells that the terminal is gone means what it means to all programs."""
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # by nohup
        on_terminal = _has_terminal()

        def hang_up() -> None:
            if not on_terminal or _has_terminal():
                self._reloads.put_nowait(None)
            elif not ignored:
                stop.request()

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)

    async def _reload_on_request(self) -> None:
        while True:
            await self._reloads.get()
            while not self._reloads.empty():
                self._reloads.get_nowait()
            notify.reloading()
            logger.info('SIGHUP: starting new workers')
            async with self._replacing:
                done = await self._reload()
            notify.ready('serving, reloaded' if done else 'serving; the last reload failed, see the log')

    async def _reload(self) -> bool:
        """Replace all processes, or none if one of the new ones does not come up; tell which.

        The first new one shows whether the others need to be tried.
        """
        successors: dict[Keeper, Child] = {}

        async def bring_up(keeper: Keeper) -> None:
            if (child := await keeper.successor(self._fresh)) is not None:
                successors[keeper] = child

        try:
            for keepers in (self._workers[:1], self._workers[1:]):
                await asyncio.gather(*map(bring_up, keepers))
                if not successors.keys() >= set(keepers):
                    logger.error('not reloaded: the old workers go on')
                    await _end_all(successors.values())
                    return False
        except asyncio.CancelledError:
            await _end_all(successors.values())
            raise
        for keeper, child in successors.items():
            keeper.replace(child)
        if self._spare is not None:
            await self._spare.renew()
        for keeper in self._companions:
            if (companion := await keeper.successor()) is not None:
                keeper.replace(companion)
        logger.info('reloaded: the old workers finish their requests')
        return True

    async def _recycle(self) -> None:
        """Replace those that are too old or too big, one after the other."""
        pause = FIRST_RETRY
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            for keeper in self._workers:
                async with self._replacing:
                    child = keeper.child
                    if child is None or not child.came_up or child.has_ended:
                        continue
                    reason = await reason_to_replace(child.pid, age=keeper.age, jitter=keeper.jitter, terms=child.terms)
                    if reason is None:
                        continue
                    logger.info('%s is replaced: %s', keeper.name, reason)
                    successor = await keeper.successor()
                if successor is not None:
                    keeper.replace(successor)
                    pause = FIRST_RETRY
                else:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_RETRY)

    async def _end(
        self, stop: Stop, keeping: Sequence[asyncio.Task[int]], helping: Sequence[asyncio.Task[None]]
    ) -> int:
        notify.stopping()
        for task in helping:
            task.cancel()
        for keeper in self._workers:
            keeper.drain()
        shutdown = self._shutdown_of_workers()
        await stop.delay(shutdown.delay)
        refuse_newcomers(self._sockets)
        for keeper in self._keepers:
            keeper.stop()
        for sock in self._sockets:  # so that the last worker that stops accepting closes them: newcomers are refused
            sock.close()
        _, late = await asyncio.wait(keeping, timeout=shutdown.total + CLOSING)
        if late:
            logger.error('%d processes did not end in time and are killed', len(late))
            for keeper in self._keepers:
                keeper.kill()
        codes = await asyncio.gather(*keeping)
        failures = [
            result for result in await asyncio.gather(*helping, return_exceptions=True) if isinstance(result, Exception)
        ]
        for failure in failures:
            logger.error('the supervisor failed', exc_info=failure)
        return 1 if any(codes) or failures else 0

    def _shutdown_of_workers(self) -> Shutdown:
        children = (keeper.child for keeper in self._workers)
        return next((child.terms.shutdown for child in children if child is not None and child.came_up), GRACEFUL)

    def _kill(self, number: int) -> None:
        for keeper in self._keepers:
            keeper.kill()
        die(number)

    async def _serving(self) -> Child:
        spare = self._spare.take() if self._spare is not None else None
        return spare or await self._fresh()

    async def _fresh(self) -> Child:
        return await Child.serving(self._sockets, self._shutdown)

    @staticmethod
    def _companion(arguments: Sequence[str]) -> Keeper:
        async def start() -> Child:
            return await Child.running(arguments)

        return Keeper(' '.join(arguments), start)


async def _end_all(children: Iterable[Child]) -> None:
    await asyncio.gather(*(child.stop(child.terms.shutdown.total) for child in children))


def _has_terminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False
