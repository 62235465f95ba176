"""What the tests of databases share: servers, a wire that can be cut, and projects of a few files."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from servers import database_server

from colibris import conf


@pytest.fixture(scope='session')
def server() -> Callable[[str, str], dict[str, Any]]:
    """Return the options of a database on a server, of this worker alone."""

    def options(kind: str, name: str) -> dict[str, Any]:
        worker = os.environ.get('PYTEST_XDIST_WORKER', '')
        return {**database_server(kind), 'name': f'col_persist_{name}{worker}'}

    return options


class Wire:
    """A TCP proxy before a server, which can be cut (connections are refused) or held (nothing gets through)."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.port = 0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def mend(self) -> None:
        self.flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, '127.0.0.1', self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await asyncio.sleep(0.05)

    async def close(self) -> None:
        await self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(*self.target)
        self._writers |= {writer, other_writer}
        for source, target in ((reader, other_writer), (other_reader, writer)):
            task = asyncio.create_task(self._pump(source, target))
            self._tasks.add(task)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self.flowing.wait()
                target.write(data)
                await target.drain()
        target.transport.abort()


@pytest.fixture
async def wire_to() -> AsyncIterator[Callable[[dict[str, Any]], Any]]:
    """Make a `Wire` to the server of *options*, and options that lead through it."""
    wires: list[Wire] = []

    async def make(options: dict[str, Any]) -> tuple[Wire, dict[str, Any]]:
        wire = Wire(options.get('host', '127.0.0.1'), options['port'])
        wires.append(wire)
        await wire.mend()
        return wire, {**options, 'host': '127.0.0.1', 'port': wire.port}

    yield make
    for wire in wires:
        await wire.close()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make a project named ``shop``: ``shop(settings='...', models='...')`` writes its modules and sets it up."""

    def make(*, settings: str, **modules: str) -> None:
        package = tmp_path / 'shop'
        package.mkdir()
        for module, source in {'__init__': '', 'settings': settings, **modules}.items():
            (package / f'{module}.py').write_text(dedent(source))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv('PYTEST_XDIST_WORKER', raising=False)  # `database` tells workers apart
        conf.setup('shop')

    yield make
    conf.settings.reset()
    for module in [name for name in sys.modules if name.partition('.')[0] == 'shop']:
        del sys.modules[module]
