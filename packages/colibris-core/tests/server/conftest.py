"""Servers in processes of their own, and raw clients for them."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

HEAD = """
import asyncio, sys
from aiohttp import web
from colibris.server import bind, serve
from colibris.server.serving import Shutdown

app = web.Application()
shutdown = Shutdown(limit=float(sys.argv[2]))
sockets = bind('127.0.0.1', int(sys.argv[1]))
"""

TAIL = """
asyncio.run(serve(app, sockets, shutdown=shutdown, on_listening=lambda: print('serving', flush=True)))
"""


def find_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    """Find a port that nobody uses."""
    return find_port()


@dataclass
class Served:
    """A server process."""

    port: int
    process: subprocess.Popen[bytes]

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def exit_code(self, limit: float = 15) -> int:
        return await asyncio.to_thread(self.process.wait, limit)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start a process that serves what the given source adds to ``app``; wait until it listens."""
    processes: list[subprocess.Popen[bytes]] = []

    def start_server(source: str, *, limit: float = 30, wait: bool = True) -> Served:
        script = tmp_path / 'serving.py'
        script.write_text(HEAD + source + TAIL)
        port = find_port()
        process = subprocess.Popen([sys.executable, script, str(port), str(limit)], stdout=subprocess.PIPE)
        processes.append(process)
        if wait:
            assert process.stdout is not None
            assert process.stdout.readline() == b'serving\n'
        return Served(port, process)

    yield start_server
    for process in processes:
        process.kill()
        process.wait()


class Lost(Exception):
    """Raised when a request was sent and its answer did not come."""


@dataclass
class Client:
    """A client on one keep-alive connection, which never repeats a request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, data: bytes) -> tuple[int, bytes]:
        """Send a request; return status and body of the answer."""
        self.writer.write(data)
        try:
            head = (await self.reader.readuntil(b'\r\n\r\n')).decode()
            first, *lines = head.split('\r\n')
            self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(':') for line in lines)}
            body = await self.reader.readexactly(int(self.headers['content-length']))
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            raise Lost(repr(exc)) from exc
        return int(first.split()[1]), body

    async def get(self, path: str = '/') -> tuple[int, bytes]:
        return await self.send(f'GET {path} HTTP/1.1\r\nHost: test\r\n\r\n'.encode())

    async def post(self, body: bytes, path: str = '/') -> tuple[int, bytes]:
        head = f'POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n'
        return await self.send(head.encode() + body)

    async def envelope(self, data: bytes) -> tuple[int, dict[str, object]]:
        status, body = await self.send(data)
        return status, json.loads(body)

    def closing(self) -> bool:
        """Whether the server said that it closes the connection after the last answer."""
        return self.headers.get('connection') == 'close'


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., object]]:
    """Connect a `Client`."""
    clients: list[Client] = []

    async def connect_client(port: int) -> Client:
        client = Client(*await asyncio.open_connection('127.0.0.1', port))
        clients.append(client)
        return client

    yield connect_client
    for client in clients:
        client.writer.close()


@pytest.fixture
def hammer(connect: Callable[..., object]) -> Callable[..., object]:
    """Run 32 clients that send GET and POST until the server goes away; return how many answers each got.

    Raises `Lost` if a request gets no answer.
    """

    async def run(port: int, stop: Callable[[], None], *, after: float = 0.5) -> list[int]:
        async def client(number: int) -> int:
            answers = 0
            while True:
                try:
                    connection = Client(*await asyncio.open_connection('127.0.0.1', port))
                except ConnectionRefusedError:
                    return answers
                try:
                    while not connection.closing() and not (number % 5 == 0 and answers % 7 == 6):
                        status, _ = await (connection.get() if (answers + number) % 2 else connection.post(b'x' * 99))
                        assert status == 200
                        answers += 1
                        await asyncio.sleep(0.05 if number % 4 == 0 else 0)
                    answers += connection.closing() is False
                finally:
                    connection.writer.close()

        async def end() -> None:
            await asyncio.sleep(after)
            stop()

        *answers, _ = await asyncio.wait_for(asyncio.gather(*(client(n) for n in range(32)), end()), 60)
        return answers  # type: ignore[return-value]

    return run


VIEWS = """
    import asyncio, os
    from aiohttp import web

    async def get(request):
        await asyncio.sleep(float(request.query.get('s', 0.003)))
        return web.json_response(os.getpid())

    async def post(request):
        body = await request.read()
        await asyncio.sleep(0.002)
        return web.Response(body=body)

    ROUTES = [web.get('/', get), web.post('/', post)]
