"""Migrations: files that lead a database from one state of the models to the next, on all databases.

The rest of Colibris and its users go through this package only. What is behind it: ``maker`` compares the state that
the last file keeps with the models (``state``, ``differ``) and writes the statements of each database (``ddl``);
``runner`` applies the files. The files and the table that tracks them are aerich's in form, so that aerich can apply
them too; its own comparison is not used, as it drops renamed tables, ignores changes of foreign keys, and cannot
bring back what it has dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colibris.persist.migrations.errors import (
    InvalidMigration,
    MigrationError,
    MigrationFailed,
    QuestionUnanswered,
)
from colibris.persist.migrations.script import sql_for

if TYPE_CHECKING:
    from colibris.persist.migrations.project import differences, downgrade, make, make_empty, migrate, status

__all__ = [
    'InvalidMigration',
    'MigrationError',
    'MigrationFailed',
    'QuestionUnanswered',
    'differences',
    'downgrade',
    'make',
    'make_empty',
    'migrate',
    'sql_for',
    'status',
]

_IN_PROJECT = ('differences', 'downgrade', 'make', 'make_empty', 'migrate', 'status')


def __getattr__(name: str) -> Any:
    if name in _IN_PROJECT:  # migration files import this package, and need only the script
        from colibris.persist.migrations import project

        return getattr(project, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
