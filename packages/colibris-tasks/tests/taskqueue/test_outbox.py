"""The outbox: a message is written with the rest of a transaction, and sent after its commit."""

import asyncio
import contextlib
import time

import pytest

from colibris.persist import DatabaseUnavailable, OperationalError, get_connection, transaction
from colibris.taskqueue import outbox as module
from colibris.taskqueue.base import Context
from colibris.taskqueue.errors import TaskQueueError, TaskQueueUnavailable
from colibris.taskqueue.functions import Functions
from colibris.taskqueue.handles import Handle
from colibris.taskqueue.messages import Codec, Message, Outcome, Status
from colibris.taskqueue.outbox import Outbox
from colibris.taskqueue.policy import Policy
from colibris.taskqueue.relay import Relay


class Queue:
    """Stands in for an engine: takes what it is sent, or does not."""

    def __init__(self, folder):
        codec = Codec(b'secret' * 8, max_size=100_000)
        self.context = Context(Policy(worker_timeout=2.0), codec, Functions('jobs'), 'shop', folder)
        self.taken = []
        self.waited_for = []
        self.is_away = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def send(self, message, data, *, delay=0, awaited=False):
        await self.answers.wait()
        if self.is_away:
            raise TaskQueueUnavailable('the queue is away')
        self.taken.append((message.id, delay))
        return message.id

    async def wait(self, task_id):
        self.waited_for.append(task_id)
        return Outcome(Status.SUCCEEDED, 'the result')

    @property
    def ids(self):
        return [task_id for task_id, _ in self.taken]


@pytest.fixture
def queue(tmp_path):
    return Queue(tmp_path)


@pytest.fixture
async def outbox(database, queue):
    outbox = Outbox(queue)
    yield outbox
    await outbox.close()


@pytest.fixture
def put(outbox, queue):
    async def put(*, delay=0.0):
        message = Message(function='jobs:run')
        handle = Handle(queue, message.id, queue.context.policy)
        await outbox.put(message, queue.context.codec.encode(message), delay, handle)
        return handle

    return put


async def rows():
    return await get_connection().execute_query_dict('SELECT * FROM colibris_task_outbox ORDER BY id')


async def until_empty():
    async with asyncio.timeout(10):
        while await rows():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_message_is_sent_and_its_row_goes(put, queue):
    handle = await put(delay=5)
    assert queue.taken == [(handle.id, 5)]
    assert not handle.pending
    await until_empty()


async def test_within_a_transaction_it_is_written_and_sent_after_the_commit(put, queue):
    async with transaction():
        handle = await put()
        assert [row['task_id'] for row in await rows()] == [handle.id]
        assert queue.taken == []
        assert handle.pending
    assert queue.ids == [handle.id]
    assert not handle.pending


async def test_a_rollback_drops_it(put, queue):
    with contextlib.suppress(RuntimeError):
        async with transaction():
            handle = await put()
            raise RuntimeError
    assert await rows() == []
    assert queue.taken == []
    assert handle.pending


async def test_a_rollback_of_a_savepoint_drops_what_was_written_in_it(put, queue):
    async with transaction():
        kept = await put()
        with contextlib.suppress(RuntimeError):
            async with transaction():
                await put()
                raise RuntimeError
    assert queue.ids == [kept.id]


async def test_messages_are_sent_in_the_order_in_which_they_were_written(put, queue):
    async with transaction():
        handles = [await put() for _ in range(20)]
    assert queue.ids == [handle.id for handle in handles]


async def test_while_the_queue_is_away_it_waits_for_a_relay(put, queue):
    queue.is_away = True
    handle = await put()
    [row] = await rows()
    assert (row['task_id'], row['claim']) == (handle.id, None)
    assert await handle.status() is Status.QUEUED


async def test_who_waits_for_a_result_waits_until_the_queue_is_back(put, queue):
    queue.is_away = True
    handle = await put()
    waiting = asyncio.create_task(handle.result(10))
    await asyncio.sleep(0.4)
    assert queue.waited_for == []
    queue.is_away = False
    await Relay(queue).turn()
    assert await waiting == 'the result'
    assert queue.waited_for == [handle.id]


async def test_what_waits_for_the_queue_can_be_cancelled(put, queue):
    queue.is_away = True
    handle = await put()
    assert await handle.cancel()
    assert await rows() == []


async def test_a_queue_that_is_away_is_left_to_the_relay_for_a_while(put, queue):
    queue.is_away = True
    await put()
    queue.is_away = False
    handle = await put()
    assert queue.taken == []
    assert [row['claim'] for row in await rows()] == [None, None]
    assert await handle.status() is Status.QUEUED


async def test_a_queue_that_does_not_answer_holds_nobody_up_for_long(put, queue):
    queue.answers.clear()
    begun = time.monotonic()
    handles = [await put() for _ in range(5)]
    assert time.monotonic() - begun < 2.5
    assert len(await rows()) == 5
    queue.answers.set()
    async with asyncio.timeout(5):
        while handles[0].outbox is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_only_so_many_are_sent_by_the_process_itself(put, queue, monkeypatch):
    monkeypatch.setattr(module, '_CAPACITY', 3)
    monkeypatch.setattr(module, '_PATIENCE', 0.0)
    queue.answers.clear()
    for _ in range(5):
        await put()
    assert sum(row['claim'] is not None for row in await rows()) == 3
    queue.answers.set()


async def test_what_was_sent_is_deleted_before_the_end(put, outbox, queue):
    for _ in range(20):
        await put()
    await outbox.close()
    assert await rows() == []


async def test_a_missing_table_is_told_with_what_to_do(put):
    await get_connection().execute_query('DROP TABLE colibris_task_outbox')
    with pytest.raises(TaskQueueError, match=r'manage\.py makemigrations'):
        await put()


@contextlib.asynccontextmanager
async def away(database):
    """Have the database away in the block."""
    await database.client.close()
    if database.dialect == 'sqlite':
        hidden = database.path.rename(database.path.with_suffix('.hidden'))
        yield
        hidden.rename(database.path)
    else:
        port, database.port = database.port, 1
        yield
        database.port = port


async def test_a_database_that_is_away_takes_nothing(put, queue, database):
    async with away(database):
        with pytest.raises(TaskQueueUnavailable):
            await put()
    assert queue.taken == []
    await put()
    assert len(queue.taken) == 1


async def test_a_database_that_goes_away_before_the_commit_keeps_nothing(put, queue, database):
    if database.dialect != 'postgres':
        pytest.skip('the connection is ended by the server')
    with pytest.raises((DatabaseUnavailable, OperationalError)):  # noqa: PT012
        async with transaction():
            await put()
            [row] = await get_connection().execute_query_dict('SELECT pg_backend_pid() AS pid')
            async with database._administrator() as administrator:
                await administrator.execute('SELECT pg_terminate_backend($1)', row['pid'])
    assert queue.taken == []
    assert await rows() == []


async def test_a_transaction_on_another_database_is_waited_for(put, queue):
    with contextlib.suppress(RuntimeError):
        async with transaction('other'):
            await put()
            assert await rows() == []
            raise RuntimeError
    assert queue.taken == []
    async with transaction('other'):
        handle = await put()
    assert queue.ids == [handle.id]
