"""The engine on Redis: the contract, what answers that are lost leave behind, and connections."""

import asyncio
import os
import socket
import time

import psutil
import pytest
import redis
from taskqueue_faults import Redis, free_port

from colibris.taskqueue.dramatiq import DramatiqBackend
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Message, Status, new_id
from colibris.taskqueue.testing import TaskQueueBackendSuite, add, eventually, hold, let_go, make_context, reset

URL = os.environ.get('COLIBRIS_TEST_REDIS', 'redis://127.0.0.1:6379/0')


def redis_or_skip():
    host, port = URL.split('//')[1].split('/')[0].rsplit(':', 1)
    try:
        socket.create_connection((host.rpartition('@')[2], int(port)), timeout=1).close()
    except OSError:
        if os.environ.get('CI'):
            raise
        pytest.skip(f'no Redis at {host}:{port}')


class TestRedis(TaskQueueBackendSuite):
    @pytest.fixture
    def backend(self):
        redis_or_skip()
        return DramatiqBackend(url=URL)


@pytest.fixture
async def backend():
    redis_or_skip()
    backend = DramatiqBackend(url=URL)
    backend.bind(make_context(f'suite_{new_id()}'))
    await backend.open()
    yield backend
    await backend.clear()
    await backend.close()


async def send(backend, function, *args):
    message = Message(function=backend.context.functions.name_of(function), args=args)
    return await backend.send(message, backend.context.codec.encode(message))


async def is_running(backend, task_id):
    return await backend.status(task_id) is Status.RUNNING


async def test_what_was_taken_in_an_answer_that_was_lost_is_put_back(backend):
    worker = backend.make_worker(threads=2, queues=['default'])
    await worker.start()
    client, prefix = redis.Redis.from_url(URL), f'{backend.context.namespace}:tasks:'
    held = f'{prefix}h:{worker._broker.worker_id}:default'
    # as if the worker had taken it, and the connection had been lost before it knew
    message = Message(function='colibris.taskqueue.testing.jobs:add', args=[1])
    data = backend.context.codec.encode(message)
    client.hset(f'{prefix}t:{message.id}', mapping={'m': data, 's': 'queued', 'q': 'default', 'a': 1})
    client.rpush(held, message.id)
    async with asyncio.timeout(10):
        assert (await backend.wait(message.id)).value == 1
    assert client.llen(held) == 0
    await worker.stop()
    client.close()


async def test_what_a_worker_takes_after_it_seemed_to_have_gone_is_put_back(backend):
    task_id = await send(backend, add, 1)
    client, prefix = redis.Redis.from_url(URL), f'{backend.context.namespace}:tasks:'
    client.zadd(f'{prefix}g', {'gone': time.time() * 1000})
    client.hset(f'{prefix}i', 'gone', '{"queues": ["default"]}')
    assert client.lmove(f'{prefix}q:default', f'{prefix}h:gone:default') == task_id.encode()
    worker = backend.make_worker(threads=2, queues=['default'])
    await worker.start()
    async with asyncio.timeout(10):
        assert (await backend.wait(task_id)).value == 1
    await worker.stop()
    client.close()


async def test_a_clock_of_the_server_that_is_set_back_makes_no_delay_longer(backend):
    message = Message(function='colibris.taskqueue.testing.jobs:add', args=[1])
    await backend.send(message, backend.context.codec.encode(message), delay=1)
    client, prefix = redis.Redis.from_url(URL), f'{backend.context.namespace}:tasks:'
    client.zincrby(f'{prefix}d', 3_600_000, message.id)  # as if both had been written an hour later
    client.incrby(f'{prefix}n', 3_600_000)
    worker = backend.make_worker(threads=1, queues=['default'])
    await worker.start()
    async with asyncio.timeout(10):
        assert (await backend.wait(message.id)).value == 1
    await worker.stop()
    client.close()


async def test_a_worker_takes_no_more_than_it_can_run(backend):
    reset()
    workers = [backend.make_worker(threads=1, queues=['default', 'other']) for _ in range(2)]
    for worker in workers:
        await worker.start()
    slow = await send(backend, hold)
    await eventually(lambda: is_running(backend, slow))
    others = [await send(backend, add, number) for number in range(10)]
    async with asyncio.timeout(15):  # shorter than `hold` holds
        for task_id in others:
            await backend.wait(task_id)
    let_go()
    assert (await backend.wait(slow)).value == 'let go'
    for worker in workers:
        await worker.stop()


async def test_thousands_of_calls_take_two_connections(backend):
    def connections():
        mine = psutil.Process().net_connections('tcp')
        return sum(1 for each in mine if each.status == 'ESTABLISHED')

    await backend.close()
    before = connections()
    await backend.open()
    ids = [new_id() for _ in range(2000)]
    calls = []
    for task_id in ids:
        message = Message(id=task_id, function='colibris.taskqueue.testing.jobs:add', args=[1])
        data = backend.context.codec.encode(message)
        calls.append(asyncio.create_task(backend.send(message, data, awaited=True)))
    await asyncio.gather(*calls)
    waits = [asyncio.create_task(backend.wait(task_id)) for task_id in ids]
    await asyncio.sleep(0.1)
    assert connections() - before <= 2
    worker = backend.make_worker(threads=4, queues=['default'])
    await worker.start()
    async with asyncio.timeout(30):
        assert {outcome.value for outcome in await asyncio.gather(*waits)} == {1}
    await worker.stop()


async def test_a_server_that_forgot_the_scripts_is_told_them_again(tmp_path):
    server = Redis(tmp_path)
    server.start()
    backend = DramatiqBackend(port=server.port)
    backend.bind(make_context('suite'))
    await backend.open()
    first = await send(backend, add, 1)
    with redis.Redis(port=server.port) as client:
        client.script_flush()
    sent = await asyncio.gather(*(send(backend, add, number) for number in range(50)))
    assert {await backend.status(task_id) for task_id in (first, *sent)} == {Status.QUEUED}
    await backend.close()
    server.close()


async def test_a_server_that_is_away_is_told_within_seconds():
    backend = DramatiqBackend(port=free_port(), timeout=1.0)
    backend.bind(make_context('suite'))
    begun = time.monotonic()
    with pytest.raises(TaskQueueUnavailable, match='cannot be reached'):
        await backend.open()
    assert time.monotonic() - begun < 5
    await backend.close()
