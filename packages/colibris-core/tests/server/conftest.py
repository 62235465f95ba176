"""Servers in processes of their own, and raw clients for them."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

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
