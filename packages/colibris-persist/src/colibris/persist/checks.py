"""What ``check`` asks about persistence."""

from __future__ import annotations

from collections.abc import Iterator

from colibris.checks import Problem
from colibris.conf import settings


def migrations() -> Iterator[Problem]:
    """Find the changes of the models that no migration has; no database is needed."""
    if not settings.is_set('DATABASE'):
        return
    from colibris.persist.migrations.project import differences, names

    for database in names():
        for line in differences(database):
            of = '' if database == 'default' else f' (database {database!r})'
            yield Problem(f'the models have a change that no migration has: {line}{of}', 'run makemigrations')
