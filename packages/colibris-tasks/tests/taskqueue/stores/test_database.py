"""The state of tasks in the project's database: what services ask of it, and what workers tell it."""

import asyncio
import contextlib
import os
import threading

import pytest

from colibris.conf import settings
from colibris.persist import get_connection, transaction
from colibris.subsystems import NotConfigured
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Failure, Message, Outcome, Status
from colibris.taskqueue.stats import WorkerInfo
from colibris.taskqueue.stores.base import Settlement
from colibris.taskqueue.stores.database import EVERYBODY, DatabaseStore
from colibris.taskqueue.stores.database_worker import DatabaseWorkerStore


class Bell:
    """Notes who was told what."""

    def __init__(self):
        self.rung = []

    def ring(self, channel, task_id, outcome):
        self.rung.append((channel, task_id, outcome))


class Worker:
    """The side of a worker, called in threads as it is in a worker."""

    def __init__(self, store, worker_id, context):
        self.store = store
        self.id = worker_id
        self._context = context

    async def begin(self, message, *, worker=None):
        data = self._context.codec.encode(message)
        return await asyncio.to_thread(self.store.begin, message.id, worker or self.id, message.queue, data)

    async def succeed(self, message, value=None):
        outcome = self._context.codec.encode_outcome(message.id, Outcome(Status.SUCCEEDED, value))
        await asyncio.to_thread(self.store.settle, Settlement(message.id, Status.SUCCEEDED, outcome))
        return outcome

    async def fail(self, message):
        failure = Failure('ValueError', 'no', 'Traceback')
        outcome = self._context.codec.encode_outcome(message.id, Outcome(Status.FAILED, None, failure))
        await asyncio.to_thread(self.store.settle, Settlement(message.id, Status.FAILED, outcome))

    async def delay(self, message, seconds):
        data = self._context.codec.encode(message.next_attempt())
        await asyncio.to_thread(self.store.settle, Settlement(message.id, Status.DELAYED, message=data, delay=seconds))

    async def beat(self, worker=None):
        info = WorkerInfo(worker or self.id, 'here', os.getpid(), 4, ('default', 'mail'), 0.0)
        await asyncio.to_thread(self.store.beat, info)

    async def leave(self):
        await asyncio.to_thread(self.store.leave, self.id)


@pytest.fixture
def bell():
    return Bell()


@pytest.fixture
async def store(database, context, bell):
    store = DatabaseStore(bell)
    store.bind(context)
    await store.open()
    return store


@pytest.fixture
async def worker(store, context, bell):
    worker = Worker(DatabaseWorkerStore(context, bell), 'w1', context)
    await asyncio.to_thread(worker.store.open)
    await worker.beat()
    yield worker
    await asyncio.to_thread(worker.store.close)


@pytest.fixture
def add(store, context):
    async def add(message=None, *, delay=0, channel=None, **fields):
        message = message or Message(function='jobs:run', **fields)
        task_id = await store.add(message, context.codec.encode(message), delay=delay, channel=channel)
        return message, task_id

    return add


async def sql(statement):
    await get_connection().execute_query(statement)


async def test_a_task_is_queued_once_it_was_added(store, add):
    message, task_id = await add()
    assert task_id == message.id
    assert await store.status(message.id) is Status.QUEUED


async def test_nothing_is_known_of_other_tasks(store):
    assert await store.status('f' * 32) is Status.UNKNOWN
    assert await store.outcomes(['f' * 32]) == {}
    assert await store.info('f' * 32) is None


async def test_a_task_with_a_delay_is_delayed_until_it_is_due(store, add):
    message, _ = await add(delay=0.3)
    assert await store.status(message.id) is Status.DELAYED
    assert (await store.stats()).delayed == 1
    await asyncio.sleep(0.35)
    assert await store.status(message.id) is Status.QUEUED
    assert (await store.stats()).length == 1


