"""Ending what runs in the background of the event loop, though it may lose a cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

#: When the end is asked for again, in seconds.
_AGAIN = 0.2


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel *task* and wait for its end; the cancellation is repeated until then.

    The client of Redis loses one that comes while it connects: it raises an error of its own instead.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN)
