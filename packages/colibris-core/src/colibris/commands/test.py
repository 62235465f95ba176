"""``test``: run the tests of the project with pytest."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from colibris.commands.context import CommandError, current_project
from colibris.conf.project import Project


@click.command(
    add_help_option=False,
    context_settings={'ignore_unknown_options': True, 'allow_extra_args': True, 'allow_interspersed_args': False},
)
@click.argument('arguments', nargs=-1, type=click.UNPROCESSED)
def test(arguments: Sequence[str]) -> None:
    """Run the project's tests; all arguments go to pytest."""
    project = current_project()
    if find_spec('pytest') is None:
        raise CommandError("the tests need pytest, which is not installed: pip install 'colibris-core[test]'")
    command = [sys.executable, '-m', 'pytest', *_configuration(project), *(_absolute(text) for text in arguments)]
    os.chdir(project.root)
    sys.stdout.flush()
    os.execv(sys.executable, command)


def _configuration(project: Project) -> Sequence[str]:
    """Return the option that keeps pytest to the project's own configuration, not that of a folder above it."""
    if any((project.root / name).exists() for name in ('pytest.ini', 'pytest.toml', 'tox.ini', 'setup.cfg')):
        return ()
    return ('-c', 'pyproject.toml') if (project.root / 'pyproject.toml').exists() else ()


def _absolute(argument: str) -> str:
    """Turn the path of a test into an absolute one, as pytest runs in another folder than the caller is in."""
    path, *rest = argument.split('::', 1)
    if argument.startswith('-') or not path or not Path(path).exists():
        return argument
    return '::'.join((str(Path(path).resolve()), *rest))
