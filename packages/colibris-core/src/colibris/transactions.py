"""What waits for the commit of a database transaction: the hook between persistence and everything else."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar

Callback = Callable[[], Awaitable[object] | object]

logger = logging.getLogger(__name__)

#: The callbacks of the innermost open transaction; None outside of transactions. Set by colibris-persist.
hooks: ContextVar[list[Callback] | None] = ContextVar('colibris_commit_hooks', default=None)

_tasks: set[asyncio.Future[object]] = set()


def on_commit(callback: Callback) -> None:
    """Run *callback* (sync or async, no arguments) once the outermost transaction has committed.

    Outside of a transaction it runs now: a sync one at once, an async one as a task of its own. A rollback drops it.
    """
    waiting = hooks.get()
    if waiting is not None:
        waiting.append(callback)
        return
    result = callback()
    if inspect.isawaitable(result):
        task = asyncio.ensure_future(result)
        _tasks.add(task)
        task.add_done_callback(_finished)


def _finished(task: asyncio.Future[object]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error('a callback of on_commit failed', exc_info=error)


async def run_hooks(callbacks: Iterable[Callback]) -> None:
    """Run *callbacks* in order; one that fails is logged and does not keep the others from running."""
    for callback in callbacks:
        try:
            result = callback()
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception('a callback of on_commit failed')


async def drain() -> None:
    """Wait for the callbacks that run as tasks; called at shutdown."""
    while _tasks:
        await asyncio.wait(set(_tasks))
