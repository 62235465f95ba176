"""The state of tasks on Redis where their messages wait in another broker."""

import asyncio
import os
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from colibris.taskqueue.messages import Message, Outcome, Status, new_id
from colibris.taskqueue.stats import WorkerInfo
from colibris.taskqueue.stores.base import Settlement
from colibris.taskqueue.stores.redis import RedisStore, RedisWorkerStore
from colibris.taskqueue.stores.redis_server import RedisServer

URL = os.environ.get('COLIBRIS_TEST_REDIS') or 'redis://127.0.0.1:6379/0'


@pytest.fixture
def server():
    parts = urlsplit(URL)
    try:
        socket.create_connection((parts.hostname, parts.port or 6379), 2).close()
    except OSError as exc:
        if os.environ.get('CI'):
            pytest.fail(f'no Redis at {URL} ({exc}), which is required where CI is set')
        pytest.skip(f'no Redis at {URL}')
    return RedisServer(url=URL)


@pytest.fixture
async def store(server, context):
    store = RedisStore(server, apart=True)
    store.bind(replace(context, namespace=f'apart_{new_id()}'))
    await store.open()
    yield store
    await store.clear()
    await store.close()


@pytest.fixture
async def worker(server, store):
    worker = RedisWorkerStore(server, store.context)
    await asyncio.to_thread(worker.open)
    await asyncio.to_thread(worker.beat, info('w1'))
    yield worker
    await asyncio.to_thread(worker.close)


def info(worker_id):
    return WorkerInfo(worker_id, 'here', os.getpid(), 4, ('default',), 0.0)


@pytest.fixture
def add(store):
    async def add(**fields):
        message = Message(function='jobs:run', **fields)
        await store.add(message, store.context.codec.encode(message), delay=0, channel=None)
        return message

    return add


async def begin(worker, message, worker_id='w1'):
    return await asyncio.to_thread(worker.begin, message.id, worker_id, message.queue, b'data')


async def test_a_task_is_forgotten_unless_it_is_known_to_be_in_the_broker(store, add):
    lost, kept = await add(unique_key='k'), await add()
    await store.confirm([kept.id])
    await store.forget(lost.id)
    await store.forget(kept.id)
    assert await store.status(lost.id) is Status.UNKNOWN
    assert await store.status(kept.id) is Status.QUEUED
    await add(unique_key='k')


async def test_a_task_that_runs_on_a_live_worker_does_not_begin_on_another(add, worker):
    message = await add()
    assert await begin(worker, message) == (Status.RUNNING, 0)
    assert (await begin(worker, message, 'w2'))[0] is Status.QUEUED
    assert await begin(worker, message) == (Status.RUNNING, 0)


async def test_a_task_whose_worker_has_left_begins_on_another_without_being_counted(add, worker):
    message = await add()
    await begin(worker, message)
    await asyncio.to_thread(worker.leave, 'w1')
    assert await begin(worker, message, 'w2') == (Status.RUNNING, 0)


async def test_a_finished_task_is_not_kept_for_ever_by_a_late_confirmation(store, add, worker):
    message = await add()
    await begin(worker, message)
    outcome = store.context.codec.encode_outcome(message.id, Outcome(Status.SUCCEEDED, 1))
    await asyncio.to_thread(worker.settle, Settlement(message.id, Status.SUCCEEDED, outcome))
    await store.confirm([message.id])
    lifetime = await store.link.run(f"return redis.call('TTL', KEYS[1] .. 't:{message.id}')")
    assert 0 < lifetime <= 100


async def test_a_record_that_was_provisional_and_has_expired_is_not_counted(store, worker, add):
    message = await add()
    await store.link.run("return redis.call('DEL', KEYS[1] .. 't:' .. ARGV[1])", message.id)
    await asyncio.to_thread(worker.beat, info('w1'))
    assert (await store.stats()).length == 0
