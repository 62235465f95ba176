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
    log, count = observing.observers()
    watch = timeouts.new_watch()
    if identify is None and log is None and count is None and settings.REQUEST_TIMEOUT is None:
        return handle
    running, expired = watch.running, watch.expired

    async def attend(request: web.Request) -> web.StreamResponse:
        began = perf_counter()
        if identify is not None:
            identify(request)
        task: Any = current_task(request._loop)
        running[task] = request
        if watch.timer is None:
            watch.begin()
        status = 500
        try:
            response = await handle(request)
            status = response._status
        except web.HTTPException as exc:
            status = exc.status
            raise
        except asyncio.CancelledError:
            if task not in expired or task.cancelling() > 1:
                status = CLIENT_GONE
                raise
            response = timeouts.refusal(request)
            status = response.status
        finally:
            running.pop(task, None)  # a handler may have sent another request this way
            if expired and task in expired:  # the answer is sent by the same task
                expired.remove(task)
                task.uncancel()
            seconds = perf_counter() - began
            if log is not None:
                log(request, status, seconds)
            if count is not None:
                count(request, status, seconds)
        return response

    return attend