"""


class Shop:
    """``runserver`` of a project, in a process group of its own; no spare worker unless the settings are changed."""

    views = VIEWS

    def __init__(self, folder: Any, port: int) -> None:
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[str]
        self.processes: list[subprocess.Popen[str]] = []
        folder.write('shop/routes.py', VIEWS)
        folder.write('shop/settings.py', 'WORKER_SPARE = False\n')

    def start(self, *arguments: str, wait: bool = True, **variables: str) -> None:
        command = self.folder.command('runserver', '--listen', '127.0.0.1', '--port', str(self.port), *arguments)
        self.process = subprocess.Popen(
            command,
            cwd=self.folder.root,
            env={**os.environ, **self.folder.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.folder.root / 'log').open('a'),
            text=True,
            process_group=0,
        )
        self.processes.append(self.process)
        if wait:
            assert self.process.stdout is not None
            assert self.process.stdout.readline().startswith('Serving shop at ')

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def pids(self) -> set[int]:
        return {worker.pid for worker in self.workers() if _runs(worker)}

    def signal_all(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    async def exit_code(self, limit: float = 20) -> int:
        return await asyncio.to_thread(self.process.wait, limit)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder.root / 'log').read_text()

    async def until(self, condition: Callable[[], object], limit: float = 15) -> None:
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, f'it did not happen in time:\n{self.log}'
            await asyncio.sleep(0.02)

    async def until_logged(self, pattern: str, number: int = 1, limit: float = 20) -> list[str]:
        """Wait until *pattern* was logged *number* times."""
        await self.until(lambda: len(re.findall(pattern, self.log)) >= number, limit)
        return re.findall(pattern, self.log)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it has ended since it was listed
        return False


@pytest.fixture
def shop(project_folder: Any, free_port: int) -> Iterator[Shop]:
    shop = Shop(project_folder, free_port)
    yield shop
    for process in shop.processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


class Crowd:
    """64 clients that send one request after the other, and connect anew when they are told to or have to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers = 0
        #: The processes that answered GET.
        self.pids: dict[int, int] = {}
        #: Requests that were sent and got no answer.
        self.lost = 0
        self.refused = 0
        self._left = asyncio.Event()
        self._clients: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> 'Crowd':
        self._clients = [asyncio.create_task(self._client(number)) for number in range(64)]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._left.set()
        await asyncio.wait_for(asyncio.gather(*self._clients), 60)

    async def _client(self, number: int) -> None:
        while not self._left.is_set():
            try:
                client = Client(*await asyncio.open_connection('127.0.0.1', self.port))
            except ConnectionRefusedError:
                self.refused += 1
                await asyncio.sleep(0.05)
                continue
            try:
                await self._use(client, number)
            except Lost:
                self.lost += 1
            finally:
                client.writer.close()

    async def _use(self, client: Client, number: int) -> None:
        sent = 0
        while not self._left.is_set() and not client.closing():
            if (sent + number) % 2:
                status, body = await client.get()
                self.pids[int(body)] = self.pids.get(int(body), 0) + 1
            else:
                status, _ = await client.post(b'x' * 99)
            assert status == 200
            self.answers += 1
            sent += 1
            if number % 4 == 0 and sent > 20:  # new workers get connections, too
                return


@pytest.fixture
def crowd() -> type[Crowd]:
    return Crowd
