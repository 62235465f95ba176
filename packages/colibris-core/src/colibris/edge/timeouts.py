"""How long a request may take, once it has come, until its answer begins: then it is cancelled, and answered with 503.

What has begun is not cut off: streams, WebSockets, large files. All requests that are being answered are looked through
by one timer now and then, which costs less than a timer for each of them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import StreamReader, web

from colibris import api
from colibris.conf import settings
from colibris.edge.layer import Handle, refuse
from colibris.logs.context import route_of
from colibris.throttling import DEFAULT

logger = logging.getLogger(__name__)

#: How often the requests are looked through at least, in seconds; more often where the limit is short.
PERIOD = 0.5


class TookTooLong(api.ServiceUnavailable):
    """Raised when a request was cancelled, as its answer did not begin in time."""

    default_code = 'took_too_long'
    default_message = 'the request took too long and was cancelled'


class Running:
    """A request that is being answered."""

    __slots__ = ('expired', 'request', 'since', 'task')

    def __init__(self, request: web.Request, task: asyncio.Task[Any]) -> None:
        self.request = request
        self.task = task
        #: When it was first looked at; nearly all are answered before that.
        self.since: float | None = None
        self.expired = False

    def limit(self, default: float | None) -> float | None:
        """Return how long it may take: what its view says by ``request_timeout``, or *default*."""
        handler: Any = getattr(self.request._match_info, 'handler', None)
        endpoint = getattr(handler, 'endpoint', None)
        if endpoint is None:  # of aiohttp's own routes
            endpoint = getattr(handler, self.request.method.lower(), handler)
        said: Any = getattr(endpoint, 'request_timeout', getattr(handler, 'request_timeout', DEFAULT))
        return default if said == DEFAULT else said

    def waits_for_client(self) -> bool:
        """Tell whether its body is still to come; how long that may take is the connection's matter."""
        request = self.request
        body = request._payload
        return isinstance(body, StreamReader) and not body.is_eof() and not request._protocol._reading_paused


class Watch:
    """Looks after the requests that are being answered; *limit* is in seconds."""

    def __init__(self, limit: float | None, period: float) -> None:
        self._limit = limit
        self._period = period
        self._running: set[Running] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, request: web.Request) -> Running:
        """Look after *request*, which the current task answers."""
        task = asyncio.current_task()
        assert task is not None
        running = Running(request, task)
        self._running.add(running)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._period, self._look, loop)
        return running

    def end(self, running: Running) -> None:
        """Let go of a request that is answered."""
        self._running.discard(running)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for running in self._running:
            if running.expired or running.request.writer.output_size > 0:
                continue
            if running.since is None or running.waits_for_client():
                running.since = now
                continue
            limit = running.limit(self._limit)
            if limit is not None and now - running.since > limit:
                running.expired = True
                running.task.cancel()
        self._timer = loop.call_later(self._period, self._look, loop) if self._running else None


_watch: Watch | None = None


def in_flight() -> int:
    """Return how many requests this process answers at the moment."""
    return 0 if _watch is None else len(_watch)


def layer(handle: Handle) -> Handle:
    """Cancel what takes longer than REQUEST_TIMEOUT, or than its view says."""
    global _watch
    limit = settings.REQUEST_TIMEOUT
    watch = _watch = Watch(limit, PERIOD if limit is None else min(PERIOD, limit / 4))

    async def watched(request: web.Request) -> web.StreamResponse:
        running = watch.begin(request)
        try:
            return await handle(request)
        except asyncio.CancelledError:
            if not running.expired or running.task.cancelling() > 1:
                raise
            logger.error('%s %s took longer than allowed and was cancelled', request.method, route_of(request))
            return refuse(request, TookTooLong())
        finally:
            watch.end(running)
            if running.expired:  # the answer is sent by the same task
                running.task.uncancel()

    return watched
