"""Metrics in the life of a service: what METRICS says, who counts, and where the numbers are served."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aiohttp import web

from colibris import subsystems
from colibris.conf import ImproperlyConfigured, settings
from colibris.edge import timeouts
from colibris.measures import Kind
from colibris.metrics.requests import RequestNumbers
from colibris.metrics.series import Numbers, Series, read_all

logger = logging.getLogger(__name__)

Observer = Callable[[web.Request, int, float], None]

#: The environment variable that names the folder in which the processes of one service keep their numbers.
FOLDER = 'COLIBRIS_METRICS'

#: How often what subsystems tell is looked up, in seconds.
PERIOD = 1.0

#: How long a subsystem may take to tell, in seconds.
TIME_LIMIT = 1.0

_DEFAULTS: dict[str, Any] = {'path': None, 'port': None, 'host': '127.0.0.1'}


@dataclass(frozen=True, slots=True)
class Options:
    """Where the numbers are served: at a *path* of the service, or at a *port* of its own on *host*."""

    path: str | None
    port: int | None
    host: str


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
    if found.path is not None and not (isinstance(found.path, str) and found.path.startswith('/')):
        raise _wrong(f"path must begin with '/', not be {found.path!r}")
    if found.port is not None and not (type(found.port) is int and 0 < found.port < 65_536):
        raise _wrong(f'port must be the number of a port, not {found.port!r}')
    if find_spec('prometheus_client') is None:
        raise _wrong("needs the module 'prometheus_client': pip install 'colibris[metrics]'")
    return found


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


def prepare(app: web.Application) -> None:
    """Add the route of the metrics to *app*, if they are served at a path."""
    found = options()
    if found is not None and found.path is not None:
        app.router.add_get(found.path, scrape)


def observer() -> Observer:
    """Return what counts requests."""
    return RequestNumbers(numbers()).observe


async def scrape(request: web.BaseRequest) -> web.Response:
    """Give the numbers of all processes of the service."""
    from colibris.metrics import exposition

    await refresh()
    folder = os.environ.get(FOLDER)
    if folder is None:
        body = exposition.render(numbers().read())
    else:
        body = await asyncio.to_thread(lambda: exposition.render(read_all(Path(folder))))
    return web.Response(body=body, headers={'Content-Type': exposition.CONTENT_TYPE})


scrape.hidden = True  # type: ignore[attr-defined]
scrape.throttle = None  # type: ignore[attr-defined]


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
    """Keep what the subsystem *name* tells; what it told before and tells no more is 0, such as a queue that is gone."""
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
            stack.push_async_callback((await _serve(found.host, found.port)).cleanup)
        yield


async def _refresh_for_ever() -> None:
    while True:
        await refresh()
        await asyncio.sleep(PERIOD)


async def _scrape_alone(request: web.BaseRequest) -> web.Response:
    if request.path != '/metrics':
        return web.Response(status=404, text='the numbers are at /metrics\n')
    if request.method not in ('GET', 'HEAD'):
        return web.Response(status=405, headers={'Allow': 'GET, HEAD'})
    return await scrape(request)


async def _serve(host: str, port: int) -> web.ServerRunner:
    """Serve nothing but the metrics; all processes of the service share the port."""
    runner = web.ServerRunner(web.Server(_scrape_alone, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_port=FOLDER in os.environ).start()
    except OSError as exc:
        await runner.cleanup()
        raise _taken(host, port, exc) from exc
    return runner
