"""What ``check --deploy`` asks about authentication and authorization."""

from __future__ import annotations

from collections.abc import Iterator

from colibris.checks import Problem, for_deployment
from colibris.conf import settings


@for_deployment
def guards() -> Iterator[Problem]:
    """Find backends that let everybody do everything; nothing is opened."""
    if settings.is_set('AUTHENTICATION'):
        from colibris.authentication.null import NullBackend
        from colibris.authentication.subsystem import subsystem as authentication

        if isinstance(authentication.configure(), NullBackend):
            yield Problem("AUTHENTICATION is 'null': everybody may do everything", 'choose jwt or apikey')
    if settings.is_set('AUTHORIZATION'):
        from colibris.authorization.null import NullBackend as NullAuthorization
        from colibris.authorization.subsystem import subsystem as authorization

        if isinstance(authorization.configure(), NullAuthorization):
            yield Problem("AUTHORIZATION is 'null': each account may do everything", 'choose role or rights')
