"""The relay of the outbox: it sends what the process that enqueued it could not, however many relays there are."""

import asyncio
import contextlib
from collections import Counter

import pytest

from colibris.persist import get_connection, transaction
from colibris.taskqueue import relay as module
from colibris.taskqueue.base import Context
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.functions import Functions
from colibris.taskqueue.messages import Codec, Message
from colibris.taskqueue.outbox import Outbox
from colibris.taskqueue.policy import Policy
from colibris.taskqueue.relay import Relay


class Queue:
    """Stands in for an engine: takes what it is sent, or does not."""

    def __init__(self, folder):
        codec = Codec(b'secret' * 8, max_size=100_000)
        self.context = Context(Policy(worker_timeout=0.4), codec, Functions('jobs'), 'shop', folder)
        self.taken = []
        self.is_away = False
        self.refused = set()

    async def send(self, message, data, *, delay=0, awaited=False):
        await asyncio.sleep(0)
        if self.is_away:
            raise TaskQueueUnavailable('the queue is away')
        if message.id in self.refused:
            raise ValueError('no')
        self.taken.append((message.id, delay))
        return message.id

    @property
    def ids(self):
        return [task_id for task_id, _ in self.taken]


@pytest.fixture
def queue(database, tmp_path):
    return Queue(tmp_path)


@pytest.fixture
def relay(queue):
    return Relay(queue)


@pytest.fixture
def write(queue):
    """Write messages as a process does that dies then, or finds the queue away (without a claim)."""

    async def write(count=1, *, claim=None, delay=0.0):
        messages = [Message(function='jobs:run') for _ in range(count)]
        for message in messages:
            await Outbox(queue)._insert(message.id, queue.context.codec.encode(message), delay, claim)
        return [message.id for message in messages]

    return write


async def rows():
    return await get_connection().execute_query_dict('SELECT * FROM colibris_task_outbox ORDER BY id')


@contextlib.asynccontextmanager
async def running(*relays):
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def until(condition):
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def is_empty():
    return not await rows()


async def test_what_waits_is_sent_in_its_order_and_deleted(relay, write, queue):
    written = await write(20)
    assert await relay.turn() == 20
    assert queue.ids == written
    assert await rows() == []
    assert await relay.turn() == 0


async def test_what_another_process_is_sending_is_left_to_it(relay, write, queue):
    await write(claim='live')
    assert await relay.turn() == 0
    assert queue.taken == []


async def test_what_a_process_did_not_finish_that_died_is_sent_after_a_while(relay, write, queue):
    written = await write(claim='dead')
    async with running(relay):
        await asyncio.sleep(0.2)
        assert queue.taken == []
        await until(is_empty)
    assert queue.ids == written


async def test_the_clock_has_no_say_in_whose_claim_is_void(relay, write, queue):
    written = await write(claim='dead')
    await get_connection().execute_query('UPDATE colibris_task_outbox SET created = created + 3600')
    async with running(relay):
        await until(is_empty)
    assert queue.ids == written


async def test_while_the_queue_is_away_everything_waits(relay, write, queue):
    written = await write(3)
    queue.is_away = True
    with pytest.raises(TaskQueueUnavailable):
        await relay.turn()
    assert [row['claim'] for row in await rows()] == [None] * 3
    async with running(relay):
        await asyncio.sleep(0.5)
        queue.is_away = False
        await until(is_empty)
    assert sorted(queue.ids) == sorted(written)


async def test_what_the_queue_refuses_stays_and_does_not_hold_up_the_rest(relay, write, queue, monkeypatch):
    monkeypatch.setattr(module, '_BATCH', 2)
    refused = await write(2)
    queue.refused |= set(refused)
    assert await relay.turn() == 0
    others = await write(2)
    assert await relay.turn() == 2
    assert queue.ids == others
    assert [(row['task_id'], row['refusals']) for row in await rows()] == [(task_id, 1) for task_id in refused]


async def test_a_message_that_is_signed_with_another_key_stays(relay, write, queue):
    await write()
    queue.context = Context(
        queue.context.policy, Codec(b'other' * 8, max_size=100_000), Functions('jobs'), 'shop', queue.context.base_dir
    )
    assert await relay.turn() == 0
    assert len(await rows()) == 1


async def test_a_delay_counts_from_the_time_it_was_enqueued(relay, write, queue):
    await write(delay=100)
    await write(delay=5)
    await get_connection().execute_query('UPDATE colibris_task_outbox SET created = created - 30')
    await write(delay=100)
    await get_connection().execute_query('UPDATE colibris_task_outbox SET created = created + 3600 WHERE refusals = 0')
    await get_connection().execute_query('UPDATE colibris_task_outbox SET created = created - 3600 WHERE delay = 5')
    await relay.turn()
    delays = [delay for _, delay in queue.taken]
    assert delays == [100, 0, 100]


async def test_what_is_not_committed_is_neither_seen_nor_waited_for(relay, write, queue, database):
    if database.dialect == 'sqlite':
        pytest.skip('there one transaction writes at a time')
    committed = asyncio.Event()

    async def write_slowly():
        async with transaction():
            await write()
            await committed.wait()

    writing = asyncio.create_task(write_slowly())
    await asyncio.sleep(0.1)
    visible = await write()
    async with asyncio.timeout(5):
        assert await relay.turn() == 1
    assert queue.ids == visible
    committed.set()
    await writing
    assert await relay.turn() == 1


async def test_several_relays_share_the_work_and_send_each_message_once(queue, write, monkeypatch):
    monkeypatch.setattr(module, '_BATCH', 10)
    monkeypatch.setattr(queue.context.policy.__class__, 'worker_timeout', 30.0)
    written = await write(200)
    async with running(*(Relay(queue) for _ in range(4))):
        await until(is_empty)
    assert Counter(queue.ids) == Counter(written)


async def test_a_relay_that_is_cancelled_gives_back_what_it_had(relay, write, queue):
    await write(5)
    sending = asyncio.Event()

    async def send(message, data, *, delay=0, awaited=False):
        sending.set()
        await asyncio.Event().wait()

    queue.send = send
    async with running(relay):
        await sending.wait()
    assert [row['claim'] for row in await rows()] == [None] * 5
