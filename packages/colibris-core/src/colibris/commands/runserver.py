"""``runserver``: serve the project."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from colibris.commands.context import current_project, package_folder, project_command, run_async

if TYPE_CHECKING:
    from colibris.server.children import Inheritance
    from colibris.server.serving import Stop

_COMPANIONS = 'colibris.commands.runserver.companions'


def companions(ctx: click.Context) -> list[tuple[str, ...]]:
    """Return the list of commands that run beside the server, each the arguments of a process of its own.

    An option that a subsystem adds to ``runserver`` may append to it; the processes are started, kept running, started
    again on changes and ended with the server.
    """
    found: list[tuple[str, ...]] = ctx.meta.setdefault(_COMPANIONS, [])
    return found


@click.command()
@click.option(
    '--listen', multiple=True, metavar='ADDRESS', help='Listen on this address instead of LISTEN; repeatable.'
)
@click.option('--port', type=click.IntRange(0, 65535), help='Listen on this port instead of PORT; 0 takes a free one.')
@click.option('--workers', type=click.IntRange(1), default=1, show_default=True, help='Serve with so many processes.')
@click.option('--reload', is_flag=True, help='Start again when a file of the project changes, for development.')
@click.pass_context
@project_command
def runserver(ctx: click.Context, listen: Sequence[str], port: int | None, workers: int, reload: bool) -> None:
    """Serve the project over HTTP."""
    from colibris.conf import settings
    from colibris.server.children import Inheritance
    from colibris.server.sockets import bind

    if reload and workers > 1:
        raise click.UsageError('--reload serves with one process: leave --workers out', ctx)
    inheritance = Inheritance.take()
    if inheritance is not None:
        run_async(_serve_child(inheritance))
        return
    sockets = bind(listen or settings.LISTEN, settings.PORT if port is None else port)
    beside = companions(ctx)
    if reload:
        code = _reload(sockets, beside)
    elif workers > 1 or beside:
        code = _supervise(sockets, workers, beside)
    else:
        code = run_async(_serve(sockets))
    sys.exit(code)


async def _serve(sockets: Sequence[socket.socket]) -> int:
    from colibris.app import create_app
    from colibris.server.serving import Stop, serve

    stop = Stop()
    await serve(create_app(), sockets, stop=stop, access_log=_access_log(), on_listening=_announcer(sockets))
    return 0


async def _serve_child(inheritance: Inheritance) -> None:
    """Serve as a process whose sockets belong to its parent; it ends when the parent does."""
    from colibris.app import create_app
    from colibris.server.serving import Stop, serve

    def ignore(number: int) -> None:
        """Leave it to the parent what a further signal means."""

    stop = Stop(again=ignore)
    asyncio.get_running_loop().add_reader(inheritance.line, _parent_ended, inheritance.line, stop)
    await serve(
        create_app(),
        inheritance.sockets,
        stop=stop,
        shared=True,
        access_log=_access_log(),
        shutdown=inheritance.shutdown,
        on_listening=inheritance.tell_ready,
    )


def _parent_ended(line: socket.socket, stop: Stop) -> None:
    asyncio.get_running_loop().remove_reader(line)
    stop.request()


def _supervise(sockets: Sequence[socket.socket], workers: int, beside: Sequence[Sequence[str]]) -> int:
    from colibris.server.supervisor import Supervisor

    async def main() -> int:
        return await Supervisor(sockets, workers=workers, companions=beside).run(_announcer(sockets, workers))

    return asyncio.run(main())


def _reload(sockets: Sequence[socket.socket], beside: Sequence[Sequence[str]]) -> int:
    from colibris.server.reloader import Reloader

    project = current_project()
    announce = _announcer(sockets)

    def on_serving() -> None:
        announce()
        click.echo(f'Watching {project.package} for changes.')

    async def main() -> int:
        package = package_folder(project)
        return await Reloader(sockets, package=package, on_serving=on_serving, companions=beside).run()

    return asyncio.run(main())


def _announcer(sockets: Sequence[socket.socket], workers: int = 1) -> Callable[[], None]:
    """Return what tells where the service is found."""
    from colibris.conf import settings
    from colibris.server.sockets import listening_urls

    urls = listening_urls(sockets)

    def announce() -> None:
        by = f' with {workers} processes' if workers > 1 else ''
        click.echo(f'Serving {settings.PROJECT_PACKAGE_NAME} at {" and ".join(urls)}{by} (Ctrl-C stops it).')
        if settings.API_DOCS_PATH is not None:
            click.echo(f'The API documentation is at {urls[0]}{settings.API_DOCS_PATH}.')

    return announce


def _access_log() -> bool:
    """Whether each request is logged: only in DEBUG, as it costs as much as serving one, and only if it is wanted."""
    import logging

    from colibris.conf import settings

    return bool(settings.DEBUG) and logging.getLogger('aiohttp.access').isEnabledFor(logging.INFO)
