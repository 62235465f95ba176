"""Authentication as a subsystem of the application."""

from __future__ import annotations

from colibris import security
from colibris.authentication.base import AuthenticationBackend
from colibris.authentication.guard import Guard
from colibris.conf import ImproperlyConfigured, settings
from colibris.subsystems import Subsystem


class AuthenticationSubsystem(Subsystem[AuthenticationBackend]):
    """What ``AUTHENTICATION`` says; while it is open, its guard stands before each view."""

    name = 'authentication'
    setting = 'AUTHENTICATION'
    group = 'colibris.authentication'
    base = AuthenticationBackend
    package = 'colibris-auth'
    requires = ('persist', 'cache')

    def __init__(self) -> None:
        super().__init__()
        self.guard: Guard | None = None

    def configure(self) -> AuthenticationBackend:
        backend = self._build()
        try:
            backend.bind(secret_key=settings.SECRET_KEY, debug=settings.DEBUG)
        except ValueError as exc:
            raise ImproperlyConfigured(f'{self.setting}: {exc}', setting=self.setting) from exc
        return backend

    def _build(self) -> AuthenticationBackend:
        return super().configure()

    def prepare(self) -> None:
        """Install a guard that knows what is needed for what; it guards once it is open."""
        if not self.is_open:
            self._install(self._build())

    async def open(self) -> None:
        await super().open()
        self._install(self.backend)

    def _install(self, backend: AuthenticationBackend) -> None:
        self.guard = Guard(backend)
        security.install(self.guard)

    async def close(self) -> None:
        security.install(None)
        self.guard = None
        await super().close()

    def model_modules(self) -> tuple[str, ...]:
        return self._build().model_modules()


subsystem = AuthenticationSubsystem()
