"""Who looks on how requests are answered: the access log, metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from colibris.conf import settings
from colibris.edge import access

#: Told of a request once it is answered: with which status (499 if the client went away), after how many seconds.
Observer = Callable[[web.Request, int, float], None]


def observers() -> tuple[Observer | None, Observer | None]:
    """Return who logs each request, and who counts it; None where the settings ask for nobody."""
    log = access.observer()
    if settings.METRICS is None:
        return log, None
    from colibris import metrics  # which not everybody needs

    return log, metrics.observer()
