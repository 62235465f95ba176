"""RabbitMQ behind a wire that can be cut, and names that nobody else uses."""

import asyncio
import contextlib
import os
import socket
import ssl

import pika
import pytest
import trustme

from colibris.taskqueue.dramatiq.rabbitmq.address import address_of
from colibris.taskqueue.dramatiq.rabbitmq.line import Line
from colibris.taskqueue.dramatiq.rabbitmq.places import Places
from colibris.taskqueue.messages import new_id

URL = os.environ.get('COLIBRIS_TEST_RABBITMQ') or 'amqp://guest:guest@127.0.0.1:5672'


@pytest.fixture(scope='session')
def address():
    address = address_of(url=URL)
    try:
        socket.create_connection((address.host, address.port), 2).close()
    except OSError as exc:
        if os.environ.get('CI'):
            pytest.fail(f'no {address} ({exc}), which is required where CI is set')
        pytest.skip(f'no {address}')
    return address


@pytest.fixture
def places(address):
    """Names on the server; what is there under them is removed after the test."""
    places = Places(f'test_{new_id()}')
    yield places
    with server(address) as channel:
        for name in ('default', 'default.50', 'default.600'):
            channel.queue_delete(places.queue(name))
        channel.exchange_delete(places.ended)


@pytest.fixture
def sweep(address):
    """Remove what an application has on the server."""

    def sweep(namespace):
        with server(address) as channel:
            for queue in ('default', 'other'):
                channel.queue_delete(f'{namespace}.{queue}')

    return sweep


@contextlib.contextmanager
def server(address):
    with contextlib.closing(pika.BlockingConnection(address.parameters('the tests'))) as connection:
        yield connection.channel()


@pytest.fixture
def take_all(address, places):
    """Take what is in a queue off the server."""

    def take_all(queue=None):
        found = []
        with server(address) as channel:
            while True:
                method, properties, body = channel.basic_get(queue or places.queue('default'), auto_ack=True)
                if method is None:
                    return found
                found.append((properties, body))

    return take_all


@pytest.fixture
def delete_queue(address, places):
    def delete_queue(name='default'):
        with server(address) as channel:
            channel.queue_delete(places.queue(name))

    return delete_queue


class Wire:
    """A TCP proxy before the server, which can be cut (connections are refused) or held (nothing gets through)."""

    def __init__(self, host, port, context=None):
        self._context = context
        self._target = (host, port)
        self.port = 0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._server = None
        self._writers = set()
        self._tasks = set()

    async def mend(self):
        self.flowing.set()
        self._server = await asyncio.start_server(self._serve, '127.0.0.1', self.port, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self):
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self.interrupt()

    async def interrupt(self):
        """End the connections that there are, and accept others."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await asyncio.sleep(0.05)

    async def close(self):
        await self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        other_reader, other_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, other_writer}
        for source, target in ((reader, other_writer), (other_reader, writer)):
            self._tasks.add(asyncio.create_task(self._pump(source, target)))

    async def _pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self.flowing.wait()
                target.write(data)
                await target.drain()
        target.transport.abort()


@pytest.fixture
async def make_wire():
    wires = []

    async def make_wire(host, port):
        wires.append(Wire(host, port))
        await wires[-1].mend()
        return wires[-1]

    yield make_wire
    for wire in wires:
        await wire.close()


@pytest.fixture
async def wire(address, make_wire):
    return await make_wire(address.host, address.port)


@pytest.fixture
async def encrypted(address, tmp_path):
    """A wire that speaks TLS with who connects, and the file of the authority behind it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert('localhost').configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / 'ca.pem')
    wire = Wire(address.host, address.port, context)
    await wire.mend()
    yield wire, str(tmp_path / 'ca.pem')
    await wire.close()


@pytest.fixture
async def make_line(address, places):
    """Connect; closed after the test."""
    lines = []

    async def make_line(*, port=None, patience=5.0, wait=10.0, **changes):
        options = {'host': address.host, 'port': port or address.port, 'virtual_host': address.virtual_host, **changes}
        line = Line(
            address_of(username=address.username, password=address.password, **options), 'test', places, patience
        )
        lines.append(line)
        await asyncio.to_thread(line.open, wait)
        return line

    yield make_line
    for line in lines:
        await asyncio.to_thread(line.close)
