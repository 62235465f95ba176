"""Ready views for login, refresh, logout and change of password, to be put into ``ROUTES``.

ROUTES = [
    ('/login', LoginView),
    ('/refresh', RefreshView),
    ('/logout', LogoutView),
    ('/password', ChangePasswordView),
]
"""

from __future__ import annotations

from typing import Any, ClassVar

from aiohttp import web

from colibris import api, security
from colibris.authentication import passwords
from colibris.authentication.base import IDENTITY, AuthenticationBackend, Identity
from colibris.authentication.csrf import CSRFError
from colibris.authentication.jwt import JWTBackend
from colibris.authentication.logins import begin_refresh, change_password, find_by_password
from colibris.authentication.subsystem import subsystem
from colibris.authentication.throttle import TooManyAttempts
from colibris.conf import ImproperlyConfigured
from colibris.endpoints import Description
from colibris.requests import load_body
from colibris.schemas import Schema, fields, validate
from colibris.views import APIView

__all__ = [
    'ChangePasswordView',
    'CookieLoginView',
    'LoginView',
    'LogoutView',
    'RefreshView',
]


class LoginSchema(Schema):
    """Who wants to log in."""

    username = fields.String(required=True, validate=validate.Length(min=1, max=255))
    password = fields.String(required=True, load_only=True, validate=validate.Length(min=1, max=passwords.MAX_LENGTH))


class CookieLoginSchema(LoginSchema):
    """Who wants to log in, and for how long."""

    persistent = fields.Boolean(load_default=False)


class RefreshSchema(Schema):
    """A refresh token."""

    refresh_token = fields.String(required=True, load_only=True, validate=validate.Length(min=1, max=512))


class LogoutSchema(Schema):
    """A refresh token, if there is one to be ended."""

    refresh_token = fields.String(load_only=True, validate=validate.Length(min=1, max=512))


class ChangePasswordSchema(Schema):
    """A password and the one that replaces it."""

    old_password = fields.String(
        required=True, load_only=True, validate=validate.Length(min=1, max=passwords.MAX_LENGTH)
    )
    new_password = fields.String(
        required=True, load_only=True, validate=validate.Length(min=8, max=passwords.MAX_LENGTH)
    )


