"""What `execute` and `enqueue` do with what they are given."""

import asyncio
from contextlib import contextmanager
from datetime import timedelta

import pytest

from colibris import taskqueue, transactions
from colibris.taskqueue import functions, testing
from colibris.taskqueue.messages import Status
from colibris.taskqueue.subsystem import subsystem


@contextmanager
def transaction(*, commit=True):
    """Collect what waits for a commit, as colibris-persist does."""
    callbacks = []
    token = transactions.hooks.set(callbacks)
    try:
        yield callbacks
    finally:
        transactions.hooks.reset(token)


@pytest.fixture
def declared(monkeypatch):
    """Declare options of a task of the suite for one test."""

    def declare(function, **options):
        found = functions.task_options(**options)
        monkeypatch.setattr(function, '__colibris_task__', found, raising=False)

    return declare


async def test_execute_returns_what_the_function_returns(opened):
    assert await taskqueue.execute(testing.add, 1, right=2, timeout=20) == 3
    assert await taskqueue.execute(testing.add_later, 1, right=2) == 3


async def test_execute_raises_what_the_function_raises_as_text(opened):
    with pytest.raises(taskqueue.TaskExecException) as caught:
        await taskqueue.execute(testing.fail, 'no good')
    assert (caught.value.type, caught.value.message) == ('ValueError', 'no good')
    assert 'in fail' in caught.value.traceback
    assert str(caught.value) == 'ValueError: no good'


async def test_execute_does_not_try_again(opened):
    with pytest.raises(taskqueue.TaskExecException):
        await taskqueue.execute(testing.fail)
    assert testing.notes == ['failed']


async def test_execute_gives_up_after_its_time_and_cancels_what_has_not_started(opened):
    opened.hold()
    with pytest.raises(taskqueue.TimeoutException) as caught:
        await taskqueue.execute(testing.note, 1, timeout=0.05)
    assert caught.value.timeout == 0.05
    await asyncio.sleep(0.05)
    await opened.run()
    assert testing.notes == []


async def test_a_cancelled_caller_cancels_a_task_that_has_not_started(opened):
    opened.hold()
    calling = asyncio.create_task(taskqueue.execute(testing.note, 1))
    await asyncio.sleep(0.05)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await asyncio.sleep(0.05)
    await opened.run()
    assert testing.notes == []


async def test_a_timeout_of_the_callers_own_is_not_ours(opened):
    opened.hold()
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.05):
            await taskqueue.execute(testing.note, 1, timeout=20)
    assert not isinstance(caught.value, taskqueue.TimeoutException)


async def test_enqueue_returns_a_handle(opened):
    handle = await taskqueue.enqueue(testing.add, 1, right=2)
    assert await handle.result() == 3
    assert await handle.result() == 3
    assert await handle.status() is Status.SUCCEEDED
    assert await taskqueue.handle(handle.id).result() == 3
    assert not await handle.cancel()


async def test_a_handle_tells_of_cancellation_and_of_time(opened):
    opened.hold()
    handle = await taskqueue.enqueue(testing.add, 1)
    with pytest.raises(taskqueue.TimeoutException):
        await handle.result(0.05)
    assert await handle.status() is Status.QUEUED
    assert await handle.cancel()
    with pytest.raises(taskqueue.TaskCancelled):
        await handle.result()


async def test_enqueue_tries_again_as_often_as_the_setting_says(opened):
    handle = await taskqueue.enqueue(testing.fail)
    with pytest.raises(taskqueue.TaskExecException):
        await handle.result()
    assert testing.notes == ['failed'] * 4


async def test_options_of_the_task_come_before_those_of_the_setting(opened, declared):
    declared(testing.fail, retries=1, queue='other', time_limit=None)
    await taskqueue.enqueue(testing.fail)
    (message,) = opened.sent
    assert (message.retries, message.queue, message.time_limit) == (1, 'other', None)
    await taskqueue.enqueue(testing.fail, retries=0, queue='default')
    message = opened.sent[-1]
    assert (message.retries, message.queue) == (0, 'default')


async def test_a_task_has_the_time_limit_of_the_setting(opened):
    await taskqueue.enqueue(testing.add, 1)
    assert opened.sent[0].time_limit == subsystem.policy().time_limit


@pytest.mark.parametrize(
    ('options', 'error', 'reason'),
    [
        (
            {'queue': 'nowhere'},
            ValueError,
            "there is no queue 'nowhere': 'queues' in TASK_QUEUE lists 'default', 'other'",
        ),
        ({'retries': -1}, ValueError, 'retries must be an integer from 0 on'),
        ({'delay': -1}, ValueError, 'delay must lie between 0'),
        ({'delay': timedelta(days=400)}, ValueError, 'delay must lie between 0'),
        ({'delay': 'soon'}, TypeError, 'delay must be a number of seconds'),
        ({'unique_key': ''}, ValueError, 'unique_key must be a text'),
        ({'unique_key': 1}, ValueError, 'unique_key must be a text'),
    ],
)
async def test_wrong_options_are_refused(opened, options, error, reason):
    with pytest.raises(error, match=reason):
        await taskqueue.enqueue(testing.add, 1, **options)
    assert list(opened.sent) == []


