"""What services ask of the file."""

import asyncio
import time

import pytest

from colibris.taskqueue.embedded import tasks
from colibris.taskqueue.embedded.store import EmbeddedStore
from colibris.taskqueue.embedded.tasks import Ending
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Failure, Message, Outcome, Status
from colibris.taskqueue.waiting import Waiting


@pytest.fixture
async def store(path, context):
    store = EmbeddedStore(path)
    store.bind(context)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def finish(queue, run, context):
    """Take what is queued and let it succeed, as a worker does."""

    def finish(value='result'):
        taken = run(tasks.take, context.namespace, 'default', 'worker', 10_000)
        for each in taken:
            outcome = context.codec.encode_outcome(each.id, Outcome(Status.SUCCEEDED, value))
            run(tasks.end, each, Ending(Status.SUCCEEDED, outcome, 100))
        return len(taken)

    return finish


def message(task_id, **options):
    return Message(id=task_id, function='embedded_jobs:work', **options)


async def add(store, task_id, channel=None):
    return await store.add(message(task_id), b'data', delay=0, channel=channel)


async def longest_hold(work):
    """Return the longest time for which the event loop was held while *work* was awaited, in seconds."""
    longest, going_on = 0.0, True

    async def measure():
        nonlocal longest
        while going_on:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    measuring = asyncio.create_task(measure())
    await work
    going_on = False
    await measuring
    return longest


async def test_what_is_accepted_is_durable(store, monkeypatch):
    durable = []
    write = store._queue.journal.write
    monkeypatch.setattr(
        store._queue.journal,
        'write',
        lambda operation, **options: (durable.append(options['durable']), write(operation, **options))[1],
    )
    await add(store, 'a')
    assert durable == [True]


async def test_sending_does_not_hold_the_event_loop_while_another_process_writes(store, queue, in_thread):
    def hold(session):
        time.sleep(0.5)

    join = in_thread(queue.journal.run, hold)
    await asyncio.sleep(0.05)
    longest = await longest_hold(asyncio.gather(*(add(store, f'task{number}') for number in range(20))))
    assert longest < 0.005
    join()


async def test_outcomes_are_those_of_ended_tasks(store, finish):
    await add(store, 'a')
    finish()
    await add(store, 'b')
    found = await store.outcomes(['a', 'b', 'unknown'], 'channel')
    assert found.keys() == {'a', 'b'}
    assert found['b'] is None
    assert store.context.codec.decode_outcome('a', found['a']) == Outcome(Status.SUCCEEDED, 'result')


async def test_thousands_of_outcomes_can_be_asked_for_at_once(store):
    assert await store.outcomes([f'unknown{number}' for number in range(5000)]) == {}


async def test_a_listener_is_told_first_that_it_listens_then_of_each_ending(store, finish):
    notices = store.notifications('mine')
    first = await anext(notices)
    await add(store, 'a', channel='mine')
    await add(store, 'b', channel='other')
    await asyncio.to_thread(finish)
    second, third = await anext(notices), await anext(notices)
    await notices.aclose()
    assert first.task_id is None
    assert (second.task_id, third.task_id) == ('a', 'b')
    assert second.outcome is not None
    assert third.outcome is None


async def test_a_listener_hears_at_once(store, finish):
    notices = store.notifications('mine')
    await anext(notices)
    hearing = asyncio.ensure_future(anext(notices))
    await add(store, 'a', channel='mine')
    await asyncio.sleep(0.05)
    before = time.perf_counter()
    await asyncio.to_thread(finish)
    await hearing
    assert time.perf_counter() - before < 0.3
    await notices.aclose()


async def test_without_bells_a_listener_looks_at_the_file(store, finish, path):
    bells = path.with_name(f'{path.name}-bells')
    bells.write_text('')  # no directory can be made in its place
    notices = store.notifications('mine')
    await anext(notices)
    await add(store, 'a', channel='mine')
    await asyncio.to_thread(finish)
    async with asyncio.timeout(1):
        assert (await anext(notices)).task_id == 'a'
    await notices.aclose()


