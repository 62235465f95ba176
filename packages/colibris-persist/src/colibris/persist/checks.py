"""What ``check`` and ``check --deploy`` ask about persistence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from colibris.checks import Level, Problem, for_deployment
from colibris.conf import ImproperlyConfigured, settings
from colibris.plugins import PluginError

#: How long asking a database may take, in seconds.
_TIME_LIMIT = 20.0


def migrations() -> Iterator[Problem]:
    """Find the changes of the models that no migration has; no database is needed."""
    if not settings.is_set('DATABASE'):
        return
    from colibris.persist.migrations.project import differences, names

    for database in names():
        for line in differences(database):
            of = '' if database == 'default' else f' (database {database!r})'
            yield Problem(f'the models have a change that no migration has: {line}{of}', 'run makemigrations')


def test_database() -> Iterator[Problem]:
    """Find what is wrong with ``TEST_DATABASE``; nothing is opened."""
    if settings.is_set('DATABASE') and settings.is_set('TEST_DATABASE'):
        from colibris.persist import testdatabase
        from colibris.persist.subsystem import subsystem

        try:
            testdatabase.backends(subsystem)
        except (ImproperlyConfigured, PluginError) as error:
            yield Problem(str(error))


@for_deployment
def connections() -> Iterator[Problem]:
    """Find what is unsafe in the way to the databases; nothing is opened."""
    if not settings.is_set('DATABASE'):
        return
    from colibris.deployment import is_local, unencrypted
    from colibris.persist.base import ServerBackend
    from colibris.persist.subsystem import subsystem

    for name in subsystem.all_options(settings.DATABASE):
        backend = subsystem.backend_of(name)
        setting = 'DATABASE' if name == 'default' else f"DATABASE['databases'][{name!r}]"
        if not isinstance(backend, ServerBackend):
            yield Problem(
                f'{setting} is a file ({backend.describe()}): processes take turns to write, and other machines do '
                'not see it',
                'with more than a few writers take PostgreSQL or MySQL; keep the file on a volume of its own',
                Level.WARNING,
            )
            continue
        if not backend.ssl:
            hint = "set 'ssl' to true, or to the file of the authority's certificate"
            yield from unencrypted(setting, backend.host, hint)
        if not backend.password and not is_local(backend.host):
            yield Problem(f'{setting} has no password for the server at {backend.host}', 'give the user one')


@for_deployment
async def applied() -> list[Problem]:
    """Find the migrations that the databases lack."""
    if not settings.is_set('DATABASE'):
        return []
    from colibris.persist.migrations import project

    try:
        async with asyncio.timeout(_TIME_LIMIT), project.opened():
            return [problem for name in project.names() for problem in await _unapplied(name)]
    except Exception as error:
        reason = str(error) or f'no answer within {_TIME_LIMIT:g} seconds'
        return [Problem(f'which migrations are applied cannot be told: {reason}', 'run it where the database is')]


async def _unapplied(database: str) -> list[Problem]:
    from colibris.persist.migrations.project import status

    of = '' if database == 'default' else f' of {database}'
    missing = [item.name for item in await status(database=database) if not item.applied]
    return [Problem(f'migrations{of} are not applied: {", ".join(missing)}', 'run migrate')] if missing else []


test_database.__test__ = False  # type: ignore[attr-defined]  # its name is no test's
