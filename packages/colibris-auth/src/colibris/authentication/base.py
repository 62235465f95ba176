"""The contract of an authentication backend: it says whose request it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from aiohttp import web

from colibris import api
from colibris.conf import ImproperlyConfigured
from colibris.subsystems import Backend


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request, and how that was found out."""

    account: Any
    #: The account may do everything, whatever the authorization says; only the null backend gives that.
    unrestricted: bool = False
    #: The only permissions that the credentials are good for; None is all that the account has.
    scopes: frozenset[str] | None = None
    #: The credentials came in a cookie, which browsers send unasked: what a CSRF token is bound to. None: they did not.
    session: str | None = None


#: Where the identity of a request is found, beside its account: ``request[IDENTITY]``; None if there is none.
IDENTITY = web.RequestKey('identity', object)


class AuthenticationBackend(Backend):
    """Says whose request it is.

    A backend writes `authenticate` and `security_schemes`. Its options arrive as keyword arguments; what comes from
    other settings arrives by `bind`, before `open`.
    """

    #: The scheme that ``WWW-Authenticate`` names in a refusal.
    challenge: ClassVar[str] = 'Bearer'
    #: Whether each account was read from its database for the request that bears its credentials, so that no query has
    #: to find it again. That is true of the class that says it only: one derived from it may keep accounts.
    reads_accounts: ClassVar[bool] = False

    @property
    def account_model(self) -> type | None:
        """The model of the accounts; None if they are of none. Known once the backend is open."""
        return None

    @property
    def credential_headers(self) -> Sequence[str] | None:
        """The only headers in which credentials come, so that a request without them has none; None: anywhere.

        That is true of the class that says it only: one derived from it may look elsewhere.
        """
        return None

    def bind(self, *, secret_key: str | None, debug: bool) -> None:
        """Take what other settings say. Raises ImproperlyConfigured if the backend cannot work with it."""

    @abstractmethod
    async def authenticate(self, request: web.Request) -> Identity | None:
        """Return who makes *request*; None if it bears no credentials of this kind.

        Raises InvalidCredentials for credentials that are not good, whatever is wrong with them.
        """

    def has_csrf_token(self, request: web.Request, session: str, token: str) -> bool:
        """Tell whether *token*, from the header of *request*, is the CSRF token of *session*."""
        return False

    def login(self, request: web.Request, account: Any, persistent: bool = False) -> str:
        """Have the response to *request* make the client *account*; return the CSRF token of its session."""
        raise ImproperlyConfigured(
            f"{type(self).__name__} cannot log in: set AUTHENTICATION's backend to 'jwt'", setting='AUTHENTICATION'
        )

    def logout(self, request: web.Request) -> None:
        """Have the response to *request* make the client nobody again."""
        raise ImproperlyConfigured(
            f"{type(self).__name__} cannot log out: set AUTHENTICATION's backend to 'jwt'", setting='AUTHENTICATION'
        )

    @abstractmethod
    def security_schemes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the OpenAPI security schemes by which a client may authenticate, by name."""

    def security_requirements(self, method: str) -> Sequence[Mapping[str, Sequence[str]]]:
        """Return the OpenAPI security requirements of a protected *method*: any one of them is enough."""
        return [{name: []} for name in self.security_schemes()]

    def model_modules(self) -> tuple[str, ...]:
        """Return the import paths of the model modules that the backend needs."""
        return ()


class InvalidCredentials(api.Unauthenticated):
    """Raised for credentials that are not good; never says why."""

    default_message = 'the credentials are not valid'
