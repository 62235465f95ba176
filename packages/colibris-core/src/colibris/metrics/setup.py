"""Metrics in the life of a service: what METRICS says, who counts, and where the numbers are served."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from colibris import api, routes, subsystems
from colibris.conf import ImproperlyConfigured, settings
from colibris.edge import timeouts
from colibris.measures import Kind
from colibris.metrics.requests import RequestNumbers
from colibris.metrics.series import Numbers, Series, read_all
from colibris.router import Router
from colibris.views import APIView

logger = logging.getLogger(__name__)

Observer = Callable[[web.Request, int, float], None]

#: The environment variable that names the folder in which the processes of one service keep their numbers.
FOLDER = 'COLIBRIS_METRICS'

#: How often what subsystems tell is looked up, in seconds.
PERIOD = 1.0

#: How long a subsystem may take to tell, in seconds.
TIME_LIMIT = 1.0

_DEFAULTS: dict[str, Any] = {'path': None, 'port': None, 'host': '127.0.0.1', 'token': None, 'public': False}

#: What a path is: no placeholders, no query.
_PATH = re.compile(r'/[A-Za-z0-9._~/-]+\Z')


@dataclass(frozen=True, slots=True)
class Options:
    """Where the numbers are served, and to whom: at a *path* of the service, or at a *port* of its own on *host*.

    Who asks must bear the *token*, if there is one. At a path there must be one, unless the numbers are *public*.
    """

    path: str | None
    port: int | None
    host: str
    token: str | None
    public: bool

    def lets_in(self, request: web.BaseRequest) -> bool:
        """Tell whether *request* may see the numbers."""
        if self.token is None:
            return True
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, '').partition(' ')
        matches = hmac.compare_digest(given.strip().encode('utf-8', 'surrogateescape'), self.token.encode())
        return matches and scheme.lower() == 'bearer'


def options() -> Options | None:
    """Return what METRICS says; None if it is not set. Raises ImproperlyConfigured."""
    value = settings.METRICS
    if value is None:
        return None
    for key in value:
        if key not in _DEFAULTS:
            raise _wrong(f'has no key {key!r}; there are {", ".join(_DEFAULTS)}')
    found = Options(**{**_DEFAULTS, **value})
    if (found.path is None) == (found.port is None):
        raise _wrong("give either a 'path' of the service or a 'port' of its own")
    if found.path is not None and not (isinstance(found.path, str) and _PATH.match(found.path)):
        raise _wrong(f"path must be one such as '/metrics', not {found.path!r}")
    if found.port is not None and not (type(found.port) is int and 0 < found.port < 65_536):
        raise _wrong(f'port must be the number of a port, not {found.port!r}')
    _check_access(found)
    if find_spec('prometheus_client') is None:
        raise _wrong("needs the module 'prometheus_client': pip install 'colibris[metrics]'")
    return found


def _check_access(found: Options) -> None:
    """Raise ImproperlyConfigured unless it is clear who may see the numbers."""
    if not isinstance(found.public, bool):
        raise _wrong(f'public must be True or False, not {found.public!r}')
    if found.token is not None and not (isinstance(found.token, str) and re.fullmatch('[!-~]+', found.token)):
        raise _wrong('token must be text without spaces that a header can hold')
    if found.public and (found.path is None or found.token is not None):
        raise _wrong("public is for a 'path' without a 'token'")
    if found.path is not None and found.token is None and not found.public:
        raise _wrong(
            f"who reaches the service would read the numbers at {found.path!r}: give a 'token', which Prometheus sends "
            "as a bearer token, or a 'port' of its own in place of the path, or say 'public': True"
        )


def check_port() -> None:
    """Raise ImproperlyConfigured if the port of the metrics is taken; the processes of one service share it later."""
    found = options()
    if found is None or found.port is None:
        return
    with socket.socket(socket.AF_INET6 if ':' in found.host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((found.host, found.port))
            sock.listen()
        except OSError as exc:
            raise _taken(found.host, found.port, exc) from exc


def _taken(host: str, port: int, error: OSError) -> ImproperlyConfigured:
    return _wrong(f'port {port} of {host} cannot be listened on: {error.strerror or error}')


def _wrong(problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f'METRICS ({settings.source("METRICS")}): {problem}', setting='METRICS')


_numbers: Numbers | None = None


def numbers() -> Numbers:
    """Return the numbers of this process."""
    global _numbers
    if _numbers is None:
        folder = os.environ.get(FOLDER)
        _numbers = Numbers(None if folder is None else Path(folder))
    return _numbers


def prepare(router: Router) -> None:
    """Add the route of the metrics to *router*, if they are served at a path. Raises ImproperlyConfigured."""
    found = options()
    if found is not None and found.path is not None:
        routes.add_own_route(router, found.path, MetricsView, f'METRICS ({settings.source("METRICS")})')


def observer() -> Observer:
    """Return what counts requests."""
    return RequestNumbers(numbers()).observe


class MetricsView(APIView):
    """The numbers at a path of the service."""

    hidden = True
    throttle = None
    ignores_credentials = True  # the token is none of an account

    async def get(self) -> web.Response:
        """Give the numbers of all processes of the service."""
        found = options()
        if found is not None and not found.lets_in(self.request):
            return api.error_response(api.Unauthenticated(headers=_CHALLENGE))
        return await scrape()


_CHALLENGE: dict[str, str] = {hdrs.WWW_AUTHENTICATE: 'Bearer'}


async def scrape() -> web.Response:
    """Give the numbers of all processes of the service."""
    from colibris.metrics import exposition

    await refresh()
    folder = os.environ.get(FOLDER)
    if folder is None:
        body = exposition.render(numbers().read())
    else:
        body = await asyncio.to_thread(lambda: exposition.render(read_all(Path(folder))))
    return web.Response(body=body, headers={'Content-Type': exposition.CONTENT_TYPE})


async def refresh() -> None:
    """Look up what subsystems tell of themselves now."""
    known = numbers()
    known.values[known.place(_IN_FLIGHT)] = timeouts.in_flight()
    for subsystem in subsystems.opened():
        try:
            measures = subsystem.measures()
            if inspect.isawaitable(measures):
                async with asyncio.timeout(TIME_LIMIT):
                    measures = await measures
            _take(subsystem.name, measures)
        except Exception as exc:
            logger.warning('%s cannot tell its numbers: %s', subsystem.name, exc or type(exc).__name__)


_IN_FLIGHT = Series('colibris_http_requests_in_flight', Kind.GAUGE, 'Requests that are being answered.')


#: The gauges that each subsystem told last.
_told: dict[str, set[Series]] = {}


def _take(name: str, measures: Iterable[Any]) -> None:
    """Keep what the subsystem *name* tells; a gauge that it tells no more is 0, such as of a queue that is gone."""
    known = numbers()
    gauges = set()
    for measure in measures:
        series = Series(f'colibris_{measure.name}', measure.kind, measure.help, measure.labels)
        known.values[known.place(series)] = measure.value
        if series.kind is not Kind.COUNTER:
            gauges.add(series)
    for gone in _told.get(name, gauges) - gauges:
        known.values[known.place(gone)] = 0.0
    _told[name] = gauges


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    """Keep the numbers up to date, and serve them if they have a port of their own."""
    found = options()
    if found is None:
        yield
        return
    async with AsyncExitStack() as stack:
        task = asyncio.create_task(_refresh_for_ever(), name='colibris.metrics')
        stack.callback(task.cancel)
        if found.port is not None:
            stack.push_async_callback((await _serve(found, found.port)).cleanup)
        yield


async def _refresh_for_ever() -> None:
    while True:
        await refresh()
        await asyncio.sleep(PERIOD)


async def _serve(found: Options, port: int) -> web.ServerRunner:
    """Serve nothing but the metrics; all processes of the service share the *port*."""

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path != '/metrics':
            return web.Response(status=404, text='the numbers are at /metrics\n')
        if request.method not in ('GET', 'HEAD'):
            return web.Response(status=405, headers={'Allow': 'GET, HEAD'})
        if not found.lets_in(request):
            return web.Response(status=401, headers=_CHALLENGE)
        return await scrape()

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, found.host, port, reuse_port=FOLDER in os.environ).start()
    except OSError as exc:
        await runner.cleanup()
        raise _taken(found.host, port, exc) from exc
    return runner
