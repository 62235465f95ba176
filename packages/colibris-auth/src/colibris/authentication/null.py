"""No authentication: each request is the dummy account's, which may do everything."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from colibris.authentication.base import AuthenticationBackend, Identity
from colibris.security import DummyAccount

logger = logging.getLogger(__name__)


class NullBackend(AuthenticationBackend):
    """Takes each request for the dummy account's, and lets it do everything."""

    def __init__(self) -> None:
        self._identity = Identity(DummyAccount(), unrestricted=True)

    def bind(self, *, secret_key: str | None, debug: bool) -> None:
        if not debug:
            logger.warning(
                "AUTHENTICATION is 'null' and DEBUG is off: everybody may do everything. Choose another backend."
            )

    async def authenticate(self, request: web.Request) -> Identity:
        return self._identity

    def security_schemes(self) -> Mapping[str, Mapping[str, Any]]:
        return {}