async def test_a_known_task_stays_as_it_is(store, add, worker):
    message, _ = await add()
    await worker.begin(message)
    assert (await add(message))[1] == message.id
    assert await store.status(message.id) is Status.RUNNING


async def test_one_unfinished_task_holds_a_unique_key(add, worker):
    first, _ = await add(unique_key='k')
    _, second = await add(unique_key='k')
    assert second == first.id
    await worker.begin(first)
    assert (await add(unique_key='k'))[1] == first.id
    await worker.succeed(first)
    third, task_id = await add(unique_key='k')
    assert task_id == third.id


async def test_unique_keys_are_told_apart_letter_by_letter(add):
    first, _ = await add(unique_key='key')
    second, task_id = await add(unique_key='KEY')
    assert task_id == second.id != first.id


async def test_of_many_that_add_the_same_unique_key_at_once_one_does(add):
    added = await asyncio.gather(*(add(unique_key='k') for _ in range(20)))
    assert len({task_id for _, task_id in added}) == 1


async def test_a_task_that_never_reached_the_broker_frees_its_unique_key(add):
    lost, _ = await add(unique_key='k')
    await sql('UPDATE colibris_task_states SET expires = 1')
    message, task_id = await add(unique_key='k')
    assert task_id == message.id != lost.id


async def test_a_task_that_never_reached_the_broker_is_forgotten(store, add, worker):
    lost, _ = await add()
    kept, _ = await add()
    await store.confirm([kept.id])
    await sql('UPDATE colibris_task_states SET expires = 1 WHERE expires IS NOT NULL')
    await worker.beat()
    assert await store.status(lost.id) is Status.UNKNOWN
    assert await store.status(kept.id) is Status.QUEUED


async def test_a_task_is_forgotten_unless_it_is_known_to_be_in_the_broker(store, add):
    lost, _ = await add(unique_key='k')
    kept, _ = await add()
    await store.confirm([kept.id])
    await store.forget(lost.id)
    await store.forget(kept.id)
    assert await store.status(lost.id) is Status.UNKNOWN
    assert await store.status(kept.id) is Status.QUEUED


async def test_a_task_that_begins_is_running(store, add, worker):
    message, _ = await add()
    assert await worker.begin(message) == (Status.RUNNING, 0)
    assert await store.status(message.id) is Status.RUNNING
    assert (await store.stats()).running == 1


async def test_a_message_that_nothing_is_known_of_is_recorded_and_runs(store, worker):
    message = Message(function='jobs:run', queue='mail')
    assert await worker.begin(message) == (Status.RUNNING, 0)
    info = await store.info(message.id)
    assert (info.status, info.function, info.queue) == (Status.RUNNING, 'jobs:run', 'mail')


async def test_a_message_that_cannot_be_read_is_recorded_all_the_same(store, worker):
    found = await asyncio.to_thread(worker.store.begin, 'a' * 32, 'w1', 'default', b'rubbish')
    assert found == (Status.RUNNING, 0)
    await worker.fail(Message(id='a' * 32, function=''))
    assert [info.id for info in await store.dead_letters(limit=10, offset=0)] == ['a' * 32]


async def test_a_finished_task_does_not_begin_again(add, worker):
    message, _ = await add()
    await worker.begin(message)
    await worker.succeed(message)
    assert (await worker.begin(message))[0] is Status.SUCCEEDED


async def test_a_task_that_runs_on_a_live_worker_does_not_begin_on_another(add, worker):
    message, _ = await add()
    await worker.begin(message)
    assert (await worker.begin(message, worker='w2'))[0] is Status.QUEUED
    assert (await worker.begin(message))[0] is Status.RUNNING


async def test_a_task_whose_worker_is_silent_begins_on_another_and_that_is_counted(add, worker):
    message, _ = await add()
    await worker.begin(message)
    await sql('UPDATE colibris_task_workers SET seen = seen - 6')
    assert await worker.begin(message, worker='w2') == (Status.RUNNING, 1)


