"""The access log: a line for each request, or for a part of them; what fails is always told."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from aiohttp import web

from colibris.conf import settings
from colibris.logs.context import current_request_id, current_trace_id, of_request

logger = logging.getLogger('colibris.access')


def observer() -> Callable[[web.Request, int, float], None] | None:
    """Return what logs requests, as ACCESS_LOG says: all, a part, or, as None, none."""
    rate = sampling_rate()
    if not rate or not logger.isEnabledFor(logging.INFO):
        return None

    def log(request: web.Request, status: int, seconds: float) -> None:
        if status < 500 and rate < 1 and random.random() >= rate:
            return
        write(request, status, seconds)

    return log


def sampling_rate() -> float:
    """Return the part of the requests that is logged."""
    value = settings.ACCESS_LOG
    if value is None:
        value = settings.DEBUG
    return float(value)


def write(request: web.Request, status: int, seconds: float) -> None:
    """Write the line of one request."""
    told: dict[str, Any] = of_request(request)
    if (request_id := current_request_id()) is not None:
        told['request_id'] = request_id
    if (trace_id := current_trace_id()) is not None:
        told['trace_id'] = trace_id
    told.update(status=status, duration=round(seconds, 6), remote=request.remote)
    place = told['route'] or 'no route'
    record = logging.LogRecord(
        logger.name,
        logging.ERROR if status >= 500 else logging.INFO,
        __file__,
        0,
        '%s %s: %d in %.1f ms',
        (request.method, place, status, seconds * 1000),
        None,
    )
    vars(record).update(told)
    logger.handle(record)
