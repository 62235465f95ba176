"""The commands for migrations: ``makemigrations``, ``migrate``, ``downgrade``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from colibris.commands import CommandError, project_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from colibris.persist.migrations.files import Migration
    from colibris.persist.migrations.runner import Report

F = TypeVar('F', bound=Callable[..., Any])

_database = click.option(
    '--database', metavar='NAME', help="Only this one of the project's databases, 'default' or one it names."
)


@click.command()
@click.argument('name', required=False)
@click.option(
    '--rename',
    'renames',
    multiple=True,
    metavar='OLD:NEW',
    help='A field (Model.old:new) or a model (Old:New) has a new name and keeps its values; may be given repeatedly.',
)
@click.option('--no-rename', is_flag=True, help='What is new is new: nothing is asked, what is gone is dropped.')
@click.option(
    '--default',
    'defaults',
    multiple=True,
    metavar='MODEL.FIELD=VALUE',
    help='What existing rows get in a column that must have a value; dates take now and today, UUIDs uuid.',
)
@click.option('--empty', is_flag=True, help='Make a migration for Python code of your own; it needs a NAME.')
@_database
@project_command
def makemigrations(
    name: str | None,
    renames: tuple[str, ...],
    no_rename: bool,
    defaults: tuple[str, ...],
    empty: bool,
    database: str | None,
) -> None:
    """Write the changes of the models since the last migration to a new one, called NAME. No database is needed.

    Each file has the statements for SQLite, PostgreSQL and MySQL, there and back. Look at it before you apply it.
    """
    from colibris.persist.migrations.project import make_all, make_empty
    from colibris.persist.migrations.questions import Answers

    with _readable():
        if empty:
            if not name:
                raise CommandError('--empty needs a name: makemigrations --empty NAME')
            click.echo(f'Made {_shown(make_empty(name, database=database or "default"))}: write its code there.')
            return
        answers = Answers(
            renames=renames, no_rename=no_rename, defaults=defaults, ask=_Terminal() if sys.stdin.isatty() else None
        )
        made = make_all(_databases(database), answers, name)
        for result in made:
            click.echo(f'Made {_shown(result.path)}:')
            for line in result.summary:
                click.echo(f'  - {line}')
            if result.losses:
                click.echo(f'Warning: it drops {", ".join(result.losses)}, with all values.', err=True)
    if not made:
        click.echo('No changes: the migrations are up to date with the models.')


@click.command()
@click.option('--list', 'listing', is_flag=True, help='Show all migrations, and which are applied.')
@click.option('--to', metavar='NAME', help='Up to this one, a name or a number; what is after it is taken back.')
@click.option(
    '--check',
    is_flag=True,
    help='Exit with 1 if the models have changes that no migration has; no database is needed or asked.',
)
@_database
@project_command
async def migrate(listing: bool, to: str | None, check: bool, database: str | None) -> None:
    """Apply the migrations that the database does not have yet."""
    given = [option for option, value in (('--list', listing), ('--to', to), ('--check', check)) if value]
    if len(given) > 1:
        raise CommandError(f'{" and ".join(given)} do different things: give one of them')
    with _readable():
        if check:
            _check(database)
            return
        from colibris.persist.migrations import project

        async with project.opened():
            for name in _databases(database):
                if listing:
                    await _list(name)
                else:
                    done = await project.migrate(to=to, database=name, report=_reporter(name))
                    if not done:
                        click.echo(f'Nothing to apply{_of(name)}.')


@click.command()
@click.option('--to', metavar='NAME', help='All after this one, a name or a number, or all with zero.')
@_database
@project_command
async def downgrade(to: str | None, database: str | None) -> None:
    """Take back the last migration. What it made, tables and columns, is dropped with its values."""
    from colibris.persist.migrations import project

    with _readable():
        async with project.opened():
            name = database or 'default'
            done = await project.downgrade(to=to, database=name, report=_reporter(name))
            if not done:
                click.echo(f'Nothing to take back{_of(name)}.')


def _check(database: str | None) -> None:
    from colibris.persist.migrations.project import differences

    found = [(name, line) for name in _databases(database) for line in differences(name)]
    if not found:
        click.echo('The migrations are up to date with the models. (Which are applied: migrate --list)')
        return
    click.echo('The models have changes that no migration has; run makemigrations:')
    for name, line in found:
        click.echo(f'  - {line}{_of(name)}')
    raise click.exceptions.Exit(1)


async def _list(name: str) -> None:
    from colibris.persist.migrations.project import status

    found = await status(database=name)
    if not found:
        click.echo(f'There are no migrations{_of(name)}.')
    for item in found:
        click.echo(
            f'[{"X" if item.applied else " "}] {item.name}{" (file missing)" if item.missing else ""}{_of(name)}'
        )


def _reporter(database: str) -> Report:
    """Return what tells of each migration of *database* that is applied or taken back."""

    def report(direction: str, migration: Migration, duration: float) -> None:
        done = 'Applied' if direction == 'upgrade' else 'Took back'
        click.echo(f'{done} {migration.name}{_of(database)} ({duration:.2f} s)')
        if direction == 'downgrade' and migration.made:
            click.echo(f'Warning: it dropped {", ".join(migration.made)}, with all values.', err=True)

    return report


def _of(database: str) -> str:
    return '' if database == 'default' else f' of {database}'


def _databases(database: str | None) -> Sequence[str]:
    from colibris.persist.migrations.project import names

    known = names()
    if database is None:
        return known
    if database not in known:
        raise CommandError(f'there is no database {database!r}; there are: {", ".join(known)}')
    return [database]


def _shown(path: Any) -> str:
    from pathlib import Path

    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what a user can act on into an error without a traceback."""
    from colibris.persist.migrations.errors import MigrationError

    try:
        yield
    except MigrationError as exc:
        raise CommandError(str(exc)) from exc


class _Terminal:
    """Asks the person on the terminal."""

    def renamed_model(self, new: str, candidates: Sequence[str]) -> str | None:
        return self._choose(
            f'The model {new} is new. Was it called differently before (its rows are kept)?', candidates
        )

    def renamed_field(self, model: str, new: str, candidates: Sequence[str]) -> str | None:
        question = f'The field {model}.{new} is new. Was it called differently before (its values are kept)?'
        return self._choose(question, candidates)

    def _choose(self, question: str, candidates: Sequence[str]) -> str | None:
        click.echo(question)
        for number, candidate in enumerate(candidates, start=1):
            click.echo(f'  {number}  yes, {candidate}')
        click.echo(
            f'  0  no: {", ".join(candidates)} will be dropped' if len(candidates) == 1 else '  0  no, none of these'
        )
        number = click.prompt('Number', type=click.IntRange(0, len(candidates)))
        return candidates[number - 1] if number else None

    def value(self, model: str, field: str, reason: str, proposal: str | None) -> str:
        click.echo(f'{model}.{field} {reason}, and has no database default.')
        text: str = click.prompt(
            'Which value do the existing rows get?' + (f' (Enter for {proposal})' if proposal is not None else ''),
            default='' if proposal is not None else None,
            show_default=False,
        )
        return text