class TokensSchema(Schema):
    """The tokens of a login (RFC 6749, 5.1)."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)
    refresh_token = fields.String()


class PasswordChangedSchema(TokensSchema):
    """New tokens, or for who is logged in by a cookie the new CSRF token."""

    access_token = fields.String()
    token_type = fields.String()
    expires_in = fields.Integer()
    csrf_token = fields.String()


class CSRFTokenSchema(Schema):
    """What unsafe requests have to send in the header X-CSRF-Token."""

    csrf_token = fields.String(required=True)


class TokenView(APIView):
    """What the ready views have in common: they need the JWT backend, with a model, and a key to sign with."""

    tags = ('authentication',)

    @classmethod
    def check_backend(cls, backend: AuthenticationBackend) -> None:
        """Raise ImproperlyConfigured if *backend* cannot do what the view needs; called at start-up."""
        if not (isinstance(backend, JWTBackend) and backend.accounts is not None and backend.signs_by is not None):
            raise ImproperlyConfigured(
                f"{cls.__qualname__} needs AUTHENTICATION to be by the backend 'jwt', with a model, signing by HS256",
                setting='AUTHENTICATION',
            )
        backend.accounts.check_field('password_field', backend.password_field)

    @property
    def backend(self) -> JWTBackend:
        """The backend that `check_backend` has approved of."""
        backend = subsystem.backend
        self.check_backend(backend)
        return backend  # type: ignore[return-value]

    async def answer_tokens(self, account: Any, refresh_token: str | None) -> web.Response:
        """Answer with an access token of *account* and *refresh_token*."""
        backend = self.backend
        found = {
            'access_token': backend.make_token(account),
            'token_type': 'Bearer',
            'expires_in': backend.validity_seconds,
        }
        if refresh_token is not None:
            found['refresh_token'] = refresh_token
        return _unstored(found)


class LoginView(TokenView):
    """Gives tokens for a name and a password."""

    body_schema_class = LoginSchema
    response_schema_class = TokensSchema
    ignores_credentials: ClassVar[bool] = True

    @classmethod
    def describe(cls, method: str) -> Description:
        return Description(errors=(api.Unauthenticated, TooManyAttempts))

    async def post(self) -> web.Response:
        """Log in."""
        data = await self.get_validated_body()
        account = await find_by_password(self.backend, self.request, data['username'], data['password'])
        return await self.answer_tokens(account, await begin_refresh(self.backend, account, data['password']))


class CookieLoginView(TokenView):
    """Sets a cookie for a name and a password; for browsers. No token is shown to scripts but the CSRF token."""

    body_schema_class = CookieLoginSchema
    response_schema_class = CSRFTokenSchema
    ignores_credentials: ClassVar[bool] = True

    @classmethod
    def describe(cls, method: str) -> Description:
        return Description(errors=(api.Unauthenticated, api.Forbidden, TooManyAttempts))

    async def post(self) -> web.Response:
        """Log in by a cookie."""
        if self.request.headers.get('Sec-Fetch-Site', '').lower() == 'cross-site':
            raise CSRFError('another site may not log anybody in here')
        data = await self.get_validated_body()
        account = await find_by_password(self.backend, self.request, data['username'], data['password'])
        token = self.backend.login(self.request, account, data['persistent'])
        return _unstored({'csrf_token': token})


class RefreshView(TokenView):
    """Exchanges a refresh token for new tokens. Each is good for one exchange; a second one ends the login."""

    body_schema_class = RefreshSchema
    response_schema_class = TokensSchema
    ignores_credentials: ClassVar[bool] = True

    @classmethod
    def check_backend(cls, backend: AuthenticationBackend) -> None:
        super().check_backend(backend)
        if getattr(backend, 'refresh_validity_seconds', None) is None:
            raise ImproperlyConfigured(
                f"{cls.__qualname__} has nothing to exchange: AUTHENTICATION['refresh_validity_seconds'] is None",
                setting='AUTHENTICATION.refresh_validity_seconds',
            )

    @classmethod
    def describe(cls, method: str) -> Description:
        return Description(errors=(api.Unauthenticated,))

    async def post(self) -> web.Response:
        """Exchange a refresh token."""
        data = await self.get_validated_body()
        account, following = await self.backend.refresh(data['refresh_token'])
        return await self.answer_tokens(account, following)


class LogoutView(TokenView):
    """Deletes the cookies of a login, and ends the refresh token in the body if there is one."""

    @classmethod
    def describe(cls, method: str) -> Description:
        return Description(status=204)

    async def post(self) -> None:
        """Log out."""
        backend = self.backend
        if self.request.body_exists:
            data = await load_body(self.request, LogoutSchema())
            if backend.refresh_tokens is not None and 'refresh_token' in data:
                await backend.refresh_tokens.end(data['refresh_token'])
        backend.logout(self.request)


class ChangePasswordView(TokenView):
    """Changes the password of the account, ends its refresh tokens, and gives new ones."""

    authentication_required = True
    body_schema_class = ChangePasswordSchema
    response_schema_class = PasswordChangedSchema

    @classmethod
    def describe(cls, method: str) -> Description:
        return Description(errors=(api.Conflict, TooManyAttempts))

    async def post(self) -> web.Response:
        """Change the password."""
        data = await self.get_validated_body()
        account = self.request[security.ACCOUNT]
        await change_password(self.backend, self.request, account, data['old_password'], data['new_password'])
        identity = self.request[IDENTITY]
        if isinstance(identity, Identity) and identity.session is not None:
            return _unstored({'csrf_token': self.backend.login(self.request, account)})
        return await self.answer_tokens(account, await self.backend.begin_refresh(account))


def _unstored(data: dict[str, Any]) -> web.Response:
    """Answer with secrets, which no cache on the way may keep."""
    return api.json_response(data, headers={'Cache-Control': 'no-store'})
