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

#: Of how many clients the address is kept as it is written.
MOST_REMOTES = 1000


#: What a line tells: when the request was answered, its route, method, status and duration, who the client was, and its
#: id, its account and its trace.
Told = tuple[float, object, str, int, float, str | None, str | None, str | None, str | None]


class Batch:
    """Lines that wait to be written by *handler*, each as `JSONFormatter` would write it.

    They are put together when they are written: many in one go cost less than each between two requests.
    """

    def __init__(self, handler: logging.StreamHandler[Any]) -> None:
        self._handler = handler
        self._waiting: list[Told] = []
        self._timer: asyncio.TimerHandle | None = None
        #: The last millisecond in which a line came, and how it is written.
        self._moment, self._time = -1, ''
        #: What lines say of the request and its answer, by the route itself, method and status.
        self._said: dict[tuple[object, str, int], str] = {}
        #: The fields of clients, by their addresses.
        self._remotes: dict[str | None, str] = {}

    def add(self, request: web.Request, status: int, seconds: float) -> None:
        """Tell of *request* soon."""
        state, match_info, peer = request._state, request._match_info, request._transport_peername
        # What request.remote says, without a call of it where no proxy told it.
        address = peer[0] if type(peer) is tuple and 'remote' not in request._cache else request.remote
        route = None if match_info is None else match_info._route
        account = None if (who := state.get(ACCOUNT, NOBODY)) is NOBODY else account_key(who)
        told = time(), route, request._method, status, seconds, address, REQUEST_ID.get(), account, state.get(TRACE_ID)
        waiting = self._waiting
        waiting.append(told)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD, self.write)
        elif len(waiting) >= MOST_WAITING:
            self.write()

    def _line(self, told: Told) -> str:
        now, route, method, status, seconds, address, request_id, account, trace_id = told
        if (moment := int(now * 1000)) != self._moment:
            self._moment, self._time = moment, timestamp(now)
        said = self._said.get((route, method, status)) or self._say(route, method, status)
        remote = self._remotes.get(address) or self._quote_remote(address)
        if account is not None or trace_id is not None:
            more = _fields(account=account, request_id=request_id, trace_id=trace_id)
        elif request_id is None:
            more = ''
        elif request_id.isalnum() and request_id.isascii():  # as those are that are made here
            more = f',"request_id":"{request_id}"'
        else:
            more = _fields(request_id=request_id)
        return f'{{"time":"{self._time}"{said},"duration":{seconds:.6f}{remote}{more}}}\n'

    def _say(self, route: object, method: str, status: int) -> str:
        """Return the part of its line that requests to a route have in common."""
        template = template_of(route)
        level, message = 'ERROR' if status >= 500 else 'INFO', _message(method, template, status)
        of_request = {'method': method, 'route': template, 'status': status}
        said = f'{_fields(level=level, logger=logger.name, message=message)},{encoded(of_request)[1:-1]}'
        if method in METH_ALL and template is not None:  # there are as many others as clients think of
            self._said[route, method, status] = said
        return said

    def _quote_remote(self, address: str | None) -> str:
        if len(self._remotes) >= MOST_REMOTES:
            self._remotes.clear()
        found = self._remotes[address] = f',{encoded({"remote": address})[1:-1]}'
        return found

    def write(self) -> None:
        """Write what waits."""
        if self._timer is None:
            return
        self._timer.cancel()
        waiting, self._waiting, self._timer = self._waiting, [], None
        handler = self._handler
        handler.acquire()
        try:
            handler.stream.write(''.join(map(self._line, waiting)))
            handler.flush()
        except Exception:
            handler.handleError(_record(logging.ERROR, '%d lines could not be written', (len(waiting),)))
        finally:
            handler.release()


def _fields(**told: object) -> str:
    """Return a part of a line, with the comma before it; what is None is left out."""
    return f',{encoded({name: value for name, value in told.items() if value is not None})[1:-1]}'


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
    told.update(status=status, duration=round(seconds, 6), remote=request.remote)
    level = logging.ERROR if status >= 500 else logging.INFO
    record = _record(level, _message(told['method'], told['route'], status), ())
    vars(record).update(told)
    logger.handle(record)


def _message(method: str, route: str | None, status: int) -> str:
    return f'{method} {route or "no route"}: {status}'


def _record(level: int, message: str, arguments: tuple[object, ...]) -> logging.LogRecord:
    return logging.LogRecord(logger.name, level, __file__, 0, message, arguments, None)
