"""``runserver``: serve the project."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from colibris.commands.context import current_project, package_folder, project_command, run_async
from colibris.commands.loading import loading

if TYPE_CHECKING:
    from colibris.server.children import Inheritance, Terms

logger = logging.getLogger('colibris.server')

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
@click.option(
    '--workers',
    type=click.IntRange(1),
    help='Serve with so many processes, which are kept running and replaced on SIGHUP; without it, with this one.',
)
@click.option('--reload', is_flag=True, help='Start again when a file of the project changes, for development.')
@click.pass_context
@project_command
def runserver(ctx: click.Context, listen: Sequence[str], port: int | None, workers: int | None, reload: bool) -> None:
    """Serve the project over HTTP."""
    from colibris.conf import settings
    from colibris.server.children import Inheritance
    from colibris.server.sockets import bind

    if reload and workers is not None:
        raise click.UsageError('--reload serves with one process: leave --workers out', ctx)
    inheritance = Inheritance.take()
    if inheritance is not None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is for the parent to answer
        run_async(_serve_child(inheritance))
        return
    sockets = bind(listen or settings.LISTEN, settings.PORT if port is None else port)
    beside = companions(ctx)
    if reload:
        code = _reload(sockets, beside)
    elif workers is not None or beside:
        code = _supervise(sockets, workers, beside)
    else:
        code = run_async(_serve(sockets))
    sys.exit(code)


async def _serve(sockets: Sequence[socket.socket]) -> int:
    from colibris.conf import settings

    with loading(to_stay=True):
        from colibris.app import create_app
        from colibris.server import notify
        from colibris.server.serving import SIGNALS, Stop, serve

    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # by nohup
    if settings.WORKER_MAX_AGE is not None or settings.WORKER_MAX_MEMORY is not None:
        logger.warning(
            'WORKER_MAX_AGE and WORKER_MAX_MEMORY do nothing: nobody replaces this process without --workers'
        )
    stop = Stop(hurried=(signal.SIGINT,), signals=SIGNALS if ignored else (*SIGNALS, signal.SIGHUP))
    with loading(to_stay=True):
        app = create_app()
    async with notify.watched():
        await serve(
            app,
            sockets,
            stop=stop,
            shutdown=_terms().shutdown,
            on_listening=_announcer(sockets),
        )
    return 0


def _terms() -> Terms:
    from colibris.conf import settings
    from colibris.server.children import Terms
    from colibris.server.serving import Shutdown

    return Terms(Shutdown(**settings.SHUTDOWN), settings.WORKER_MAX_AGE, settings.WORKER_MAX_MEMORY)


async def _serve_child(inheritance: Inheritance) -> None:
    """Serve as a process whose sockets belong to its parent; it ends when the parent does."""
    with loading(to_stay=True):
        from colibris import readiness
        from colibris.app import create_app
        from colibris.server.children import DRAIN, SERVE, STOP
        from colibris.server.serving import Stop, serve

    def ignore(number: int) -> None:
        """Leave it to the parent what a further signal means."""

    stop = Stop(again=ignore)
    told = asyncio.Event()
    with loading(to_stay=True):
        app = create_app()
    orders = {SERVE: told.set, DRAIN: lambda: readiness.drain(app), STOP: stop.request}
    inheritance.obey(orders, orphaned=stop.request)
    if inheritance.spare:
        inheritance.tell_loaded()
        try:
            await told.wait()
        except asyncio.CancelledError:
            if stop.is_set():
                return
            raise
    terms = _terms()
    if inheritance.shutdown is not None:
        terms = replace(terms, shutdown=inheritance.shutdown)
    await serve(
        app,
        inheritance.sockets,
        stop=stop,
        shared=True,
        shutdown=terms.shutdown,
        on_listening=lambda: inheritance.tell_ready(terms),
    )


def _supervise(sockets: Sequence[socket.socket], workers: int | None, beside: Sequence[Sequence[str]]) -> int:
    from colibris.conf import settings
    from colibris.server.supervisor import Supervisor

    async def main() -> int:
        spare = settings.WORKER_SPARE and workers is not None
        supervisor = Supervisor(sockets, workers=workers or 1, companions=beside, spare=spare)
        return await supervisor.run(_announcer(sockets, workers or 1))

    with _shared_metrics():
        return asyncio.run(main())


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """Give the processes that are started a folder for their numbers, so that each of them can tell those of all."""
    from colibris.conf import settings

    if settings.METRICS is None:
        yield
        return
    from colibris import metrics

    metrics.check_port()
    with TemporaryDirectory(prefix='colibris-metrics-') as folder:
        os.environ[metrics.FOLDER] = folder
        yield


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
    from colibris.server import notify
    from colibris.server.sockets import listening_urls

    urls = listening_urls(sockets)

    def announce() -> None:
        by = f' with {workers} processes' if workers > 1 else ''
        click.echo(f'Serving {settings.PROJECT_PACKAGE_NAME} at {" and ".join(urls)}{by} (Ctrl-C stops it).')
        notify.ready(f'serving at {" and ".join(urls)}')
        if settings.API_DOCS_PATH is not None:
            click.echo(f'The API documentation is at {urls[0]}{settings.API_DOCS_PATH}.')

    return announce
