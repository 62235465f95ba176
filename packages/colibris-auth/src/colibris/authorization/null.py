"""No authorization: each account may do everything."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from colibris.authorization.base import AuthorizationBackend


class NullBackend(AuthorizationBackend):
    """Permits everything to every account."""

    async def permits(self, account: Any, permission: str, request: web.Request) -> bool:
        return True
