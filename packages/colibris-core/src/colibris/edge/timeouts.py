"""How long a request may take, once it has come, until its answer begins: then it is cancelled, and answered with 503.

What has begun is not cut off: streams, WebSockets, large files. All requests that are being answered are looked through
by one timer now and then, which costs less than a timer for each of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from aiohttp import StreamReader, web

from colibris import api
from colibris.conf import ImproperlyConfigured, settings
from colibris.edge.layer import refuse
from colibris.endpoints import Endpoint
from colibris.logs.context import route_of
from colibris.throttling import DEFAULT

logger = logging.getLogger(__name__)

#: How often the requests are looked through at least, in seconds; more often where the limit is short.
PERIOD = 0.5


class TookTooLong(api.ServiceUnavailable):
    """Raised when a request was cancelled, as its answer did not begin in time."""

    default_code = 'took_too_long'
    default_message = 'the request took too long and was cancelled'


class Watch:
    """Looks after the requests that are being answered; *limit* is in seconds."""

    def __init__(self, limit: float | None, period: float) -> None:
        self._limit = limit
        self._period = period
        #: The requests that are being answered, by the tasks that do so: each of them answers one at a time.
        self.running: dict[asyncio.Task[Any], web.Request] = {}
        #: Since when those are looked after that have been here for a while.
        self._since: dict[asyncio.Task[Any], tuple[web.Request, float]] = {}
        #: Those that were cancelled.
        self.expired: set[asyncio.Task[Any]] = set()
        #: When they are looked after next; None while there are none.
        self.timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Begin to look, as there is a request."""
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(self._period, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        since, self._since = self._since, {}
        for task, request in self.running.items():
            if task in self.expired or request.writer.output_size > 0:
                continue
            known, begun = since.get(task, (None, now))
            if known is not request or _waits_for_client(request):
                begun = now
            self._since[task] = request, begun
            limit = _limit(request, self._limit)
            if limit is not None and now - begun > limit:
                self.expired.add(task)
                task.cancel()
        self.timer = loop.call_later(self._period, self._look, loop) if self.running else None


def _limit(request: web.Request, default: float | None) -> float | None:
    """Return how long *request* may take: what its view says by ``request_timeout``, or *default*."""
    handler: Any = getattr(request._match_info, 'handler', None)
    endpoint = getattr(handler, 'endpoint', None)
    if endpoint is None:  # of aiohttp's own routes
        endpoint = getattr(handler, request.method.lower(), handler)
    said: Any = getattr(endpoint, 'request_timeout', getattr(handler, 'request_timeout', DEFAULT))
    return default if said == DEFAULT else said


def _waits_for_client(request: web.Request) -> bool:
    """Tell whether the body of *request* is still to come; how long that may take is the connection's matter."""
    body = request._payload
    return isinstance(body, StreamReader) and not body.is_eof() and not request._protocol._reading_paused


_watch: Watch | None = None


def in_flight() -> int:
    """Return how many requests this process answers at the moment."""
    return 0 if _watch is None else len(_watch.running)


def check(found: Iterable[Endpoint]) -> None:
    """Raise ImproperlyConfigured if a view has a limit of its own and REQUEST_TIMEOUT has switched limits off."""
    if settings.REQUEST_TIMEOUT is not None:
        return
    for endpoint in found:
        if isinstance(endpoint.request_timeout, int | float):
            raise ImproperlyConfigured(
                f'{endpoint.name} sets request_timeout, but REQUEST_TIMEOUT ({settings.source("REQUEST_TIMEOUT")}) is '
                'None, which switches all limits off: set it to a number of seconds',
                setting='REQUEST_TIMEOUT',
            )


def new_watch() -> Watch:
    """Return what looks after the requests of an application, by REQUEST_TIMEOUT and what views say."""
    global _watch
    limit = settings.REQUEST_TIMEOUT
    _watch = Watch(limit, PERIOD if limit is None else min(PERIOD, limit / 4))
    return _watch


def refusal(request: web.Request) -> web.Response:
    """Answer *request*, which was cancelled."""
    logger.error('%s %s took longer than allowed and was cancelled', request.method, route_of(request))
    return refuse(request, TookTooLong())
