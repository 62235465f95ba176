"""Middlewares that do nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web


def _make() -> Callable[..., Awaitable[web.StreamResponse]]:
    async def pass_on(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        return await handler(request)

    return pass_on


globals().update({f'pass_on_{number}': _make() for number in range(7)})