async def test_a_listener_that_leaves_takes_its_bell_down(store, path):
    notices = store.notifications('mine')
    await anext(notices)
    bells = path.with_name(f'{path.name}-bells')
    assert len(list(bells.iterdir())) == 1
    await notices.aclose()
    assert list(bells.iterdir()) == []


async def test_a_file_that_was_replaced_is_told_to_listeners(store, finish, queue, run):
    await add(store, 'a')
    await asyncio.to_thread(finish)
    notices = store.notifications('mine')
    await anext(notices)
    run(lambda session: session.execute('DELETE FROM sqlite_sequence'))
    with pytest.raises(TaskQueueUnavailable, match='was replaced'):
        await anext(notices)


async def test_thousands_of_calls_wait_on_one_listener(store, finish):
    waiting = Waiting(store)
    ids = [f'task{number}' for number in range(3000)]
    await asyncio.gather(*(add(store, task_id, waiting.channel) for task_id in ids))
    calls = [asyncio.create_task(waiting.wait(task_id)) for task_id in ids]
    await asyncio.sleep(0.1)
    assert await asyncio.to_thread(finish) == len(ids)
    async with asyncio.timeout(20):
        assert len(await asyncio.gather(*calls)) == len(ids)
    await waiting.close()


async def test_what_ended_before_anybody_waited_is_found(store, finish):
    await add(store, 'a')
    await asyncio.to_thread(finish)
    waiting = Waiting(store)
    async with asyncio.timeout(2):
        assert await waiting.wait('a')
    await waiting.close()


async def test_endings_during_an_outage_are_found(store, finish, path):
    waiting = Waiting(store)
    await add(store, 'a')
    call = asyncio.create_task(waiting.wait('a'))
    await asyncio.sleep(0.1)
    path.rename(path.with_name('away'))
    await asyncio.sleep(0.7)
    path.with_name('away').rename(path)
    await asyncio.to_thread(finish)
    async with asyncio.timeout(5):
        assert await call
    await waiting.close()


async def test_statistics_count_by_queue_and_state(store, queue, run):
    for task_id in 'abc':
        await add(store, task_id)
    await store.add(message('d', queue='mail'), b'', delay=0, channel=None)
    await store.add(message('e'), b'', delay=60, channel=None)
    (taken,) = run(tasks.take, 'shop', 'default', 'worker', 1)
    stats = await store.stats()
    assert {found.name: found.length for found in stats.queues} == {'default': 2, 'mail': 1, 'reports': 0}
    assert (stats.delayed, stats.running, stats.dead, stats.workers) == (1, 1, 0, ())
    assert 0 <= stats.oldest < 5
    run(tasks.end, taken, Ending(Status.FAILED, b'', 100))
    assert (await store.stats()).dead == 1


async def test_health_is_whether_the_file_can_be_written(store, path):
    await store.check_health()
    path.rename(path.with_name('away'))
    with pytest.raises(TaskQueueUnavailable, match='cannot be found'):
        await store.check_health()


async def test_a_store_that_is_not_open_says_so(path, context):
    store = EmbeddedStore(path)
    store.bind(context)
    with pytest.raises(TaskQueueUnavailable, match='is not open in this process'):
        await store.status('a')
    await store.close()


@pytest.mark.parametrize('ask', ['status', 'outcomes', 'info'])
async def test_a_dead_letter_that_is_revived_is_never_unknown(store, run, context, ask):
    await add(store, 'a')
    (taken,) = run(tasks.take, 'shop', 'default', 'worker', 1)
    outcome = context.codec.encode_outcome('a', Outcome(Status.FAILED, None, Failure('ValueError', 'bad')))
    run(tasks.end, taken, Ending(Status.FAILED, outcome, 100))
    await store.status('a')
    revived = []

    def revive_between(statement):
        if 'FROM finished' in statement:
            revived.append(run(tasks.revive, 'shop', 'a', b'data'))

    reader = store._queue.reader._session.connection
    reader.set_trace_callback(revive_between)
    answer = await getattr(store, ask)(['a'] if ask == 'outcomes' else 'a')
    reader.set_trace_callback(None)
    assert revived == [True]
    assert answer in (Status.FAILED, {'a': outcome}) or answer.status is Status.FAILED
    assert await store.status('a') is Status.QUEUED
