"""What each request has from its first moment to its last: an id, a limit of time, and somebody who looks on.

It is one layer, the outermost, as a layer costs as much as what it does here.
"""

from __future__ import annotations

import asyncio
from asyncio import current_task
from time import perf_counter
from typing import Any

from aiohttp import web

from colibris.conf import settings
from colibris.edge import observing, requestids, timeouts
from colibris.edge.layer import Handle

#: The status that observers are told of a request whose client went away.
CLIENT_GONE = 499


def layer(handle: Handle) -> Handle:
    """Attend to each request, as REQUEST_IDS, REQUEST_TIMEOUT, ACCESS_LOG and METRICS say."""
    identify = requestids.identifier()
    tell = observing.observer()
    watch = timeouts.new_watch()
    if identify is None and tell is None and settings.REQUEST_TIMEOUT is None:
        return handle
    running, expired = watch.running, watch.expired

    async def attend(request: web.Request) -> web.StreamResponse:
        began = perf_counter()
        if identify is not None:
            identify(request)
        task: Any = current_task()
        key = id(request)
        running[key] = request, task
        if watch.timer is None:
            watch.begin()
        status = 500
        try:
            response = await handle(request)
            status = response.status
        except web.HTTPException as exc:
            status = exc.status
            raise
        except asyncio.CancelledError:
            if key not in expired or task.cancelling() > 1:
                status = CLIENT_GONE
                raise
            response = timeouts.refusal(request)
            status = response.status
        finally:
            del running[key]
            if key in expired:  # the answer is sent by the same task
                expired.remove(key)
                task.uncancel()
            if tell is not None:
                tell(request, status, perf_counter() - began)
        return response

    return attend
