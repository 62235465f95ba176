"""The contract of an authorization backend: it says what an account may do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Set
from typing import Any

from aiohttp import web

from colibris.subsystems import Backend


class AuthorizationBackend(Backend):
    """Says what an account may do. A backend writes `permits`.

    Its options arrive as keyword arguments; what comes from elsewhere arrives by `bind`, before `open`.
    """

    def bind(self, *, account_model: type | None, debug: bool) -> None:
        """Take the model of the accounts (None if they are none of a model, or it is not known) and ``DEBUG``.

        Raises ImproperlyConfigured if the backend cannot work with them.
        """

    @abstractmethod
    async def permits(self, account: Any, permission: str, request: web.Request) -> bool:
        """Tell whether *account*, who makes *request*, has *permission*."""

    async def permitted(self, account: Any, permissions: Set[str], request: web.Request) -> Set[str]:
        """Return those of *permissions* that *account* has; called once a request, with all that may matter.

        To be overridden where they can be looked up together.
        """
        return {permission for permission in permissions if await self.permits(account, permission, request)}

    def check_permission(self, permission: str) -> None:
        """Raise ValueError, saying which there are, if nobody could ever have *permission*; called at start-up."""