async def test_what_cannot_be_a_task_is_refused(opened):
    with pytest.raises(taskqueue.FunctionError):
        await taskqueue.execute(lambda: None)
    with pytest.raises(taskqueue.NotAllowed):
        await taskqueue.enqueue(asyncio.sleep, 1)


async def test_an_argument_that_cannot_travel_is_refused_where_it_is_sent(opened):
    with pytest.raises(TypeError, match='argument 1 of colibris'):
        await taskqueue.enqueue(testing.add, object())
    with pytest.raises(taskqueue.TooLarge, match='max_message_size'):
        await taskqueue.execute(testing.add, bytes(2 * 1024 * 1024))


async def test_within_a_transaction_a_task_is_sent_after_the_commit(opened):
    with transaction() as callbacks:
        handle = await taskqueue.enqueue(testing.add, 1)
        assert list(opened.sent) == []
        assert await handle.status() is Status.UNKNOWN
        with pytest.raises(taskqueue.TaskQueueError, match='when the transaction commits'):
            await handle.result(1)
    await transactions.run_hooks(callbacks)
    assert await handle.result(1) == 1


async def test_a_rollback_drops_a_task(opened):
    with transaction():
        handle = await taskqueue.enqueue(testing.note, 1)
    assert list(opened.sent) == []
    with pytest.raises(taskqueue.UnknownTask):
        await handle.result(1)


async def test_what_is_wrong_with_a_task_is_told_before_the_commit(opened):
    with transaction() as callbacks:
        with pytest.raises(TypeError):
            await taskqueue.enqueue(testing.add, object())
    assert callbacks == []


async def test_execute_does_not_wait_for_the_commit(opened):
    with transaction():
        assert await taskqueue.execute(testing.add, 1) == 1


async def test_a_unique_key_gives_the_handle_of_the_other_task(opened):
    opened.hold()
    first = await taskqueue.enqueue(testing.add, 1, unique_key='key')
    second = await taskqueue.enqueue(testing.add, 2, unique_key='key')
    assert first.id == second.id
    await opened.run()
    assert await second.result() == 1


async def test_stats_are_there_for_metrics(opened):
    opened.hold()
    await taskqueue.enqueue(testing.add, 1)
    assert (await taskqueue.stats()).length == 1


@pytest.mark.parametrize('limit', ['5', timedelta(seconds=5), True])
async def test_a_timeout_that_is_no_number_is_refused(opened, limit):
    with pytest.raises(TypeError, match='timeout must be a number of seconds'):
        await taskqueue.execute(testing.note, 1, timeout=limit)
    handle = await taskqueue.enqueue(testing.add, 1)
    with pytest.raises(TypeError, match='timeout must be a number of seconds'):
        await handle.result(limit)
    with pytest.raises(ValueError, match='not NaN'):
        await handle.result(float('nan'))
    assert not testing.notes


@pytest.mark.parametrize('limit', [0, -1])
async def test_a_time_that_is_over_already(opened, limit):
    opened.hold()
    with pytest.raises(taskqueue.TimeoutException):
        await taskqueue.execute(testing.note, 1, timeout=limit)


@pytest.mark.parametrize('queue', ['', 0, 'nope', 5])
async def test_a_queue_that_there_is_not_is_refused(opened, queue):
    with pytest.raises(ValueError, match='there is no queue'):
        await taskqueue.enqueue(testing.add, 1, queue=queue)


@pytest.mark.parametrize('key', ['', 5, ('a', 1), '\udcff'])
async def test_a_unique_key_that_is_no_text_is_refused(opened, key):
    with pytest.raises(ValueError, match='unique_key must be a text'):
        await taskqueue.enqueue(testing.add, 1, unique_key=key)


@pytest.mark.parametrize('task_id', ['nope', '', '\udcff', '\x00', 'a' * 100_000])
async def test_what_is_no_id_is_not_known(opened, monkeypatch, task_id):
    monkeypatch.delattr(type(opened), 'status')  # no engine is asked for it
    handle = taskqueue.handle(task_id)
    assert await handle.status() is Status.UNKNOWN
    assert not await handle.cancel()
    with pytest.raises(taskqueue.UnknownTask):
        await handle.result(1)


@pytest.mark.parametrize('task_id', [5, None, b'x'])
def test_an_id_that_is_no_text_is_refused(task_id):
    with pytest.raises(TypeError, match='task_id must be a text'):
        taskqueue.handle(task_id)


async def test_a_function_whose_queue_there_is_not_is_named(opened, declared):
    declared(testing.add, queue='nope')
    with pytest.raises(ValueError, match=r"no queue 'nope', which is that of colibris\.taskqueue\.testing.*:add"):
        await taskqueue.enqueue(testing.add, 1)
