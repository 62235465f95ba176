"""Authorization as a subsystem of the application."""

from __future__ import annotations

from colibris.authentication.subsystem import subsystem as authentication
from colibris.authorization.base import AuthorizationBackend
from colibris.conf import ImproperlyConfigured, settings
from colibris.subsystems import Subsystem


class AuthorizationSubsystem(Subsystem[AuthorizationBackend]):
    """What ``AUTHORIZATION`` says; while it is open, the guard holds permissions against it."""

    name = 'authorization'
    setting = 'AUTHORIZATION'
    group = 'colibris.authorization'
    base = AuthorizationBackend
    package = 'colibris-auth'
    requires = ('persist', 'cache', 'authentication')

    def configure(self) -> AuthorizationBackend:
        backend = self._build()
        model = authentication.backend.account_model if authentication.is_open else None
        backend.bind(account_model=model, debug=settings.DEBUG)
        return backend

    def prepare(self) -> None:
        """Have the guard know who could have which permissions; it guards once it is open."""
        backend = self._build()
        if authentication.guard is not None and not self.is_open:
            authentication.guard.authorization = backend

    def _build(self) -> AuthorizationBackend:
        if not settings.is_set(authentication.setting):
            raise ImproperlyConfigured(
                'AUTHORIZATION is set, but AUTHENTICATION is not: nobody would have an account to permit anything to; '
                'set AUTHENTICATION in settings.py',
                setting=self.setting,
            )
        return super().configure()

    async def open(self) -> None:
        await super().open()
        if authentication.guard is not None:
            authentication.guard.authorization = self.backend

    async def close(self) -> None:
        if authentication.guard is not None:
            authentication.guard.authorization = None
        await super().close()


subsystem = AuthorizationSubsystem()
