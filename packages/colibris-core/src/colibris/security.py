"""The protocol by which authentication and authorization stand on the one way to a view.

Core calls it for each request; colibris-auth fills it in. Without it, a view that asks for an account or a permission
is an error at start-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from colibris import api
from colibris.conf import ImproperlyConfigured
from colibris.responses import on_response as on_response  # what logs in or out uses

if TYPE_CHECKING:
    from colibris.endpoints import Endpoint


class DummyAccount:
    """The account of each request while AUTHENTICATION is not set: nobody."""

    def __repr__(self) -> str:
        return '<DummyAccount>'


NOBODY = DummyAccount()

#: Where the account of a request is found: ``request[ACCOUNT]``.
ACCOUNT = web.RequestKey('account', object)

#: The account of a request and its attributes, as they were when the guard had read it from a database for it.
ACCOUNT_READ = web.RequestKey('account_read', tuple[object, Mapping[str, object]])


def account_key(account: object) -> str | None:
    """Return what tells *account* from others, such as ``User:7``; None where there is none, or nothing does."""
    key = getattr(account, 'pk', getattr(account, 'id', None))
    if isinstance(account, Mapping):  # the claims of a token
        key = account.get('sub')
    return None if key is None else f'{type(account).__qualname__}:{key}'


class Guard(Protocol):
    """Decides who makes a request, and whether that account may do what the endpoint does."""

    def check(self, endpoints: Sequence[Endpoint]) -> None:
        """Raise ImproperlyConfigured if an endpoint asks for what this guard cannot give; called at start-up."""

    def is_anonymous(self, request: web.Request) -> bool:
        """Tell whether *request* certainly has no account: then whoever needs none may go on without `admit`."""

    async def admit(self, request: web.Request, endpoint: Endpoint | None) -> object:
        """Return the account of *request*. Raises Unauthenticated or Forbidden."""

    def security_schemes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the OpenAPI security schemes by which a client may authenticate."""

    def security_requirements(self, endpoint: Endpoint) -> Sequence[Mapping[str, Sequence[str]]]:
        """Return the OpenAPI security requirements of *endpoint*: any one of them is enough."""

    def describe_permissions(self, endpoint: Endpoint) -> str:
        """Return which permissions *endpoint* needs, in words; empty if it needs none."""


class NoGuard:
    """The guard while AUTHENTICATION and AUTHORIZATION are not set: it guards nothing, and says so at start-up."""

    def check(self, endpoints: Sequence[Endpoint]) -> None:
        for endpoint in endpoints:
            if endpoint.protected:
                raise ImproperlyConfigured(
                    f'{endpoint.method} {endpoint.path} ({endpoint.name}) requires '
                    f'{"a permission" if endpoint.permissions else "authentication"}, but AUTHENTICATION is not set: '
                    'install colibris-auth and set AUTHENTICATION in settings.py',
                    setting='AUTHENTICATION',
                )

    def is_anonymous(self, request: web.Request) -> bool:
        return False

    async def admit(self, request: web.Request, endpoint: Endpoint | None) -> object:
        if endpoint is not None and endpoint.protected:  # its guard is away already, as the service stops
            raise api.ServiceUnavailable
        return NOBODY

    def security_schemes(self) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def security_requirements(self, endpoint: Endpoint) -> Sequence[Mapping[str, Sequence[str]]]:
        return [{name: []} for name in self.security_schemes()] if endpoint.protected else []

    def describe_permissions(self, endpoint: Endpoint) -> str:
        return ''


_NO_GUARD = NoGuard()
_guard: Guard | None = None


def install(guard: Guard | None) -> None:
    """Make *guard* the guard of this process; None takes it away. Called by the subsystem that authenticates.

    It is installed when an application is made, to say what needs what, and again when it is opened, to guard.
    """
    global _guard
    _guard = guard


def is_guarded() -> bool:
    """Tell whether there is a guard that guards something."""
    return _guard is not None


def current_guard() -> Guard:
    """Return the guard of this process."""
    return _guard or _NO_GUARD
