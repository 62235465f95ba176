"""What a command runs in: the project, its settings, its logging."""

import asyncio
import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, cast

import click

from colibris import conf
from colibris.commands.loading import loading
from colibris.conf import ImproperlyConfigured
from colibris.conf.project import Project, find_project

P = ParamSpec('P')


class CommandError(click.ClickException):
    """Raised when a command cannot do its work; shown as one line, the exit code is 1."""


def project_of(package: str) -> Project:
    """Return the project whose *package* can be imported, or raise `CommandError`."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CommandError(f'the project package {package!r} cannot be imported from {sys.path[0]}')
    folder = Path(spec.submodule_search_locations[0]).resolve()
    return Project(folder.parents[package.count('.')], package)


def package_folder(project: Project) -> Path:
    """Return the folder of the project's package."""
    return project.root.joinpath(*project.package.split('.'))


class Place:
    """Where the program was started. Its project is looked for when somebody asks."""

    def __init__(self, package: str | None = None) -> None:
        self._package = package

    @functools.cached_property
    def project(self) -> Project:
        """The project that was named by its manage.py, or the one of the current folder. Raises if there is none."""
        return find_project() if self._package is None else project_of(self._package)

    @property
    def project_if_any(self) -> Project | None:
        """The project, if there is one."""
        try:
            return self.project
        except (CommandError, ImproperlyConfigured):
            return None


def current_project() -> Project:
    """Return the project that the running command belongs to. Raises ImproperlyConfigured if there is none."""
    context = click.get_current_context(silent=True)
    place = context.find_object(Place) if context else None
    return (place or Place()).project


def load_project() -> Project:
    """Set up the settings and the logging of the project that the running command belongs to."""
    project = current_project()
    make_importable(project)
    with loading():
        conf.setup(project.package)
    conf.configure_logging()
    return project


def make_importable(project: Project) -> None:
    """Put the root of *project* on ``sys.path`` unless its package is found without it."""
    if str(project.root) not in sys.path:
        sys.path.insert(0, str(project.root))


def project_command(function: Callable[P, object]) -> Callable[P, object]:
    """Make *function*, the callback of a click command, run in the project: with its settings and its logging.

    An ``async def`` is run in an event loop. Errors need no handling: the program prints each as one line.

    Example::

        @click.command()
        @click.argument('name')
        @project_command
        async def greet(name: str) -> None:
            \"\"\"Greet somebody.\"\"\"
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> object:
        load_project()
        result = function(*args, **kwargs)
        if inspect.iscoroutine(result):
            return run_async(cast('Coroutine[Any, Any, object]', result))
        return result

    return run


def speaks_for_itself(error: BaseException) -> bool:
    """Tell whether *error* was made to be read by people: it is one of ours, click's or the system's."""
    return isinstance(error, click.ClickException | OSError) or _is_ours(error)


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.partition('.')[0] == 'colibris'


def describe(error: BaseException, project: Project | None = None) -> str:
    """Say in one line what went wrong and, where the message does not tell, in which line of the project."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if _is_ours(error):
        return str(error) or type(error).__name__
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    text = ' '.join(f'{type(error).__name__}: {message}'.split()) if message else type(error).__name__
    place = _line_of(error, project)
    return f'{place}: {text}' if place else text


def _line_of(error: BaseException, project: Project | None) -> str | None:
    """Return the innermost line of the project that *error* went through, or that does not compile."""
    if isinstance(error, SyntaxError):
        lines = [(error.filename, error.lineno)]
    else:
        lines = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if project is None:
        return None
    package = package_folder(project)
    inside = [(Path(name), number) for name, number in lines if name and Path(name).is_relative_to(package)]
    return f'{inside[-1][0].relative_to(project.root)}, line {inside[-1][1]}' if inside else None


def is_of_import(error: BaseException, project: Project | None) -> bool:
    """Tell whether *error* arose while a module of the project was imported: its line says all there is to say."""
    if project is None:
        return False
    package = package_folder(project)
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame.name for frame in frames if Path(frame.filename).is_relative_to(package)]
    return bool(inside) and inside[-1] == '<module>'


def from_project(error: BaseException, project: Project | None) -> TracebackType | None:
    """Return the traceback of *error* from the first line of the project on; all of it if there is no such line."""
    start = error.__traceback__
    while project is not None and start is not None:
        if Path(start.tb_frame.f_code.co_filename).is_relative_to(package_folder(project)):
            return start
        start = start.tb_next
    return error.__traceback__


def run_async(main: Coroutine[Any, Any, Any]) -> Any:
    """Run *main* in a new event loop: uvloop's if it is installed."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec('uvloop') is None:
        return None
    import uvloop

    return cast('Callable[[], asyncio.AbstractEventLoop]', uvloop.new_event_loop)
