"""No authorization: each account may do everything."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from colibris.authorization.base import AuthorizationBackend

logger = logging.getLogger(__name__)


class NullBackend(AuthorizationBackend):
    """Permits everything to every account."""

    def bind(self, *, account_model: type | None, debug: bool) -> None:
        if not debug:
            logger.warning(
                "AUTHORIZATION is 'null' and DEBUG is off: each account may do everything. Choose another backend."
            )

    async def permits(self, account: Any, permission: str, request: web.Request) -> bool:
        return True
