"""The engine that runs tasks at once, and the fixture that looks into it."""

import asyncio
import contextlib
import contextvars
import time

import pytest

from colibris import taskqueue, transactions
from colibris.taskqueue import testing
from colibris.taskqueue.immediate import ImmediateBackend
from colibris.taskqueue.messages import Message, Status
from colibris.taskqueue.pytest_plugin import task_queue  # noqa: F401  # a project's tests find it by themselves
from colibris.taskqueue.testing import TaskQueueBackendSuite

request_id = contextvars.ContextVar('request_id', default=None)


class TestImmediate(TaskQueueBackendSuite):
    @pytest.fixture
    def backend(self):
        return ImmediateBackend()


@pytest.fixture
def tasks(monkeypatch):
    """Make functions of this test tasks, by adding them to the module of the suite."""

    def add(function):
        function.__module__ = testing.__name__
        function.__qualname__ = function.__name__
        monkeypatch.setattr(testing, function.__name__, function, raising=False)
        return function

    return add


async def begun():
    """Wait until a task has noted something."""
    async with asyncio.timeout(5):
        while not testing.notes:  # noqa: ASYNC110  # it does so in a thread
            await asyncio.sleep(0.01)


async def test_a_task_has_run_when_enqueue_returns(opened):
    handle = await taskqueue.enqueue(testing.note, 'x')
    assert testing.notes == ['x']
    assert await handle.status() is Status.SUCCEEDED


async def test_an_enqueued_task_that_fails_does_not_raise_but_is_listed(opened, task_queue):  # noqa: F811
    await taskqueue.enqueue(testing.fail, 'no good', retries=0)
    (failed,) = task_queue.failed
    assert (failed.failure.type, failed.failure.message) == ('ValueError', 'no good')


async def test_further_tries_follow_without_a_pause(opened):
    before = time.monotonic()
    await taskqueue.enqueue(testing.fail, retries=2)
    assert testing.notes == ['failed'] * 3
    assert time.monotonic() - before < 2


async def test_a_task_that_a_task_enqueues_runs_after_it(opened, tasks):
    @tasks
    async def first():
        await taskqueue.enqueue(testing.note, 'second')
        testing.notes.append('first')

    await taskqueue.enqueue(first)
    assert testing.notes == ['first', 'second']


async def test_a_task_can_wait_for_another(opened, tasks):
    @tasks
    async def outer():
        handle = await taskqueue.enqueue(testing.add, 1, 2)
        return [await handle.result(5), await taskqueue.execute(testing.add, 3, 4, timeout=5)]

    assert await taskqueue.execute(outer, timeout=10) == [3, 7]


async def test_tasks_may_follow_one_another_for_long(opened, tasks):
    @tasks
    async def count(number):
        testing.notes.append(number)
        if number:
            await taskqueue.enqueue(count, number - 1)

    await taskqueue.enqueue(count, 200)
    assert testing.notes == list(range(200, -1, -1))


async def test_a_task_does_not_see_the_context_of_its_sender(opened, tasks):
    @tasks
    async def read():
        return request_id.get()

    request_id.set('mine')
    assert await taskqueue.execute(read, timeout=5) is None


async def test_a_task_is_sent_after_the_commit_and_dropped_by_a_rollback(opened):
    hooks = []
    token = transactions.hooks.set(hooks)
    await taskqueue.enqueue(testing.note, 'x')
    transactions.hooks.reset(token)
    assert testing.notes == []
    await transactions.run_hooks(hooks)
    assert testing.notes == ['x']


async def test_a_sender_that_is_cancelled_does_not_cancel_what_runs(opened):
    testing.reset()
    calling = asyncio.create_task(taskqueue.enqueue(testing.hold))
    await begun()
    calling.cancel()
    await asyncio.wait([calling])
    (message,) = opened.sent
    assert await opened.status(message.id) is Status.RUNNING
    testing.let_go()
    assert (await opened.wait(message.id)).value == 'let go'


async def test_a_task_that_does_not_react_to_the_end_of_its_time_is_given_up(opened, tasks, monkeypatch):
    @tasks
    def hang():
        end = time.monotonic() + 3
        while time.monotonic() < end:
            with contextlib.suppress(BaseException):
                time.sleep(0.1)

    monkeypatch.setattr(opened._watchdog, '_grace', 0.2)
    message = Message(function=f'{testing.__name__}:hang', time_limit=0.1)
    before = time.monotonic()
    await opened.send(message, opened.context.codec.encode(message))
    assert time.monotonic() - before < 2
    assert await opened.status(message.id) is Status.FAILED


async def test_what_was_sent_is_known_by_function(opened, task_queue):  # noqa: F811
    await taskqueue.enqueue(testing.note, 'x')
    await taskqueue.enqueue(testing.add, 1, right=2)
    assert [message.function for message in task_queue.sent] == [
        'colibris.taskqueue.testing.jobs:note',
        'colibris.taskqueue.testing.jobs:add',
    ]
    (message,) = task_queue.sent_to(testing.add)
    assert (list(message.args), dict(message.kwargs)) == ([1], {'right': 2})


async def test_held_tasks_wait_until_they_are_run(opened, task_queue):  # noqa: F811
    task_queue.hold()
    handle = await taskqueue.enqueue(testing.note, 'x')
    await taskqueue.enqueue(testing.note, 'y', delay=3600)
    assert [message.args for message in task_queue.waiting] == [('x',), ('y',)]
    assert testing.notes == []
    with pytest.raises(taskqueue.TimeoutException):
        await handle.result(0.05)
    assert await task_queue.run() == 2
    assert testing.notes == ['x', 'y']
    assert task_queue.waiting == []
    assert await task_queue.run() == 0


async def test_running_what_is_held_runs_what_that_enqueues(opened, task_queue, tasks):  # noqa: F811
    @tasks
    async def first():
        await taskqueue.enqueue(testing.note, 'second')

    task_queue.hold()
    await taskqueue.enqueue(first)
    assert await task_queue.run() == 2
    assert testing.notes == ['second']


async def test_clearing_ends_what_runs_and_what_waits(opened, tasks):
    @tasks
    async def wait():
        testing.notes.append('begun')
        try:
            await asyncio.sleep(60)
        finally:
            testing.notes.append('ended')

    calling = asyncio.create_task(taskqueue.execute(wait, timeout=60))
    late = await taskqueue.enqueue(testing.note, 'late', delay=0.2)
    await begun()
    await opened.clear()
    calling.cancel()
    await asyncio.wait([calling])
    await asyncio.sleep(0.3)
    assert testing.notes == ['begun', 'ended']
    assert await late.status() is Status.UNKNOWN
    assert opened.sent == []


async def test_of_very_many_tasks_the_first_are_forgotten(opened, monkeypatch):
    monkeypatch.setattr('colibris.taskqueue.immediate._MOST_KNOWN', 5)
    for number in range(8):
        handle = await taskqueue.enqueue(testing.note, number)
    assert len(opened.sent) == len(opened._tasks) == 5
    assert await handle.status() is Status.SUCCEEDED
