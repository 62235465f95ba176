"""`colibris startproject`, also installed as `colibris-start-project`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from colibris.startproject import Project, StartProjectError, start_project


@click.command(context_settings={'ignore_unknown_options': True})  # so that a NAME like '--' is called a bad name
@click.argument('name')
@click.option('--template', metavar='DIR|GIT-URL', help='A folder, or a git repository (https, ssh, file) with @tag.')
def startproject(name: str, template: str | None) -> None:
    """Make the project NAME in a new folder of that name."""
    try:
        with _clean_when_terminated():
            project = start_project(name, template)
    except StartProjectError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(_summary(project, has_accounts=template is None))


def main() -> None:
    """Run `colibris-start-project`."""
    startproject(prog_name='colibris-start-project')


@contextmanager
def _clean_when_terminated() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that nothing half made is left behind."""
    previous = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _summary(project: Project, *, has_accounts: bool) -> str:
    lines = [f'Made {project.path.name}/ with the package {project.package}. Now:', '', f'    cd {project.path.name}']
    manage = Path(project.package, 'manage.py')
    if (project.path / manage).is_file():
        steps = ['migrate', *(['createaccount admin --role admin'] if has_accounts else []), 'test', 'runserver']
        lines += [f'    ./{manage} {step}' for step in steps]
    return '\n'.join(lines)
