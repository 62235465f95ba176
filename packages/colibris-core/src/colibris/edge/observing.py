"""Who looks on how requests are answered: the access log, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from aiohttp import web

from colibris.conf import settings
from colibris.edge import access
from colibris.edge.layer import Handle

#: Told of a request once it is answered: with which status (499 if the client went away), after how many seconds.
Observer = Callable[[web.Request, int, float], None]

CLIENT_GONE = 499


def _observers() -> list[Observer]:
    found = [] if (log := access.observer()) is None else [log]
    if settings.METRICS is not None:
        from colibris import metrics  # which not everybody needs

        found.append(metrics.observer())
    return found


def layer(handle: Handle) -> Handle:
    """Tell the observers of each request."""
    observers = _observers()
    if not observers:
        return handle

    def tell(request: web.Request, status: int, began: float) -> None:
        seconds = perf_counter() - began
        for observer in observers:
            observer(request, status, seconds)

    async def observe(request: web.Request) -> web.StreamResponse:
        began = perf_counter()
        try:
            response = await handle(request)
        except web.HTTPException as exc:
            tell(request, exc.status, began)
            raise
        except asyncio.CancelledError:
            tell(request, CLIENT_GONE, began)
            raise
        except BaseException:
            tell(request, 500, began)
            raise
        tell(request, response.status, began)
        return response

    return observe
