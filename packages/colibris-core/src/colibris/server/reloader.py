"""The development server: a child process that is started again when a file of the project changes."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from watchfiles import Change, awatch

from colibris.server.children import Child
from colibris.server.serving import Shutdown, Stop

#: Development does not wait for idle browsers.
QUICK = Shutdown(accept=0, idle=0, limit=3)

#: How long a child may take to end, in seconds.
LIMIT = 5.0


class Reloader:
    """Serves on *sockets* by a child process that is started again when the package of a project changes.

    Meanwhile connections wait in the sockets' queue.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        package: Path,
        on_serving: Callable[[], None],
        companions: Sequence[Sequence[str]] = (),
    ) -> None:
        self._sockets = sockets
        self._package = package
        self._on_serving: Callable[[], None] | None = on_serving
        self._companions = companions
        self._children: list[Child] = []
        self._changed: asyncio.Queue[str] = asyncio.Queue()

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit code."""
        stop = Stop()
        stop.started()
        logging.getLogger('watchfiles').setLevel(logging.WARNING)
        # Folders are watched, as editors replace files instead of writing them.
        environment = {Path.cwd(), self._package.parent}
        tasks = [
            asyncio.create_task(stop.wait()),
            asyncio.create_task(self._restart_on_changes()),
            asyncio.create_task(self._watch(self._package, recursive=True)),
            *(asyncio.create_task(self._watch(folder, recursive=False)) for folder in environment),
        ]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._stop_children()
        for task in done:
            task.result()
        return 0

    async def _watch(self, folder: Path, *, recursive: bool) -> None:
        async for changes in awatch(folder, watch_filter=self._matters, recursive=recursive):
            self._changed.put_nowait(', '.join(sorted({self._name(path) for _, path in changes})))

    async def _restart_on_changes(self) -> None:
        while True:
            watching = await self._start_children()
            try:
                names = await self._changed.get()
            finally:
                watching.cancel()
            click.echo(f'{names} changed: starting again.', err=True)
            await self._stop_children()

    def _matters(self, change: Change, path: str) -> bool:
        file = Path(path)
        if file.name.startswith('.env'):
            return True
        inside = file.parts[len(self._package.parts) :] if file.is_relative_to(self._package) else ()
        return bool(inside) and (file.suffix == '.py' or 'templates' in inside[:-1])

    def _name(self, path: str) -> str:
        root = self._package.parent
        return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path

    async def _start_children(self) -> asyncio.Task[None]:
        server = await Child.serving(self._sockets, QUICK)
        self._children = [server, *[await Child.running(arguments) for arguments in self._companions]]
        return asyncio.create_task(self._report(server))

    async def _report(self, server: Child) -> None:
        """Tell once that the project is served, and tell when the server has ended by itself."""
        if await server.ready() and self._on_serving is not None:
            self._on_serving()
            self._on_serving = None
        code = await server.wait()
        click.echo(f'The server ended (exit code {code}); it is started again when a file changes.', err=True)

    async def _stop_children(self) -> None:
        await asyncio.gather(*(child.stop(LIMIT) for child in self._children))
