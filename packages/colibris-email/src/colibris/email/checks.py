"""What ``check --deploy`` asks about email."""

from __future__ import annotations

from collections.abc import Iterator

from colibris.checks import Level, Problem, for_deployment
from colibris.conf import settings


@for_deployment
def delivery() -> Iterator[Problem]:
    """Find backends that send nothing; nothing is opened."""
    if not settings.is_set('EMAIL'):
        return
    from colibris.email.console import ConsoleBackend
    from colibris.email.file import FileBackend
    from colibris.email.memory import MemoryBackend
    from colibris.email.subsystem import subsystem

    backend = subsystem.configure()
    if isinstance(backend, ConsoleBackend | FileBackend | MemoryBackend):
        yield Problem(
            f'EMAIL ({settings.source("EMAIL")}) sends nothing: {type(backend).__name__} is for development',
            'EMAIL_BACKEND=smtp with EMAIL_HOST, or remove EMAIL',
            Level.WARNING,
        )