async def test_a_task_whose_worker_has_left_begins_on_another_without_being_counted(add, worker):
    message, _ = await add()
    await worker.begin(message)
    await worker.leave()
    assert await worker.begin(message, worker='w2') == (Status.RUNNING, 0)


async def test_of_many_workers_that_begin_a_task_at_once_one_runs_it(add, worker):
    message, _ = await add()
    for number in range(8):
        await worker.beat(f'x{number}')
    begun = await asyncio.gather(*(worker.begin(message, worker=f'x{number}') for number in range(8)))
    assert sorted(status for status, _ in begun) == ['queued'] * 7 + ['running']


async def test_the_outcome_is_kept_and_those_who_wait_are_told(store, add, worker, bell):
    message, _ = await add(channel='c1')
    await worker.begin(message)
    outcome = await worker.succeed(message, 5)
    assert await store.status(message.id) is Status.SUCCEEDED
    assert await store.outcomes([message.id]) == {message.id: outcome}
    assert bell.rung == [('c1', message.id, outcome)]


async def test_nobody_is_told_of_a_task_that_nobody_waits_for(add, worker, bell):
    message, _ = await add()
    await worker.begin(message)
    await worker.succeed(message)
    assert bell.rung == []


async def test_who_asks_for_an_outcome_hears_of_it_later(store, add, worker, bell):
    message, _ = await add()
    assert await store.outcomes([message.id], 'c1') == {message.id: None}
    assert await store.outcomes([message.id], 'c1') == {message.id: None}
    await worker.begin(message)
    await worker.succeed(message)
    assert [channel for channel, _, _ in bell.rung] == ['c1']


async def test_everybody_is_told_of_a_task_that_several_processes_wait_for(store, add, worker, bell):
    message, _ = await add(channel='c1')
    await store.outcomes([message.id], 'c2')
    await worker.begin(message)
    await worker.succeed(message)
    assert [channel for channel, _, _ in bell.rung] == [EVERYBODY]


async def test_who_waits_is_told_again_when_a_copy_of_the_message_comes(add, worker, bell):
    message, _ = await add(channel='c1')
    await worker.begin(message)
    await worker.succeed(message)
    await worker.begin(message, worker='w2')
    assert len(bell.rung) == 2


async def test_the_first_end_of_a_task_counts(store, add, worker):
    message, _ = await add()
    await worker.begin(message)
    await worker.succeed(message, 1)
    await worker.fail(message)
    assert await store.status(message.id) is Status.SUCCEEDED


async def test_a_further_try_is_delayed_with_its_own_message(store, add, worker, context):
    message, _ = await add()
    await worker.begin(message)
    await worker.delay(message, 60)
    info = await store.info(message.id)
    assert (info.status, info.attempt) == (Status.DELAYED, 1)
    assert await worker.begin(message) == (Status.RUNNING, 0)
    await worker.fail(message)
    assert context.codec.decode(await store.dead_message(message.id)).attempt == 1


async def test_a_task_is_cancelled_before_it_starts_only(store, add, worker, bell):
    waiting, _ = await add(channel='c1', unique_key='k')
    running, _ = await add()
    await worker.begin(running)
    assert await store.cancel(waiting.id, b'outcome') is True
    assert await store.cancel(waiting.id, b'outcome') is True
    assert await store.cancel(running.id, b'outcome') is False
    assert await store.cancel('f' * 32, b'outcome') is False
    assert bell.rung == [('c1', waiting.id, b'outcome')]
    assert (await worker.begin(waiting))[0] is Status.CANCELLED
    message, task_id = await add(unique_key='k')
    assert task_id == message.id


