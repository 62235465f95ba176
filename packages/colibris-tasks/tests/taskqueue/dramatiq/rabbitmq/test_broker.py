"""Workers on RabbitMQ whose connection is lost, and messages that nobody knows."""

import asyncio
import os
import socket
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pika
import psutil
import pytest

from colibris.taskqueue import testing
from colibris.taskqueue.dramatiq import DramatiqBackend
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Message, Outcome, Status, new_id

REDIS = os.environ.get('COLIBRIS_TEST_REDIS') or 'redis://127.0.0.1:6379/0'


@pytest.fixture
def context(address, sweep):
    """Names of the tests' own, on both servers."""
    parts = urlsplit(REDIS)
    try:
        socket.create_connection((parts.hostname, parts.port or 6379), 2).close()
    except OSError as exc:
        if os.environ.get('CI'):
            pytest.fail(f'no Redis at {REDIS} ({exc}), which is required where CI is set')
        pytest.skip(f'no Redis at {REDIS}')
    context = testing.make_context(f'broker_{new_id()}', worker_timeout=6.0)
    testing.reset()
    yield context
    testing.let_go()
    sweep(context.namespace)


@pytest.fixture
async def make_backend(address, context):
    backends = []

    async def make_backend(port=None):
        server = {'host': address.host, 'port': port or address.port, 'virtual_host': address.virtual_host}
        user = {'username': address.username, 'password': address.password}
        backend = DramatiqBackend(broker='rabbitmq', store=REDIS, **server, **user)
        backend.bind(context)
        await backend.open()
        backends.append(backend)
        return backend

    yield make_backend
    await backends[0].clear()
    for backend in backends:
        await backend.close()


@asynccontextmanager
async def working(backend):
    worker = backend.make_worker(threads=2, queues=('default',))
    await worker.start()
    try:
        yield
    finally:
        testing.let_go()
        await worker.stop()


async def send(backend, function, *args):
    message = Message(function=backend.context.functions.name_of(function), args=args)
    return await backend.send(message, backend.context.codec.encode(message))


async def test_thousands_of_calls_take_two_connections(make_backend):
    def connections():
        found = [each for each in psutil.Process().net_connections('tcp') if each.status == 'ESTABLISHED']
        own = {each.laddr for each in found}  # pika wakes its thread by a pair of sockets
        return sum(1 for each in found if each.raddr not in own)

    before = connections()
    backend = await make_backend()
    ids = [new_id() for _ in range(2000)]
    messages = [Message(id=task_id, function='colibris.taskqueue.testing:add', args=[1]) for task_id in ids]
    encode = backend.context.codec.encode
    await asyncio.gather(*(backend.send(message, encode(message), awaited=True) for message in messages))
    waits = [asyncio.create_task(backend.wait(task_id)) for task_id in ids]
    await asyncio.sleep(0.1)
    assert connections() - before == 2
    worker = backend.make_worker(threads=4, queues=('default',))
    await worker.start()
    async with asyncio.timeout(60):
        assert {outcome.value for outcome in await asyncio.gather(*waits)} == {1}
    await worker.stop()


def confirm_late(broker, seconds):
    """Let the worker know late that its messages have been accepted."""
    publish = broker.line.publish_and_wait

    def publish_and_wait(*args):
        publish(*args)
        time.sleep(seconds)

    broker.line.publish_and_wait = publish_and_wait


async def test_a_further_try_that_comes_before_it_is_confirmed_is_run(make_backend):
    backend = await make_backend()
    worker = backend.make_worker(threads=2, queues=('default',))
    confirm_late(worker._broker, 0.5)
    await worker.start()
    name = backend.context.functions.name_of(testing.fail)
    message = Message(function=name, retries=2)
    await backend.send(message, backend.context.codec.encode(message))
    assert (await asyncio.wait_for(backend.wait(message.id), 10)).status is Status.FAILED
    await worker.stop()


