"""The contract of an authorization backend: it says what an account may do."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from aiohttp import web

from colibris.subsystems import Backend


class AuthorizationBackend(Backend):
    """Says what an account may do. A backend writes `permits`."""

    @abstractmethod
    async def permits(self, account: Any, permission: str, request: web.Request) -> bool:
        """Tell whether *account*, who makes *request*, has *permission*."""

    def check_permission(self, permission: str) -> None:
        """Raise ValueError, saying which there are, if nobody could ever have *permission*; called at start-up."""
