"""The demo service under load: no error, no growing memory, and no request lost when it ends."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil
import pytest
from demo import CURRENT, make_demo, make_key
from workspace import wait_for_health

CLIENTS = 32

#: How long the clients work, in seconds, and after which time the memory must not grow any more.
DURATION = float(os.environ.get('COLIBRIS_LOAD_SECONDS') or (60 if os.environ.get('CI') else 15))
WARM_UP = min(10.0, DURATION / 3)

#: What may come and go in the memory of a process, in bytes.
NOISE = 6 * 1024 * 1024


class Connection:
    """A client's keep-alive connection; nothing is ever sent twice."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, data: object = None) -> tuple[int, object]:
        """Return status and body of the answer. Raises ConnectionRefusedError only if nothing could be sent."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection('127.0.0.1', self._port)
        body = json.dumps(data).encode() if data is not None else b''
        head = f'{method} {path} HTTP/1.1\r\nHost: demo\r\nX-API-Key: {self._key}\r\nContent-Type: application/json\r\n'
        self._writer.write(f'{head}Content-Length: {len(body)}\r\n\r\n'.encode() + body)
        lines = (await self._reader.readuntil(b'\r\n\r\n')).decode().lower().split('\r\n')
        headers = dict(line.split(': ', 1) for line in lines[1:] if line)
        answer = await self._reader.readexactly(int(headers.get('content-length', 0)))
        if headers.get('connection') == 'close':
            self.close()
        return int(lines[0].split()[1]), json.loads(answer) if answer else None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass
class Work:
    """What the clients did: how often what was answered with which status."""

    answers: dict[tuple[str, int], int] = field(default_factory=dict)

    def note(self, action: str, status: int) -> None:
        self.answers[action, status] = self.answers.get((action, status), 0) + 1

    @property
    def total(self) -> int:
        return sum(self.answers.values())


async def use(served: 'Served', number: int, work: Work, end: asyncio.Event) -> None:
    """Make, read, list, change and delete notes until *end* is set or the service refuses connections."""
    connection = Connection(served.port, served.key)

    async def do(method: str, path: str, data: object = None) -> object:
        status, answer = await connection.request(method, path, data)
        work.note(f'{method} {path.partition("?")[0].rstrip("0123456789")}', status)
        return answer

    try:
        while not end.is_set():
            note = await do('POST', '/notes', {'title': f'note of {number}', 'text': 'x' * 200})
            path = f'/notes/{note["id"]}'  # type: ignore[index]
            await do('GET', path)
            await do('GET', '/notes?page_size=5&order=-created_at')
            await do('PATCH', path, {'text': 'changed'})
            await do('PUT', path, {'title': 'replaced'})
            await do('DELETE', path)
    except ConnectionRefusedError:
        return
    finally:
        connection.close()


EXPECTED = {
    ('POST /notes', 201),
    ('GET /notes/', 200),
    ('GET /notes', 200),
    ('PATCH /notes/', 200),
    ('PUT /notes/', 200),
    ('DELETE /notes/', 204),
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp('load'))


@pytest.fixture(scope='module')
def key(folder: Path) -> str:
    return make_key(folder)


@dataclass
class Served:
    """The demo service in a process of its own."""

    port: int
    process: 'subprocess.Popen[bytes]'
    log: Path
    key: str

    def memory(self) -> int:
        """Return the resident memory of the server's processes, in bytes."""
        parent = psutil.Process(self.process.pid)
        return sum(process.memory_info().rss for process in [parent, *parent.children(recursive=True)])


def wait_for_spare(log: Path) -> None:
    """Wait for the last process that is started."""
    end = time.monotonic() + 60
    while 'a spare worker is loaded' not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


@pytest.fixture(params=[1, 2], ids=['one process', 'two workers'])
def served(request: pytest.FixtureRequest, folder: Path, key: str) -> Iterator[Served]:
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    environment = {**CURRENT.variables, 'DEBUG': 'false', 'LISTEN': '127.0.0.1', 'PORT': str(port)}
    log = folder / 'server.log'
    with log.open('w') as output:
        workers = ['--workers', str(request.param)] if request.param > 1 else []
        command = [folder / folder.name / 'manage.py', 'runserver', *workers]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        wait_for_health(f'http://127.0.0.1:{port}/health', process, log)
        if request.param > 1:
            wait_for_spare(log)  # the first worker serves before the others have started
        yield Served(port, process, log, key)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def test_clients_get_no_error_and_memory_does_not_grow(served: Served) -> None:
    work, end = Work(), asyncio.Event()
    clients = asyncio.gather(*(use(served, number, work, end) for number in range(CLIENTS)))
    began = time.monotonic()
    early: list[int] = []
    late: list[int] = []
    while (passed := time.monotonic() - began) < DURATION and not clients.done():
        if passed > WARM_UP:
            (early if passed < WARM_UP + (DURATION - WARM_UP) / 4 else late).append(served.memory())
        await asyncio.sleep(DURATION / 60)
    end.set()
    await asyncio.wait_for(clients, 30)
    assert set(work.answers) == EXPECTED, served.log.read_text()
    assert work.total > CLIENTS * len(EXPECTED)
    growth = median(late[-len(early) :]) - median(early)
    assert growth < NOISE, f'{growth / 1024:.0f} KiB more after {DURATION:.0f} s and {work.total} requests'


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
async def test_no_request_is_lost_when_the_service_ends(served: Served, number: signal.Signals) -> None:
    work = Work()
    clients = asyncio.gather(*(use(served, client, work, asyncio.Event()) for client in range(CLIENTS)))
    await asyncio.sleep(2)
    served.process.send_signal(number)
    await asyncio.wait_for(clients, 30)
    assert set(work.answers) == EXPECTED, served.log.read_text()
    assert await asyncio.to_thread(served.process.wait, 20) == 0, served.log.read_text()
