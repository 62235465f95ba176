"""``shell``: Python in the project, with its models loaded and its subsystems open; ``await`` works at top level."""

from __future__ import annotations

import ast
import asyncio
import code
import contextlib
import contextvars
import inspect
import sys
import threading
import traceback
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from importlib import import_module
from importlib.util import find_spec
from types import CodeType, FunctionType
from typing import Any

import click

from colibris.commands.context import project_command

FLAGS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@click.command()
@click.option('-c', 'source', metavar='CODE', help='Run this code and exit.')
@click.option('--plain', is_flag=True, help="Use Python's own prompt even if IPython is installed.")
@project_command
def shell(source: str | None, plain: bool) -> None:
    """Open a Python shell with models loaded, subsystems open and top-level await."""
    with Session() as session:
        if source is not None:
            code_ok = session.run_source(source, '<code>')
        elif not sys.stdin.isatty():
            code_ok = session.run_source(sys.stdin.read(), '<stdin>')
        else:
            code_ok = True
            _interact(session, plain=plain)
    sys.exit(0 if code_ok else 1)


class Session:
    """An event loop with the subsystems open in it, and the names that code in the shell finds."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        #: What the subsystems set when they opened is seen by all code that runs later.
        self.context = contextvars.copy_context()
        self.names: dict[str, Any] = {'__name__': '__console__', '__doc__': None}
        self._stack = contextlib.AsyncExitStack()

    def __enter__(self) -> Session:
        self._runner.__enter__()
        try:
            self.run(self._open())
        except BaseException:
            self._runner.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self.run(self._stack.aclose())
        finally:
            self._runner.__exit__(None, None, None)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._runner.get_loop()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run *coroutine* in the loop and in the context of the session."""
        return self._runner.run(coroutine, context=self.context)

    async def _open(self) -> None:
        from colibris import subsystems

        await self._stack.enter_async_context(subsystems.running())
        self.names.update(_names())

    def run_source(self, source: str, name: str) -> bool:
        """Run *source*; show the traceback of what it raises. Tell whether it ran to its end."""
        try:
            compiled = compile(source, name, 'exec', flags=FLAGS)
            self.run(self.evaluate(compiled))
        except Exception as error:
            _show(error, name)
            return False
        return True

    async def evaluate(self, compiled: CodeType) -> Any:
        """Run *compiled* code, awaiting it if there is an ``await`` at its top level."""
        result = FunctionType(compiled, self.names)()
        return await result if inspect.iscoroutine(result) else result


def _show(error: BaseException, name: str) -> None:
    """Print the traceback of *error* from the code named *name* on."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename != name:
        start = start.tb_next
    traceback.print_exception(error.with_traceback(start))


def _names() -> Iterator[tuple[str, Any]]:
    """Yield what code in the shell finds: settings, façades, and the models by their names."""
    from colibris import subsystems
    from colibris.conf import settings

    yield 'settings', settings
    for subsystem in subsystems.opened():
        facade = f'colibris.{subsystem.name}'
        if find_spec(facade) is not None:
            yield subsystem.name, import_module(facade)
    for path in reversed(subsystems.model_modules()):
        module = import_module(path)
        own = path == f'{settings.PROJECT_PACKAGE_NAME}.models'
        if own:
            yield 'models', module
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == path:
                yield name, value


def _interact(session: Session, *, plain: bool) -> None:
    if not plain and find_spec('IPython') is not None:
        _interact_by_ipython(session)
    else:
        _Console(session).run()


def _banner(session: Session) -> str:
    found = ', '.join(sorted(name for name in session.names if not name.startswith('__')))
    return f'Python {sys.version.split()[0]}; await works at top level. Here are: {found}'


def _interact_by_ipython(session: Session) -> None:
    embed = import_module('IPython.terminal.embed')
    shell = embed.InteractiveShellEmbed.instance(user_ns=session.names, banner1=_banner(session), exit_msg='')
    shell.autoawait = True
    shell.loop_runner = session.run
    shell.show_banner()
    shell.mainloop()


class _Console(code.InteractiveConsole):
    """Python's prompt in a thread, whose code runs in the session's loop: background tasks go on meanwhile."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.names)
        self.compile.compiler.flags |= FLAGS
        self._session = session
        self._running: asyncio.Task[Any] | None = None

    def run(self) -> None:
        """Interact until the end of input."""
        _prepare_line_editing(self._session.names)
        loop = self._session.loop
        thread = threading.Thread(target=self._interact, daemon=True)
        loop.call_soon(thread.start)
        while True:
            try:
                self._session.loop.run_forever()
                return
            except KeyboardInterrupt:
                if self._running is not None:
                    self._running.cancel()

    def _interact(self) -> None:
        try:
            self.interact(_banner(self._session), exitmsg='')
        finally:
            self._session.loop.call_soon_threadsafe(self._session.loop.stop)

    def runcode(self, compiled: CodeType) -> None:
        done: Future[Any] = Future()
        loop = self._session.loop
        loop.call_soon_threadsafe(self._begin, compiled, done, context=self._session.context)
        try:
            done.result()
        except SystemExit:
            raise
        except asyncio.CancelledError:
            self.write('KeyboardInterrupt\n')
        except BaseException as error:
            _show(error, self.filename)

    def _begin(self, compiled: CodeType, done: Future[Any]) -> None:
        self._running = self._session.loop.create_task(self._evaluate(compiled, done), context=self._session.context)

    async def _evaluate(self, compiled: CodeType, done: Future[Any]) -> None:
        try:
            done.set_result(await self._session.evaluate(compiled))
        except BaseException as error:
            done.set_exception(error)
        finally:
            self._running = None


def _prepare_line_editing(names: dict[str, Any]) -> None:
    try:
        import readline
        import rlcompleter
    except ImportError:
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind('tab: complete')
