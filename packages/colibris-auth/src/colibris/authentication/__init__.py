"""Find out whose request it is, as the setting ``AUTHENTICATION`` says.

from colibris.authentication import get_account, login, require_authentication

class MeView(APIView):
    authentication_required = True

    async def get(self):
        return {'name': get_account(self.request).username}
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from aiohttp import web

from colibris import security
from colibris.authentication.base import AuthenticationBackend, Identity, InvalidCredentials
from colibris.authentication.decorators import require_authentication
from colibris.authentication.passwords import hash_password, needs_rehash, verify_password
from colibris.authentication.subsystem import subsystem
from colibris.conf import ImproperlyConfigured

__all__ = [
    'AuthenticationBackend',
    'Identity',
    'InvalidCredentials',
    'create_api_key',
    'create_token',
    'get_account',
    'hash_password',
    'login',
    'logout',
    'needs_rehash',
    'require_authentication',
    'verify_password',
]


def get_account(request: web.Request) -> Any:
    """Return the account that makes *request*: ``request[ACCOUNT]``; None if it bears no credentials."""
    return request.get(security.ACCOUNT)


def login(request: web.Request, account: Any, persistent: bool = False) -> str:
    """Have the response to *request* set the cookies by which *account* is known from now on.

    They last as long as the tokens if *persistent*, else until the browser is closed. Returns the CSRF token, which is
    in a cookie as well: unsafe requests have to send it in the header ``X-CSRF-Token``. Nothing is awaited.
    """
    return subsystem.backend.login(request, account, persistent)


def logout(request: web.Request) -> None:
    """Have the response to *request* delete the cookies that `login` has set."""
    subsystem.backend.logout(request)


def create_token(account: Any) -> str:
    """Return a new access token for *account*. Raises ImproperlyConfigured unless the backend signs tokens."""
    make = getattr(subsystem.backend, 'make_token', None)
    if make is None:
        raise _cannot('make tokens', 'jwt')
    token: str = make(account)
    return token


async def create_api_key(
    account: Any, *, name: str = '', scopes: Collection[str] | None = None, validity_seconds: float | None = None
) -> str:
    """Return a new API key of *account*: the only time that it is seen, as its hash is kept.

    With the option ``key_field`` it replaces the account's key; else it is one more, called *name*, good only for the
    permissions in *scopes* and for *validity_seconds* where these are given.
    """
    create = getattr(subsystem.backend, 'create_key', None)
    if create is None:
        raise _cannot('make API keys', 'apikey')
    key: str = await create(account, name=name, scopes=scopes, validity_seconds=validity_seconds)
    return key


def _cannot(what: str, backend: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{type(subsystem.backend).__name__} cannot {what}: set AUTHENTICATION's backend to {backend!r}",
        setting='AUTHENTICATION',
    )
