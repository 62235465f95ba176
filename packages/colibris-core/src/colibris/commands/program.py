"""The one click program behind ``colibris`` and every ``manage.py``."""

import functools
import traceback
from difflib import get_close_matches
from textwrap import shorten
from typing import Any

import click

from colibris import plugins
from colibris._version import __version__
from colibris.commands import own
from colibris.commands.context import CommandError, Place, describe, from_project, is_of_import, speaks_for_itself
from colibris.commands.loading import loading
from colibris.conf import settings
from colibris.conf.project import Project

COMMANDS = 'colibris.commands'
OPTIONS = 'colibris.command_options'

#: Commands of distributions of ours that may not be installed, to say what to install.
ELSEWHERE = {
    'makemigrations': 'colibris-persist',
    'migrate': 'colibris-persist',
    'downgrade': 'colibris-persist',
    'runworker': 'colibris-tasks',
    'tasks': 'colibris-tasks',
}


class BrokenCommand(click.Command):
    """Stands for a command that cannot be loaded: it is listed, and raises its error when it is run."""

    def __init__(self, name: str, error: Exception) -> None:
        settings = {'ignore_unknown_options': True, 'allow_extra_args': True}
        reason = shorten(str(error.__cause__ or error), 60, placeholder='…')
        super().__init__(name, short_help=f'(broken: {reason})', context_settings=settings, add_help_option=False)
        self.error = error

    def invoke(self, ctx: click.Context) -> Any:
        raise self.error


class Program(click.Group):
    """The commands of all installed distributions and of the project, each loaded when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*plugins.found(COMMANDS), *own.commands_of(_project(ctx)).found})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        installed = cmd_name in plugins.found(COMMANDS)
        if installed and not own.may_define(_project(ctx), cmd_name):
            return _load(cmd_name)
        project = own.commands_of(_project(ctx))
        mine = project.found.get(cmd_name)
        if installed and mine is not None:
            return BrokenCommand(cmd_name, _taken(cmd_name, project.module))
        return _load(cmd_name) if installed else mine

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name.startswith('-') or ctx.resilient_parsing or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        raise click.UsageError(self._unknown(ctx, name), ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_commands(ctx, formatter)
        project = own.commands_of(_project(ctx))
        if project.error is not None:
            formatter.write_paragraph()
            formatter.write_text(f'The commands of {project.module} are missing: {project.error}')

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.UsageError, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get('traceback'):
                traceback.print_exception(error)
            elif _is_worth_a_traceback(error, _project(ctx)):
                traceback.print_exception(error.with_traceback(from_project(error, _project(ctx))))
            if isinstance(error, click.ClickException):
                raise
            raise CommandError(describe(error, _project(ctx))) from error

    def _unknown(self, ctx: click.Context, name: str) -> str:
        message = f'there is no command {name!r}'
        if close := get_close_matches(name, self.list_commands(ctx), 1):
            return f'{message}; did you mean {close[0]!r}?'
        if name in ELSEWHERE:
            return f'{message}; it comes with {ELSEWHERE[name]}: pip install {ELSEWHERE[name]}'
        project = own.commands_of(_project(ctx))
        if project.error is not None:
            return f'{message}, unless {project.module} has it, which cannot be loaded: {project.error}'
        return f'{message}; `{ctx.command_path} --help` lists those there are'


def _project(ctx: click.Context) -> Project | None:
    place = ctx.find_object(Place)
    return place.project_if_any if place else None


@functools.cache
def _load(name: str) -> click.Command:
    """Load an installed command; one that cannot be loaded fails when it is run."""
    try:
        with loading():
            command = plugins.load(COMMANDS, name)
        if not isinstance(command, click.Command):
            raise plugins.BrokenPlugin(f'the command {name!r} is no click command but {command!r}')
    except Exception as error:
        return BrokenCommand(name, error)
    return _with_options(name, command)


def _taken(name: str, module: str) -> CommandError:
    (owner, *_) = plugins.found(COMMANDS)[name]
    distribution = f'{owner.dist.name} {owner.dist.version}' if owner.dist else owner.value
    return CommandError(f'two commands are named {name!r}, one in {module} and one of {distribution}: rename yours')


def _with_options(name: str, command: click.Command) -> click.Command:
    """Let other distributions add their options to *command*; one that fails is left out, with a warning."""
    for entry_point in plugins.found(OPTIONS).get(name, ()):
        try:
            with loading():
                extended = entry_point.load()(command)
            if not isinstance(extended, click.Command):
                raise TypeError(f'it returned {extended!r} instead of a click command')
        except Exception as error:
            source = entry_point.dist.name if entry_point.dist else entry_point.value
            click.echo(f'Warning: what {source} adds to {name!r} is missing: {describe(error)}', err=True)
        else:
            command = extended
    return command


def _is_worth_a_traceback(error: Exception, project: Project | None) -> bool:
    """Tell whether *error* is to be shown with its traceback in DEBUG: one line does not tell how it came about."""
    return settings.loaded and settings.DEBUG and not speaks_for_itself(error) and not is_of_import(error, project)


@click.group(cls=Program, context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, message='Colibris %(version)s')
@click.option('--traceback', is_flag=True, help='Show where an error comes from.')
def program(traceback: bool) -> None:
    """Colibris: RESTful microservices. Most commands act on the project of the current folder."""


def main() -> None:
    """Run ``colibris``: it acts on the project of the current folder, if there is one."""
    program.main(obj=Place())


def manage(package: str) -> None:
    """Run the program on the project *package*; called by its ``manage.py`` and by its console script."""
    program.main(obj=Place(package))
