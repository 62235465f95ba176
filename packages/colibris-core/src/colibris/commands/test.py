"""``test``: run the tests of the project with pytest."""

import os
import sys
import tomllib
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
    command = [sys.executable, '-m', 'pytest', *_where_to_look(project), *(_absolute(text) for text in arguments)]
    os.chdir(project.root)
    sys.stdout.flush()
    os.execv(sys.executable, command)


def _where_to_look(project: Project) -> Sequence[str]:
    """Return the option that leads pytest to ``PACKAGE/tests``, unless the project configures pytest otherwise."""
    if any((project.root / name).exists() for name in ('pytest.ini', 'pytest.toml', 'tox.ini', 'setup.cfg')):
        return ()
    file = project.root / 'pyproject.toml'
    tool = tomllib.loads(file.read_text(encoding='utf-8')).get('tool', {}) if file.is_file() else {}
    options = tool.get('pytest', {})
    if 'testpaths' in options or 'testpaths' in options.get('ini_options', {}):
        return ()
    return ('-o', f'testpaths={project.package.replace(".", "/")}/tests')


def _absolute(argument: str) -> str:
    """Turn the path of a test into an absolute one, as pytest runs in another folder than the caller is in."""
    path, *rest = argument.split('::', 1)
    if argument.startswith('-') or not path or not Path(path).exists():
        return argument
    return '::'.join((str(Path(path).resolve()), *rest))
