"""Ask for permissions within a view, where what is needed depends on more than the view itself."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from colibris.authorization.permissions import compile_permissions


async def has_permission(request: web.Request, *permissions: Any) -> bool:
    """Tell whether the account of *request* has all of *permissions*: names, or `Permission` objects.

    Raises NotConfigured if ``AUTHENTICATION`` or ``AUTHORIZATION`` is not set, and ValueError for a permission that
    nobody could have.
    """
    from colibris.authentication.base import IDENTITY, Identity
    from colibris.authentication.subsystem import subsystem as authentication
    from colibris.authorization.subsystem import subsystem as authorization

    expression = compile_permissions(permissions)
    for name in expression.names:
        authorization.backend.check_permission(name)
    identity = request.get(IDENTITY)
    if authentication.guard is None or not isinstance(identity, Identity):
        return False
    return await authentication.guard.holds(request, identity, expression)
