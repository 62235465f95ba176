"""The subsystems of a project while its tests run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from contextvars import ContextVar, copy_context
from typing import Any

from colibris import subsystems, transactions

_MISSING = object()


class Session:
    """Opens the subsystems for a run of tests, and closes them.

    All of it happens in one context of variables, so that what is set when a subsystem opens can be reset when it
    closes, whichever fixture asks for it; `show` hands the variables on to the caller's own context.
    """

    def __init__(self) -> None:
        self._context = copy_context()
        self._before: dict[ContextVar[Any], object] = dict(self._context.items())
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Open the configured subsystems, in order."""
        await self._run(self._open())

    async def close(self) -> None:
        """Close them, in reverse."""
        await self._run(self._stack.aclose())

    def show(self) -> None:
        """Set in the current context what the opening of the subsystems has set in theirs."""
        for variable, value in self._context.items():
            if self._before.get(variable, _MISSING) is not value:
                variable.set(value)

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.get_running_loop().create_task(work, context=self._context)

    async def _open(self) -> None:
        found = subsystems.configured()
        async with AsyncExitStack() as stack:
            for subsystem in found:
                await stack.enter_async_context(subsystem.test_session())
            stack.enter_context(subsystems.adopt(found))
            stack.push_async_callback(transactions.drain)
            self._stack = stack.pop_all()
