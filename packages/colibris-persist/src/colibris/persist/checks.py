"""What ``check`` asks about persistence."""

from __future__ import annotations

from collections.abc import Iterator

from colibris.checks import Problem
from colibris.conf import ImproperlyConfigured, settings
from colibris.plugins import PluginError


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


test_database.__test__ = False  # type: ignore[attr-defined]  # its name is no test's
