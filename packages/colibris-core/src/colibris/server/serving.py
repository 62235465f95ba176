"""The life of one serving process: start up, listen, and on a signal finish what is in flight."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from aiohttp import web

from colibris.conf import settings
from colibris.readiness import drain
from colibris.server import notify
from colibris.server.limits import Limits
from colibris.server.protocol import Runner
from colibris.server.sockets import BACKLOG, accept_queued, listen, refuse_newcomers

logger = logging.getLogger('colibris.server')

SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: How much longer than `Shutdown.delay` a process that its supervisor did not tell to stop goes on accepting, in
#: seconds: the signal may have been for all, and the supervisor sees to it that no newcomer is lost.
PATIENCE = 1.0

#: How long what did not finish in time may take to notice that it is cut off, in seconds.
CUT_OFF = 2.0


@dataclass(frozen=True, slots=True)
class Shutdown:
    """How a server ends, in seconds."""

    #: How long it goes on as before but says that it is unready, so that a balancer sends its requests elsewhere.
    delay: float = 0.0
    #: How long connections are accepted after that; a supervisor may not have heard of it.
    accept: float = 0.1
    #: How long a connection may stay without a request before it is closed.
    idle: float = 1.0
    #: How long everything in flight may take.
    limit: float = 30.0
    #: How long closing the application may take.
    close: float = 20.0

    @property
    def total(self) -> float:
        """How long all of it may take."""
        return self.delay + PATIENCE + self.accept + self.limit + CUT_OFF + self.close


GRACEFUL = Shutdown()


def die(number: int) -> None:
    """End the process by the signal *number*, as if nothing handled it."""
    logger.warning('ended at once by a second signal')
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container is not ended by signals that it does not handle


class Stop:
    """Waits for SIGTERM or SIGINT, the signals to stop.

    Until `started` is called a signal cancels the current task; afterwards it wakes `wait`. *again* is called with a
    further signal.
    """

    def __init__(
        self, *, again: Callable[[int], None] = die, hurried: Collection[int] = (), signals: Sequence[int] = SIGNALS
    ) -> None:
        """*hurried* are the signals after which nothing is delayed."""
        self._event = asyncio.Event()
        self._now = asyncio.Event()
        self._again = again
        self._hurried = hurried
        self._starting: asyncio.Task[object] | None = asyncio.current_task()
        #: Whether a signal has come: the service stops, and not just this process of it.
        self.signalled = False
        loop = asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, self._handle, number)

    def _handle(self, number: int) -> None:
        if self._event.is_set():
            self._again(number)
        else:
            self.signalled = True
            self.request(now=number in self._hurried)

    def request(self, *, now: bool = True) -> None:
        """Stop as if a signal had come; with *now* nothing is delayed."""
        self._event.set()
        if now:
            self._now.set()
        if self._starting is not None:
            self._starting.cancel()

    def started(self) -> None:
        """Tell that the start is over, so that it is not cancelled any more."""
        self._starting = None

    async def wait(self) -> None:
        """Wait until it is time to stop."""
        await self._event.wait()

    async def delay(self, seconds: float) -> None:
        """Wait for *seconds*, or until there is no time for delays any more."""
        try:
            await asyncio.wait_for(self._now.wait(), seconds)
        except TimeoutError:
            return

    def is_set(self) -> bool:
        """Tell whether it is time to stop."""
        return self._event.is_set()


async def serve(
    app: web.Application,
    sockets: Sequence[socket.socket],
    *,
    stop: Stop | None = None,
    shared: bool = False,
    shutdown: Shutdown = GRACEFUL,
    on_listening: Callable[[], None] | None = None,
) -> None:
    """Serve *app* on bound *sockets* until SIGTERM or SIGINT, then finish the requests in flight and close *app*.

    *shared* sockets belong to a supervisor: others go on accepting on them. *on_listening* is called once the start-up
    is done and connections are accepted. What the start-up raises is raised here, after all that it opened is closed.
    """
    stop = stop or Stop()
    runner = Runner(app, limits=Limits.configured(settings) if settings.loaded else None, access_log=None)
    try:
        try:
            await runner.setup()
            _settle()
            servers = await _accept(runner, sockets, shared=shared)
            stop.started()
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
            stop.started()
            logger.info('stopped while starting up')
            return
        if on_listening is not None:
            on_listening()
        await stop.wait()
        if not shared:
            notify.stopping()
        if stop.signalled:
            drain(app)
        await stop.delay(shutdown.delay + (PATIENCE if shared else 0))
        await _finish(runner, servers, sockets, shared=shared, shutdown=shutdown)
    finally:
        await _close(runner, shutdown.close)


def _settle() -> None:
    """Keep the garbage collector from looking through what the start-up made, which lives as long as the process.

    A full collection holds the event loop for 10 ms and more otherwise.
    """
    gc.collect()
    gc.freeze()


async def _accept(runner: Runner, sockets: Sequence[socket.socket], *, shared: bool) -> list[asyncio.Server]:
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    servers = []
    for sock in sockets:
        listen(sock)
        # The loop closes the socket that it is given; ours is needed to empty the queue. The loop accepts as many
        # connections at a time as it is told the backlog is: where processes share a socket, one would take them all.
        servers.append(await loop.create_server(runner.server, sock=sock.dup(), backlog=1 if shared else BACKLOG))
        listen(sock)
    return servers


async def _finish(
    runner: Runner,
    servers: Sequence[asyncio.Server],
    sockets: Sequence[socket.socket],
    *,
    shared: bool,
    shutdown: Shutdown,
) -> None:
    """Stop accepting without losing what is queued, then wait for what is in flight."""
    server = runner.server
    assert server is not None
    server.draining_since = asyncio.get_running_loop().time()
    logger.info('stopping: %d connections are open', len(server.connections))
    if not shared:
        refuse_newcomers(sockets)
    await asyncio.sleep(shutdown.accept)
    for listener in servers:
        listener.close()
    for sock in sockets:
        await accept_queued(sock, server)
        sock.close()
    left, _ = await asyncio.gather(server.drain(idle=shutdown.idle, limit=shutdown.limit), runner.shutdown())
    if left:
        logger.warning('%d connections did not finish within %g seconds and are cut off', left, shutdown.limit)


async def _close(runner: Runner, limit: float) -> None:
    """Close the application; whatever still runs is cancelled."""
    runner._shutdown_timeout = CUT_OFF * 0.4  # aiohttp waits twice as long
    try:
        async with asyncio.timeout(CUT_OFF + limit) as time:
            await runner.cleanup()
    except TimeoutError:
        if not time.expired():
            raise
        logger.error('the application did not close within %g seconds', limit)
