"""The guard: authentication and authorization as one, on the one way to a view.

The subsystem of ``AUTHENTICATION`` makes the guard of the process and installs it in core; the subsystem of
``AUTHORIZATION`` sets its `authorization`. For each request to an endpoint, `Guard.admit`

1. asks ``authentication.authenticate(request)``, which gives an `Identity` or None;
2. refuses with 401 if the endpoint is protected and there is none;
3. refuses with 403 an unsafe request that a cookie identified, if it bears no CSRF token of that session;
4. asks ``authorization.permitted(account, names, request)`` which of the permissions that the endpoint names the
   account has, and holds the endpoint's expression, compiled once, against these; refuses with 403. A name outside of
   the scopes of the credentials is not asked for.

At start-up, `Guard.check` raises ImproperlyConfigured for what would never be enforced: permissions without
``AUTHORIZATION``, and those that ``authorization.check_permission(name)`` refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from colibris import api, security
from colibris.authentication import csrf
from colibris.authentication.base import IDENTITY, AuthenticationBackend, Identity
from colibris.authorization.base import AuthorizationBackend
from colibris.authorization.permissions import Expression, compile_permissions
from colibris.conf import ImproperlyConfigured
from colibris.endpoints import Endpoint


class Guard:
    """Decides who makes a request, and whether that account may do what the endpoint does."""

    def __init__(self, authentication: AuthenticationBackend) -> None:
        self.authentication = authentication
        self.authorization: AuthorizationBackend | None = None
        self._compiled: dict[int, tuple[Endpoint, Expression]] = {}
        self._reads_accounts: bool = vars(type(authentication)).get('reads_accounts', False)
        named = 'credential_headers' in vars(type(authentication))
        self._headers = authentication.credential_headers if named else None

    def check(self, endpoints: Sequence[Endpoint]) -> None:
        """Raise ImproperlyConfigured if an endpoint asks for what would not be enforced; called at start-up."""
        for endpoint in endpoints:
            try:
                self._check_permissions(endpoint)
            except (TypeError, ValueError) as exc:
                raise ImproperlyConfigured(
                    f'{endpoint.method} {endpoint.path} ({endpoint.name}): {exc}', setting='AUTHORIZATION'
                ) from exc
        for view in {endpoint.view for endpoint in endpoints if endpoint.view is not None}:
            check_backend = getattr(view, 'check_backend', None)
            if check_backend is not None:
                check_backend(self.authentication)

    def _check_permissions(self, endpoint: Endpoint) -> None:
        if endpoint.permissions is None or endpoint.permissions in ((), []):
            return
        expression = self._expression(endpoint)
        if self.authorization is None:
            raise ValueError(
                'requires a permission, but AUTHORIZATION is not set: set it in settings.py '
                "({'backend': 'null'} permits everything to every account)"
            )
        for name in sorted(expression.names):
            self.authorization.check_permission(name)

    def _expression(self, endpoint: Endpoint) -> Expression:
        known = self._compiled.get(id(endpoint))
        if known is None:
            known = self._compiled[id(endpoint)] = (endpoint, compile_permissions(endpoint.permissions))
        return known[1]

    def is_anonymous(self, request: web.Request) -> bool:
        """Tell whether *request* certainly has no account, as none of the headers came that bear credentials."""
        if self._headers is None:
            return False
        given = request._headers
        for name in self._headers:
            if name in given:
                return False
        request._state[IDENTITY] = None
        return True

    async def admit(self, request: web.Request, endpoint: Endpoint | None) -> object:
        """Return the account of *request*, None if it has none. Raises Unauthenticated or Forbidden."""
        identity = await self._identify(request, endpoint)
        state = request._state  # the request itself is a slow mapping
        state[IDENTITY] = identity
        if identity is not None and self._reads_accounts:
            state[security.ACCOUNT_READ] = identity.account, {**vars(identity.account)}
        if endpoint is not None and endpoint.protected:
            if identity is None:
                raise self._unauthenticated(api.Unauthenticated())
            if endpoint.permissions and not await self.holds(request, identity, self._expression(endpoint)):
                raise api.Forbidden
        return None if identity is None else identity.account

    async def _identify(self, request: web.Request, endpoint: Endpoint | None) -> Identity | None:
        if request.match_info.http_exception is not None:
            return None  # nothing is there: 404 or 405 whoever asks
        if endpoint is not None and getattr(endpoint.view, 'ignores_credentials', False):
            return None
        try:
            identity = await self.authentication.authenticate(request)
        except api.Unauthenticated as exc:
            raise self._unauthenticated(exc, ' error="invalid_token"') from exc
        if identity is not None and identity.session is not None:
            csrf.check(request, identity.session, self.authentication)
        return identity

    def _unauthenticated(self, error: api.Unauthenticated, detail: str = '') -> api.Unauthenticated:
        error.headers.setdefault('WWW-Authenticate', self.authentication.challenge + detail)
        return error

    async def holds(self, request: web.Request, identity: Identity, expression: Expression) -> bool:
        """Tell whether *identity*, who makes *request*, has the permissions that *expression* asks for."""
        if identity.unrestricted:
            return True
        names = expression.names if identity.scopes is None else expression.names & identity.scopes
        if self.authorization is None or not names:
            return False
        return expression.holds(names & await self.authorization.permitted(identity.account, names, request))

    def security_schemes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the OpenAPI security schemes by which a client may authenticate."""
        return self.authentication.security_schemes()

    def security_requirements(self, endpoint: Endpoint) -> Sequence[Mapping[str, Sequence[str]]]:
        """Return the OpenAPI security requirements of *endpoint*: any one of them is enough."""
        return self.authentication.security_requirements(endpoint.method) if endpoint.protected else []

    def describe_permissions(self, endpoint: Endpoint) -> str:
        """Return which permissions *endpoint* needs, in words; empty if it needs none."""
        return str(self._expression(endpoint)) if endpoint.permissions else ''