async def test_a_copy_that_is_put_off_and_comes_before_it_is_confirmed_is_kept(make_backend):
    backend = await make_backend()
    worker = backend.make_worker(threads=2, queues=('default',))
    broker = worker._broker
    broker._policy = replace(broker._policy, worker_timeout=0.3)
    confirm_late(broker, 0.6)
    begin, elsewhere = broker._store.begin, iter([(Status.QUEUED, 0)] * 2)
    broker._store.begin = lambda *args: next(elsewhere, None) or begin(*args)
    await worker.start()
    task_id = await send(backend, testing.add, 1)
    assert (await asyncio.wait_for(backend.wait(task_id), 10)).value == 1
    await worker.stop()


async def dead_letter(service):
    await send(service, testing.fail)
    [letter] = await testing.eventually(service.dead_letters)
    return letter.id


async def test_a_dead_letter_that_was_queued_again_and_purged_stays_away(make_backend, monkeypatch):
    monkeypatch.setattr('colibris.taskqueue.dramatiq.rabbitmq.transport._SECOND_COPY', 0.5)
    service = await make_backend()
    async with working(service):
        task_id = await dead_letter(service)
        testing.notes.clear()
        assert await service.retry_dead(task_id)
        await testing.eventually(service.dead_letters)
        assert await service.purge_dead() == 1
        await asyncio.sleep(1)
        assert await service.dead_letters() == []
        assert await service.info(task_id) is None


async def test_a_dead_letter_runs_again_though_the_sending_fails(make_backend, monkeypatch):
    monkeypatch.setattr('colibris.taskqueue.dramatiq.rabbitmq.transport._SECOND_COPY', 0.5)
    service = await make_backend()

    async def publish(*args):
        raise TaskQueueUnavailable('gone')

    async with working(service):
        task_id = await dead_letter(service)
        monkeypatch.setattr(service.transport.line, 'publish', publish)
        assert await service.retry_dead(task_id)
        assert await service.status(task_id) is Status.QUEUED
        [letter] = await testing.eventually(service.dead_letters)
    assert letter.id == task_id


async def held():
    return testing.notes


async def test_a_task_goes_on_when_the_connection_of_its_worker_is_lost(make_backend, wire, take_all, context):
    service, backend = await make_backend(), await make_backend(wire.port)
    async with working(backend):
        task_id = await send(service, testing.hold)
        await testing.eventually(held)
        await wire.cut()
        await wire.mend()
        await asyncio.sleep(1.5)
        assert testing.notes == ['held']
        testing.let_go()
        assert await asyncio.wait_for(service.wait(task_id), 20) == Outcome(Status.SUCCEEDED, 'let go')
    assert testing.notes == ['held']
    assert take_all(f'{context.namespace}.default') == []


async def test_another_worker_does_not_run_a_task_whose_worker_lives_on(make_backend, wire, context, take_all):
    service, backend, other = await make_backend(), await make_backend(wire.port), await make_backend()
    async with working(backend):
        task_id = await send(service, testing.hold)
        await testing.eventually(held)
        async with working(other):
            await wire.cut()
            await asyncio.sleep(3)
            assert testing.notes == ['held']
            testing.let_go()
            assert await asyncio.wait_for(service.wait(task_id), 20) == Outcome(Status.SUCCEEDED, 'let go')
            await wire.mend()
            await asyncio.sleep(2.5)  # the copy has come again
    assert testing.notes == ['held']
    assert take_all(f'{context.namespace}.default') == []


async def test_a_message_without_an_id_becomes_a_dead_letter(make_backend, address, context):
    service = await make_backend()
    async with working(service):
        connection = pika.BlockingConnection(address.parameters('the tests'))
        connection.channel().basic_publish('', f'{context.namespace}.default', b'what is this?')
        connection.close()
        [letter] = await testing.eventually(service.dead_letters)
    assert letter.failure.type.endswith('InvalidMessage')


async def test_a_worker_serves_its_queues_and_no_others(make_backend):
    backend = await make_backend()
    worker = backend.make_worker(threads=2, queues=('default',))
    await worker.start()
    served = set(worker._worker.consumers)
    await worker.stop()
    assert served == {'default'}
