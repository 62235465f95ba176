"""The migrations of the project: where its files are, which models it has, which databases it uses.

The project's folder is ``PACKAGE/migrations``. Databases beside the default one have a folder of their own in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colibris import subsystems
from colibris.conf import settings
from colibris.persist import database
from colibris.persist.connections import in_block
from colibris.persist.database import DEFAULT
from colibris.persist.migrations.errors import MigrationError
from colibris.persist.migrations.files import Folder
from colibris.persist.migrations.questions import Answers, Ask
from colibris.persist.migrations.runner import Report, Runner, Status
from colibris.persist.subsystem import subsystem

if TYPE_CHECKING:
    from tortoise.backends.base.client import BaseDBAsyncClient

    from colibris.persist.base import DatabaseBackend
    from colibris.persist.migrations.maker import Made

#: Seconds to wait for another process that migrates the same database.
LOCK_TIMEOUT = 60.0


def folder(name: str = DEFAULT) -> Folder:
    """Return the folder with the migrations of the database *name*."""
    path = Path(settings.PROJECT_PACKAGE_DIR) / 'migrations'
    return Folder(path if name == DEFAULT else path / name)


def names() -> list[str]:
    """Return the names of the project's databases, the default one first."""
    return list(subsystem.all_options(settings.DATABASE)) if settings.is_set('DATABASE') else [DEFAULT]


def make(
    name: str | None = None,
    *,
    renames: Iterable[str] = (),
    no_rename: bool = False,
    defaults: Iterable[str] = (),
    ask: Ask | None = None,
    database: str = DEFAULT,
) -> Path | None:
    """Write the migration that leads to the project's models as they are; no database is asked.

    Returns its file, or None when nothing has changed. *renames* are ``Model.old:new`` or ``OldModel:NewModel``,
    *defaults* are ``Model.field=value``; where they do not answer, *ask* does. Raises QuestionUnanswered without it.
    """
    answers = Answers(renames=renames, no_rename=no_rename, defaults=defaults, ask=ask)
    made = make_all([database], answers, name)
    return made[0].path if made else None


def make_all(databases: Iterable[str], answers: Answers, name: str | None = None) -> list[Made]:
    """Do what `make` does for several databases; the result says what is in the files. All are written, or none."""
    from colibris.persist.migrations import maker, state

    modules = subsystems.model_modules()
    drafts = [maker.draft(folder(item), state.find_models(modules, item), name, answers) for item in databases]
    answers.check_used()
    return [draft.write() for draft in drafts if draft is not None]


def make_empty(name: str, *, database: str = DEFAULT) -> Path:
    """Write a migration file for Python code of the project's own, and return it."""
    from colibris.persist.migrations import maker

    return maker.make_empty(folder(database), name).path


def differences(database: str = DEFAULT) -> list[str]:
    """Return in words how the project's models differ from its migrations; empty when they do not."""
    from colibris.persist.migrations import maker, state

    return maker.differences(folder(database), state.find_models(subsystems.model_modules(), database))


async def migrate(
    *,
    to: str | None = None,
    connection: BaseDBAsyncClient | None = None,
    database: str = DEFAULT,
    report: Report | None = None,
) -> list[str]:
    """Apply the migrations that the open database lacks, and return their names.

    *to* is the name or the number of the last one, or ``zero``; what is applied after it is taken back. The database's
    lock is held meanwhile. Another *connection* than that of *database* is migrated without a lock.
    """
    return await _runner(database, connection, report).migrate(to)


async def downgrade(
    *,
    to: str | None = None,
    connection: BaseDBAsyncClient | None = None,
    database: str = DEFAULT,
    report: Report | None = None,
) -> list[str]:
    """Take back the last migration, or all after *to* (a name, a number, ``zero``), and return their names."""
    return await _runner(database, connection, report).downgrade(to)


async def status(*, connection: BaseDBAsyncClient | None = None, database: str = DEFAULT) -> list[Status]:
    """Return the project's migrations in order, each with whether the open database has it."""
    return await _runner(database, connection, None).status()


def _runner(name: str, connection: BaseDBAsyncClient | None, report: Report | None) -> Runner:
    if connection is not None:
        return Runner(folder(name), connection, report=report)
    client = database.get_connection(name)
    opened = database.current()
    if opened is None:
        raise RuntimeError('the databases were closed')
    backend = opened.backends[name]
    if in_block(backend) or backend.client.wrapping is not None:
        raise MigrationError('migrations cannot run within a transaction; migrate before it begins')
    return Runner(folder(name), client, lock=lambda: backend.lock(timeout=LOCK_TIMEOUT), report=report)


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """Have the project's databases open, without a time limit for statements: changing a big table takes long."""
    if database.current() is not None:
        yield
        return
    backends = dict(_patient_backends(subsystem.all_options(settings.DATABASE)))
    async with database.opened(backends, subsystems.model_modules()):
        yield


def _patient_backends(options: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, DatabaseBackend]]:
    for name, values in options.items():
        backend = subsystem.build(name, values)
        if hasattr(backend, 'command_timeout'):
            backend = subsystem.build(name, {**values, 'command_timeout': None})
        yield name, backend
