"""A service whose Redis or SMTP server is killed under load, and started again: it answers throughout."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from demo import CURRENT, make_demo
from workspace import served

VIEWS = """

async def number(request):
    \"\"\"Answer a number that is computed once.\"\"\"
    key = request.match_info['key']

    async def factory():
        return int(key)

    return {'number': await cache.get_or_set(f'number {key}', factory, 60)}


async def send(request):
    \"\"\"Send an email.\"\"\"
    email.send(email.EmailMessage(request.match_info['key'], 'body', to=['someone@example.com']))
    return {'sent': True}
"""
ROUTES = """
ROUTES += [
    ('/number/{key}', views.number),
    ('/send/{key}', views.send),
]
"""
SETTINGS = """
EMAIL['retry_delays'] = [0.3] * 100
"""

SMTP_SERVER = """
import email, sys, time
from aiosmtpd.controller import Controller

class Handler:
    async def handle_DATA(self, server, session, envelope):
        with open(sys.argv[2], 'a') as file:
            print(email.message_from_bytes(envelope.content)['Subject'], file=file)
        return '250 OK'

Controller(Handler(), hostname='127.0.0.1', port=int(sys.argv[1])).start()
time.sleep(600)
"""


@dataclass
class Server:
    """A server of the test's own, to be killed."""

    command: list[str]
    port: int
    process: 'subprocess.Popen[bytes] | None' = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f'{self.command[0]} does not start')

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@dataclass
class Load:
    """Clients that ask without a pause, and what they were answered."""

    address: str
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    count: int = 0
    end: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, session: aiohttp.ClientSession, path: str, pause: float = 0) -> None:
        while not self.end.is_set():
            self.count += 1
            number = self.count
            async with session.get(path.format(number)) as response:
                await response.read()
                self.answers[path, response.status] += 1
            await asyncio.sleep(pause)

    def since(self, before: Counter[tuple[str, int]]) -> dict[str, set[int]]:
        """Return the statuses that each path was answered with since *before*."""
        found: dict[str, set[int]] = {}
        for path, status in self.answers - before:
            found.setdefault(path, set()).add(status)
        return found

    async def health(self, session: aiohttp.ClientSession, status: int) -> None:
        """Wait until /health answers *status*."""
        async with asyncio.timeout(15):
            while True:
                async with session.get('/health') as response:
                    if response.status == status:
                        return
                await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_demo(tmp_path_factory.mktemp('faults'))
    for name, code in (('views.py', VIEWS), ('routes.py', ROUTES), ('settings.py', SETTINGS)):
        with (folder / 'demo' / name).open('a') as file:
            file.write(code)
    return folder


@pytest.fixture
def redis() -> Iterator[Server]:
    if shutil.which('redis-server') is None:
        if os.environ.get('CI'):
            pytest.fail('redis-server is not installed')
        pytest.skip('redis-server is not installed')
    port = free_port()
    server = Server(['redis-server', '--port', str(port), '--save', '', '--bind', '127.0.0.1'], port)
    server.start()
    yield server
    server.kill()


async def disturb(address: str, server: Server, paths: list[str], *, away: int) -> tuple[Load, dict[str, set[int]]]:
    """Kill *server* under load and start it again; return the load, and what was answered while it was away.

    *away* is the status of /health meanwhile.
    """
    load = Load(address)
    async with aiohttp.ClientSession(address) as session:
        clients = asyncio.gather(*(load.ask(session, path, 0.005) for path in paths for _ in range(5)))
        await load.health(session, 200)
        await asyncio.sleep(0.5)
        assert {status for statuses in load.since(Counter()).values() for status in statuses} == {200}
        server.kill()
        await load.health(session, away)
        await asyncio.sleep(1)  # requests that began while the server was there get their answers
        before = Counter(load.answers)
        await asyncio.sleep(1)
        meanwhile = load.since(before)
        await asyncio.to_thread(server.start)
        await load.health(session, 200)
        await asyncio.sleep(2)  # requests that began while the server was away get their answers
        before = Counter(load.answers)
        await asyncio.sleep(0.5)
        load.end.set()
        await clients
        assert load.since(before) == {path: {200} for path in paths}
        await load.health(session, 200)
    return load, meanwhile


@pytest.mark.parametrize('on_error', ['raise', 'miss'])
async def test_redis_is_killed_and_started_again(folder: Path, redis: Server, on_error: str) -> None:
    variables = {'CACHE_BACKEND': 'redis', 'CACHE_PORT': str(redis.port), 'CACHE_ON_ERROR': on_error}
    paths = ['/number/{}', '/statistics', '/health/live']
    with served(folder / 'demo' / 'manage.py', folder, {**CURRENT.variables, **variables}) as address:
        _, meanwhile = await disturb(address, redis, paths, away=500 if on_error == 'raise' else 200)
    cached = {503} if on_error == 'raise' else {200}
    assert meanwhile == {'/number/{}': cached, '/statistics': cached, '/health/live': {200}}
    log = (folder / 'server.log').read_text()
    assert 'Traceback' not in log
    if on_error == 'miss':
        assert log.count('the cache on Redis cannot be reached') == 1


async def test_the_smtp_server_is_killed_and_started_again(folder: Path, tmp_path: Path) -> None:
    received, port = tmp_path / 'received', free_port()
    server = Server([sys.executable, '-c', SMTP_SERVER, str(port), str(received)], port)
    server.start()
    variables = {'EMAIL_BACKEND': 'smtp', 'EMAIL_HOST': '127.0.0.1', 'EMAIL_PORT': str(port)}
    try:
        with served(folder / 'demo' / 'manage.py', folder, {**CURRENT.variables, **variables}) as address:
            load, meanwhile = await disturb(address, server, ['/send/{}', '/statistics'], away=500)
            assert meanwhile == {'/send/{}': {200}, '/statistics': {200}}
            sent = load.answers['/send/{}', 200]
            async with asyncio.timeout(60):
                while len(set(received.read_text().split())) < sent:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
    finally:
        server.kill()
    assert len(set(received.read_text().split())) == sent
    log = (folder / 'server.log').read_text()
    assert 'given up' not in log
    assert 'Traceback' not in log