async def test_dead_letters_are_listed_the_newest_first_and_can_be_revived(store, add, worker, context):
    messages = [(await add())[0] for _ in range(3)]
    for message in messages:
        await worker.begin(message)
        await worker.fail(message)
    found = await store.dead_letters(limit=2, offset=0)
    assert [info.id for info in found] == [messages[2].id, messages[1].id]
    assert found[0].failure == Failure('ValueError', 'no', 'Traceback')
    data = await store.dead_message(messages[0].id)
    assert context.codec.decode(data).id == messages[0].id
    assert await store.revive(messages[0].id, data)
    assert not await store.revive(messages[0].id, data)
    assert await store.status(messages[0].id) is Status.QUEUED
    assert (await store.stats()).dead == 2


async def test_dead_letters_are_purged_all_or_some(store, add, worker):
    messages = [(await add())[0] for _ in range(3)]
    for message in messages:
        await worker.begin(message)
        await worker.fail(message)
    assert await store.purge_dead([messages[0].id, 'f' * 32]) == 1
    assert await store.purge_dead(None) == 2
    assert await store.dead_letters(limit=10, offset=0) == []


async def test_records_expire(store, add, worker):
    succeeded, failed, waiting = [(await add())[0] for _ in range(3)]
    await store.confirm([waiting.id])
    for message in (succeeded, failed):
        await worker.begin(message)
    await worker.succeed(succeeded)
    await worker.fail(failed)
    await sql('UPDATE colibris_task_states SET expires = expires - 101')
    await worker.beat()
    assert await store.status(succeeded.id) is Status.UNKNOWN
    assert await store.status(failed.id) is Status.FAILED
    await sql('UPDATE colibris_task_states SET expires = expires - 900')
    await worker.beat()
    assert await store.status(failed.id) is Status.UNKNOWN
    assert await store.status(waiting.id) is Status.QUEUED


async def test_stats_tell_what_waits_in_each_queue_and_who_works(store, add, worker):
    await add()
    await add(queue='mail')
    await add(queue='mail')
    await sql("UPDATE colibris_task_states SET due = due - 60 WHERE queue = 'mail'")
    stats = await store.stats()
    assert [(queue.name, queue.length) for queue in stats.queues] == [('default', 1), ('mail', 2)]
    assert 0 <= stats.queues[0].oldest < 30 < stats.oldest < 120
    [info] = stats.workers
    assert (info.id, info.host, info.threads, info.queues) == ('w1', 'here', 4, ('default', 'mail'))
    await worker.leave()
    assert (await store.stats()).workers == ()


async def test_a_clock_that_was_set_back_does_not_keep_a_dead_worker_alive(store, add, worker):
    message, _ = await add()
    await worker.begin(message)
    await sql('UPDATE colibris_task_workers SET seen = seen + 3600')
    await worker.beat('w2')
    await sql("UPDATE colibris_task_workers SET seen = seen - 6 WHERE id = 'w1'")
    assert await worker.begin(message, worker='w2') == (Status.RUNNING, 1)


async def test_what_is_added_within_a_transaction_does_not_wait_for_its_end(store, add, database):
    if database.dialect == 'sqlite':
        pytest.skip('its one connection belongs to the transaction')
    message = None
    with contextlib.suppress(RuntimeError):
        async with transaction():
            message, _ = await add()
            raise RuntimeError
    assert await store.status(message.id) is Status.QUEUED


async def test_what_a_worker_says_does_not_wait_for_an_event_loop_that_is_held(add, worker):
    message, _ = await add()
    said = []

    def say():
        said.append(worker.store.begin(message.id, 'w1', 'default', b''))

    thread = threading.Thread(target=say)
    thread.start()
    thread.join(10)  # holds the event loop
    assert said == [(Status.RUNNING, 0)]


async def test_a_missing_table_is_told_with_what_to_do(database, context, bell):
    await sql('DROP TABLE colibris_task_states')
    store = DatabaseStore(bell)
    store.bind(context)
    with pytest.raises(TaskQueueUnavailable, match=r'manage\.py makemigrations'):
        await store.open()


async def test_a_project_without_a_database_is_told_so(context, bell):
    store = DatabaseStore(bell)
    store.bind(context)
    with settings.override(), pytest.raises(NotConfigured, match='set DATABASE'):
        await store.open()
