"""Who looks on how requests are answered: the access log, metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from colibris.conf import settings
from colibris.edge import access

#: Told of a request once it is answered: with which status (499 if the client went away), after how many seconds.
Observer = Callable[[web.Request, int, float], None]


def observers() -> tuple[Observer, ...]:
    """Return who is to be told of each request, as the settings ask."""
    found = [] if (log := access.observer()) is None else [log]
    if settings.METRICS is not None:
        from colibris import metrics  # which not everybody needs

        found.append(metrics.observer())
    return tuple(found)
