"""The access log: a line for each request, or for a part of them; what fails is always told.

Where the lines end up in one handler that writes JSON to a stream, as by default, nothing else of logging is asked for
each of them, and many are written at once, a moment later: so they cost little.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from time import time
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.hdrs import METH_ALL

from colibris.conf import settings
from colibris.logs.context import REQUEST_ID, current_request_id, of_request, template_of
from colibris.logs.formatters import JSONFormatter, encoded, timestamp
from colibris.security import ACCOUNT, NOBODY, account_key

logger = logging.getLogger('colibris.access')

#: The trace to which a request belonged; it is over when the request is told of.
TRACE_ID = web.RequestKey('trace_id', str)

#: How long lines wait to be written together, in seconds, and how many of them at most.
PERIOD = 0.1
MOST_WAITING = 100


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """A line about a request, as `JSONFormatter` writes it; what is not known is left out."""

    time: str
    level: str
    logger: str
    message: str
    method: str
    route: str | None
    status: int
    duration: float
    remote: str | None
    account: str | None = None
    request_id: str | None = None
    trace_id: str | None = None


class Batch:
    """Lines that wait to be written by *handler*: many in one go cost less than each between two requests."""

    def __init__(self, handler: logging.StreamHandler[Any]) -> None:
        self._handler = handler
        self._waiting: list[Line] = []
        self._timer: asyncio.TimerHandle | None = None
        #: The level, the message and the template of the route that lines have, by the route itself, method and status.
        self._said: dict[tuple[object, str, int], tuple[str, str, str | None]] = {}

    def add(self, request: web.Request, status: int, seconds: float) -> None:
        """Tell of *request* soon."""
        state, method, match_info = request._state, request._method, request._match_info
        peer = request._transport_peername
        # What request.remote says, without a call of it where no proxy told it.
        address = peer[0] if type(peer) is tuple and 'remote' not in request._cache else request.remote
        route = None if match_info is None else match_info._route
        level, message, template = self._said.get((route, method, status)) or self._say(route, method, status)
        waiting = self._waiting
        waiting.append(
            Line(
                timestamp(time()),
                level,
                logger.name,
                message,
                method,
                template,
                status,
                _rounded(seconds),
                address,
                None if (who := state.get(ACCOUNT, NOBODY)) is NOBODY else account_key(who),
                REQUEST_ID.get(),
                state.get(TRACE_ID),
            )
        )
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self.write)
        elif len(waiting) >= MOST_WAITING:
            self.write()

    def _say(self, route: object, method: str, status: int) -> tuple[str, str, str | None]:
        template = template_of(route)
        said = _level(status), _message(method, template, status), template
        if method in METH_ALL and template is not None:  # there are as many others as clients think of
            self._said[route, method, status] = said
        return said

    def write(self) -> None:
        """Write what waits."""
        if self._timer is None:
            return
        self._timer.cancel()
        waiting, self._waiting, self._timer = self._waiting, [], None
        handler = self._handler
        handler.acquire()
        try:
            handler.stream.write(_written(waiting))
            handler.flush()
        except Exception:
            handler.handleError(_record(logging.ERROR, '%d lines could not be written', (len(waiting),)))
        finally:
            handler.release()


_encode_lines = msgspec.json.Encoder().encode_lines


def _written(lines: list[Line]) -> str:
    try:
        return _encode_lines(lines).decode()
    except (TypeError, ValueError):  # an id that the service itself has set, which has no JSON
        return ''.join(f'{encoded(_told(line))}\n' for line in lines)


def _told(line: Line) -> dict[str, Any]:
    optional = line.__struct_fields__[-len(line.__struct_defaults__) :]
    told = msgspec.structs.asdict(line)
    return {name: value for name, value in told.items() if value is not None or name not in optional}


def _rounded(seconds: float) -> float:
    """Return *seconds* to the microsecond; `round` takes longer."""
    return int(seconds * 1e6 + 0.5) / 1e6


_batch: Batch | None = None


def observer() -> Callable[[web.Request, int, float], None] | None:
    """Return what logs requests, as ACCESS_LOG says: all, a part, or, as None, none."""
    global _batch
    rate = sampling_rate()
    if not rate or not logger.isEnabledFor(logging.INFO):
        return None
    handler = only_handler()
    _batch = None if handler is None else Batch(handler)
    log = write if _batch is None else _batch.add
    if rate >= 1:
        return log

    def log_some(request: web.Request, status: int, seconds: float) -> None:
        if status >= 500 or random.random() < rate:
            log(request, status, seconds)

    return log_some


def write_waiting() -> None:
    """Write the lines that wait; for the end of the application."""
    if _batch is not None:
        _batch.write()


def sampling_rate() -> float:
    """Return the part of the requests that is logged."""
    value = settings.ACCESS_LOG
    if value is None:
        value = settings.DEBUG
    return float(value)


def only_handler() -> logging.StreamHandler[Any] | None:
    """Return the handler to which all lines go, if it is a single one that does no more than write JSON."""
    found: list[logging.Handler] = []
    place: logging.Logger | None = logger
    while place is not None:
        found += place.handlers
        place = place.parent if place.propagate else None
    if len(found) != 1 or logger.filters:
        return None
    handler = found[0]
    plain = type(handler) is logging.StreamHandler and type(handler.formatter) is JSONFormatter
    return handler if plain and not handler.filters and handler.level <= logging.INFO else None  # type: ignore[return-value]


def write(request: web.Request, status: int, seconds: float) -> None:
    """Write the line of one request by the means of logging."""
    told: dict[str, Any] = of_request(request)
    for name, value in (('request_id', current_request_id()), ('trace_id', request.get(TRACE_ID))):
        if value is not None:
            told[name] = value
    told.update(status=status, duration=_rounded(seconds), remote=request.remote)
    record = _record(getattr(logging, _level(status)), _message(told['method'], told['route'], status), ())
    vars(record).update(told)
    logger.handle(record)


def _level(status: int) -> str:
    return 'ERROR' if status >= 500 else 'INFO'


def _message(method: str, route: str | None, status: int) -> str:
    return f'{method} {route or "no route"}: {status}'


def _record(level: int, message: str, arguments: tuple[object, ...]) -> logging.LogRecord:
    return logging.LogRecord(logger.name, level, __file__, 0, message, arguments, None)
