"""The contract of engines, as tests. A plug-in's tests subclass the suite:

from colibris.taskqueue.testing import TaskQueueBackendSuite

class TestMyBackend(TaskQueueBackendSuite):
    @pytest.fixture
    def backend(self):
        return MyBackend(...)

The tasks are functions of this module; they run in a worker in the process of the tests, where the engine allows it.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from colibris.logs.context import current_request_id
from colibris.taskqueue import task, unawaited
from colibris.taskqueue.base import Context, TaskQueueBackend
from colibris.taskqueue.current import current_task_id
from colibris.taskqueue.errors import UnknownTask
from colibris.taskqueue.functions import Functions
from colibris.taskqueue.messages import Codec, Failure, Message, Outcome, Status, new_id
from colibris.taskqueue.policy import Policy

#: How long the suite waits for what must come, in seconds.
PATIENCE = 20.0

SECRET = b'the secret of the tests of task queues'

#: What tasks of this process have noted, in order.
notes: list[Any] = []
_released = threading.Event()


def add(left: Any, right: Any = 0) -> Any:
    """Return the sum."""
    return left + right


async def add_later(left: Any, right: Any = 0) -> Any:
    """Return the sum, in the event loop."""
    await asyncio.sleep(0)
    return left + right


def _decorated(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap an asynchronous function in one that is not."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        return function(*args, **kwargs)

    return wrapper


@_decorated
async def add_decorated(left: Any, right: Any = 0) -> Any:
    """Return the sum, in the event loop, behind a decorator."""
    return left + right


def note(value: Any) -> None:
    """Keep *value* in `notes`."""
    notes.append(value)


def echo(*args: Any, **kwargs: Any) -> Any:
    """Return the arguments."""
    return [list(args), kwargs]


def fail(message: str = 'it failed') -> None:
    """Raise ValueError."""
    notes.append('failed')
    raise ValueError(message)


def fail_once() -> str:
    """Raise at the first call."""
    notes.append('tried')
    if len(notes) < 2:
        raise ValueError('not yet')
    return 'done'


def leave() -> None:
    """Call sys.exit."""
    sys.exit(3)


async def leave_later() -> None:
    """Call sys.exit, in the event loop."""
    sys.exit(3)


def return_object() -> object:
    """Return what cannot travel."""
    return object()


def return_much(size: int) -> bytes:
    """Return so many bytes."""
    return bytes(size)


def hold() -> str:
    """Wait until the test lets go."""
    notes.append('held')
    _released.wait(PATIENCE)
    return 'let go'


def reset() -> None:
    """Forget what tasks have noted, and let `hold` hold."""
    notes.clear()
    _released.clear()


def let_go() -> None:
    """Let `hold` end."""
    _released.set()


def tell_id() -> str | None:
    """Return the id of the task that calls this."""
    return current_task_id()


def tell_request() -> str | None:
    """Return the id of the request for which this runs."""
    return current_request_id()


async def tell_request_later() -> str | None:
    """Return the id of the request for which this runs, in the event loop."""
    return current_request_id()


def spin() -> None:
    """Never end."""
    while True:
        time.sleep(0.001)


async def sleep_on() -> None:
    """Never end, in the event loop."""
    await asyncio.sleep(3600)


def forget_to_await() -> None:
    """Call something asynchronous and throw it away."""
    add_later(1)  # type: ignore[unused-coroutine]


@task(name='suite.named')
def named() -> str:
    """Be known by a name."""
    return 'by name'


def make_context(namespace: str, **changes: Any) -> Context:
    """Return a context whose tasks are the functions of this module, with short times."""
    options: dict[str, Any] = {
        'queues': ('default', 'other'),
        'retry_pause': 0.05,
        'longest_retry_pause': 0.2,
        'worker_timeout': 2.0,
        'shutdown_timeout': 2.0,
        'grace': 5.0,
        'max_message_size': 100_000,
        **changes,
    }
    policy = Policy(**options)
    codec = Codec(SECRET, max_size=policy.max_message_size)
    return Context(policy, codec, Functions(None, [__name__]), namespace, Path.cwd())


async def eventually(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Wait until *condition* returns something true, and return that."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await condition()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


class TaskQueueBackendSuite:
    """Every documented behaviour of an engine; what it does not support is skipped."""

    @pytest.fixture
    def backend(self) -> TaskQueueBackend:
        """Return an engine that is not open yet, whose namespace nobody else uses."""
        raise NotImplementedError('define the fixture "backend" in your subclass')

    @pytest.fixture
    def context(self) -> Context:
        """Return what the engine is bound to."""
        return make_context(f'suite_{new_id()}')

    @pytest.fixture
    async def opened(self, backend: TaskQueueBackend, context: Context) -> AsyncIterator[TaskQueueBackend]:
        """Return the engine, open and empty."""
        reset()
        backend.bind(context)
        await backend.open()
        try:
            yield backend
        finally:
            _released.set()
            await backend.clear()
            await backend.close()

    @asynccontextmanager
    async def working(self, backend: TaskQueueBackend, *, threads: int = 4) -> AsyncIterator[None]:
        """Have a worker run in the block."""
        if not backend.has_worker:
            yield
            return
        unawaited.install()
        worker = backend.make_worker(threads=threads, queues=backend.context.policy.queues)
        await worker.start()
        try:
            yield
        finally:
            await worker.stop()

    @pytest.fixture
    async def worked(self, opened: TaskQueueBackend) -> AsyncIterator[TaskQueueBackend]:
        """Return the engine, open and with a worker."""
        async with self.working(opened):
            yield opened

    async def send(
        self,
        backend: TaskQueueBackend,
        function: Callable[..., Any],
        *args: Any,
        delay: float = 0,
        awaited: bool = False,
        kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> str:
        """Send a task and return its id."""
        name = backend.context.functions.name_of(function)
        message = Message(function=name, args=args, kwargs=kwargs or {}, **options)
        return await backend.send(message, backend.context.codec.encode(message), delay=delay, awaited=awaited)

    async def outcome(self, backend: TaskQueueBackend, task_id: str) -> Outcome:
        """Wait for the end of a task."""
        async with asyncio.timeout(PATIENCE):
            return await backend.wait(task_id)

    async def run(self, backend: TaskQueueBackend, function: Callable[..., Any], *args: Any, **options: Any) -> Outcome:
        """Send a task and wait for its end."""
        return await self.outcome(backend, await self.send(backend, function, *args, awaited=True, **options))

    async def failure(
        self, backend: TaskQueueBackend, function: Callable[..., Any], *args: Any, **options: Any
    ) -> Failure:
        """Send a task that fails, and return how."""
        outcome = await self.run(backend, function, *args, **options)
        assert outcome.status is Status.FAILED
        assert outcome.failure is not None
        return outcome.failure

    # What a task returns

    async def test_a_function_is_run(self, worked: TaskQueueBackend) -> None:
        assert await self.run(worked, add, 1, kwargs={'right': 2}) == Outcome(Status.SUCCEEDED, 3)

    async def test_a_coroutine_function_is_run(self, worked: TaskQueueBackend) -> None:
        assert await self.run(worked, add_later, 1, kwargs={'right': 2}) == Outcome(Status.SUCCEEDED, 3)

    async def test_a_decorated_coroutine_function_is_run(self, worked: TaskQueueBackend) -> None:
        assert await self.run(worked, add_decorated, 1, kwargs={'right': 2}) == Outcome(Status.SUCCEEDED, 3)

    async def test_a_named_function_is_run(self, worked: TaskQueueBackend) -> None:
        assert await self.run(worked, named) == Outcome(Status.SUCCEEDED, 'by name')

    async def test_values_keep_their_types(self, worked: TaskQueueBackend) -> None:
        value = [1, 2.5, None, True, 'ä\0', b'\0\xff', (1, (2,)), {3}, frozenset({4}), {'a': {5: 6}}]
        outcome = await self.run(worked, echo, value, kwargs={'key': value})
        assert outcome.value == [[value], {'key': value}]

    async def test_a_large_result_arrives(self, worked: TaskQueueBackend) -> None:
        assert (await self.run(worked, return_much, 90_000)).value == bytes(90_000)

    async def test_a_task_knows_its_id(self, worked: TaskQueueBackend) -> None:
        task_id = await self.send(worked, tell_id, awaited=True)
        assert (await self.outcome(worked, task_id)).value == task_id

    @pytest.mark.parametrize('function', [tell_request, tell_request_later])
    async def test_a_task_works_for_the_request_that_sent_it(
        self, worked: TaskQueueBackend, function: Callable[..., Any]
    ) -> None:
        for request_id in ('one', None, 'two', None):
            assert (await self.run(worked, function, request_id=request_id)).value == request_id

    async def test_a_result_can_be_asked_for_again(self, worked: TaskQueueBackend) -> None:
        task_id = await self.send(worked, add, 1)
        assert (await self.outcome(worked, task_id)).value == 1
        assert (await self.outcome(worked, task_id)).value == 1

    async def test_many_calls_wait_at_once(self, worked: TaskQueueBackend) -> None:
        outcomes = await asyncio.gather(*(self.run(worked, add, number) for number in range(200)))
        assert [outcome.value for outcome in outcomes] == list(range(200))

    async def test_two_calls_wait_for_one_task(self, worked: TaskQueueBackend) -> None:
        task_id = await self.send(worked, add, 7)
        first, second = await asyncio.gather(self.outcome(worked, task_id), self.outcome(worked, task_id))
        assert first == second == Outcome(Status.SUCCEEDED, 7)

    async def test_tasks_of_one_queue_start_in_their_order(self, opened: TaskQueueBackend) -> None:
        ids = [await self.send(opened, note, number) for number in range(30)]
        async with self.working(opened, threads=1):
            for task_id in ids:
                await self.outcome(opened, task_id)
        assert notes == list(range(30))

    async def test_other_queues_are_served(self, worked: TaskQueueBackend) -> None:
        assert (await self.run(worked, add, 1, queue='other')).value == 1

    # What fails

    async def test_an_error_is_told(self, worked: TaskQueueBackend) -> None:
        failure = await self.failure(worked, fail, 'no good')
        assert (failure.type, failure.message) == ('ValueError', 'no good')
        assert 'in fail' in failure.traceback

    async def test_sys_exit_is_a_failure(self, worked: TaskQueueBackend) -> None:
        assert (await self.failure(worked, leave)).type == 'SystemExit'
        assert (await self.failure(worked, leave_later)).type == 'SystemExit'
        assert (await self.run(worked, add, 1)).value == 1

    async def test_a_result_that_cannot_travel_is_a_failure(self, worked: TaskQueueBackend) -> None:
        failure = await self.failure(worked, return_object, retries=3)
        assert failure.type == 'TypeError'
        assert 'cannot be serialized' in failure.message

    async def test_a_result_that_is_too_large_is_a_failure(self, worked: TaskQueueBackend) -> None:
        failure = await self.failure(worked, return_much, 200_000)
        assert 'max_message_size' in failure.message

    async def test_a_function_that_is_gone_is_a_failure(self, worked: TaskQueueBackend) -> None:
        message = Message(function=f'{__name__}:gone', retries=3)
        await worked.send(message, worked.context.codec.encode(message))
        failure = (await self.outcome(worked, message.id)).failure
        assert failure is not None
        assert 'gone' in failure.message

    async def test_a_function_that_is_not_allowed_is_not_run(self, worked: TaskQueueBackend) -> None:
        message = Message(function='os:getcwd')
        await worked.send(message, worked.context.codec.encode(message))
        failure = (await self.outcome(worked, message.id)).failure
        assert failure is not None
        assert 'may not be run' in failure.message

    async def test_a_message_with_a_bad_signature_is_not_run(self, worked: TaskQueueBackend) -> None:
        message = Message(function=f'{__name__}:note', args=['forged'])
        forged = Codec(b'another secret, of somebody else', max_size=100_000).encode(message)
        await worked.send(message, forged)
        failure = (await self.outcome(worked, message.id)).failure
        assert failure is not None
        assert 'signature' in failure.message
        assert notes == []

    async def test_a_message_under_the_id_of_another_is_not_run(self, worked: TaskQueueBackend) -> None:
        stolen = Message(function=f'{__name__}:note', args=['stolen'])
        await worked.send(replace(stolen, id=(other := new_id())), worked.context.codec.encode(stolen))
        assert (await self.outcome(worked, other)).status is Status.FAILED
        assert notes == []

    async def test_a_synchronous_task_that_forgets_to_await_is_told(self, worked: TaskQueueBackend) -> None:
        failure = await self.failure(worked, forget_to_await)
        assert 'async def' in failure.message

    async def test_a_time_limit_ends_a_task(self, worked: TaskQueueBackend) -> None:
        assert 'TimeLimitExceeded' in (await self.failure(worked, spin, time_limit=0.3)).type
        assert 'TimeLimitExceeded' in (await self.failure(worked, sleep_on, time_limit=0.3)).type
        assert (await self.run(worked, add, 1)).value == 1

    async def test_a_failure_is_tried_again(self, worked: TaskQueueBackend) -> None:
        self._needs(worked.supports_retries)
        assert (await self.run(worked, fail_once, retries=1)).value == 'done'

    async def test_after_the_last_try_it_is_a_dead_letter(self, worked: TaskQueueBackend) -> None:
        self._needs(worked.supports_retries and worked.supports_dead_letters)
        task_id = await self.send(worked, fail, retries=2)
        assert (await self.outcome(worked, task_id)).status is Status.FAILED
        assert notes == ['failed'] * 3
        (letter,) = await worked.dead_letters()
        assert (letter.id, letter.status, letter.function) == (task_id, Status.FAILED, f'{__name__}:fail')
        assert letter.failure is not None
        assert letter.failure.type == 'ValueError'

    async def test_a_dead_letter_can_be_tried_again(self, worked: TaskQueueBackend) -> None:
        self._needs(worked.supports_dead_letters)
        task_id = await self.send(worked, fail_once)
        assert (await self.outcome(worked, task_id)).status is Status.FAILED
        assert await worked.retry_dead(task_id)
        assert (await self.outcome(worked, task_id)).value == 'done'
        assert await worked.dead_letters() == []
        assert not await worked.retry_dead(task_id)

    async def test_dead_letters_can_be_forgotten(self, worked: TaskQueueBackend) -> None:
        self._needs(worked.supports_dead_letters)
        ids = [await self.send(worked, fail) for _ in range(3)]
        for task_id in ids:
            await self.outcome(worked, task_id)
        assert len(await worked.dead_letters(limit=2)) == 2
        assert len(await worked.dead_letters(limit=2, offset=2)) == 1
        assert await worked.purge_dead(ids[:1]) == 1
        assert await worked.purge_dead() == 2
        assert await worked.dead_letters() == []
        assert await worked.status(ids[0]) is Status.UNKNOWN

    # Where a task stands

    async def test_status_follows_a_task(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.has_worker)
        task_id = await self.send(opened, hold)
        assert await opened.status(task_id) is Status.QUEUED
        async with self.working(opened):
            await eventually(lambda: self._is(opened, task_id, Status.RUNNING))
            _released.set()
            await self.outcome(opened, task_id)
            assert await opened.status(task_id) is Status.SUCCEEDED

    async def _is(self, backend: TaskQueueBackend, task_id: str, status: Status) -> bool:
        return await backend.status(task_id) is status

    async def test_nothing_is_known_of_other_ids(self, opened: TaskQueueBackend) -> None:
        assert await opened.status(new_id()) is Status.UNKNOWN
        with pytest.raises(UnknownTask):
            await self.outcome(opened, new_id())

    async def test_info_tells_of_a_task(self, worked: TaskQueueBackend) -> None:
        self._needs(worked.supports_dead_letters)
        task_id = await self.send(worked, fail)
        await self.outcome(worked, task_id)
        info = await worked.info(task_id)
        assert info is not None
        assert (info.id, info.queue, info.status) == (task_id, 'default', Status.FAILED)
        assert await worked.info(new_id()) is None

    async def test_a_task_that_waits_can_be_cancelled(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.supports_cancel and opened.has_worker)
        task_id = await self.send(opened, note, 'cancelled')
        assert await opened.cancel(task_id)
        assert await opened.status(task_id) is Status.CANCELLED
        async with self.working(opened):
            await self.run(opened, note, 'other')
        assert (await self.outcome(opened, task_id)).status is Status.CANCELLED
        assert notes == ['other']

    async def test_who_waits_is_told_of_a_cancellation(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.supports_cancel and opened.has_worker)
        task_id = await self.send(opened, add, 1, awaited=True)
        waiting = asyncio.create_task(self.outcome(opened, task_id))
        await asyncio.sleep(0.05)
        assert await opened.cancel(task_id)
        assert (await waiting).status is Status.CANCELLED

    async def test_a_task_that_has_finished_is_not_cancelled(self, worked: TaskQueueBackend) -> None:
        self._needs(worked.supports_cancel)
        task_id = await self.send(worked, add, 1)
        await self.outcome(worked, task_id)
        assert not await worked.cancel(task_id)
        assert not await worked.cancel(new_id())

    # What is sent

    async def test_a_delayed_task_runs_when_it_is_due(self, worked: TaskQueueBackend) -> None:
        self._needs(worked.supports_delay)
        begun = time.monotonic()
        task_id = await self.send(worked, add, 1, delay=0.6)
        assert await worked.status(task_id) is Status.DELAYED
        assert (await self.outcome(worked, task_id)).value == 1
        assert 0.55 <= time.monotonic() - begun < 5

    async def test_a_delayed_task_can_be_cancelled(self, worked: TaskQueueBackend) -> None:
        self._needs(worked.supports_delay and worked.supports_cancel)
        task_id = await self.send(worked, note, 'late', delay=0.3)
        assert await worked.cancel(task_id)
        await asyncio.sleep(0.8)
        assert notes == []

    async def test_a_unique_key_is_held_until_the_end(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.supports_unique and opened.has_worker)
        first = await self.send(opened, add, 1, unique_key='ä key')
        assert await self.send(opened, add, 2, unique_key='ä key') == first
        assert await self.send(opened, add, 2, unique_key='another') != first
        async with self.working(opened):
            assert (await self.outcome(opened, first)).value == 1
            second = await self.send(opened, add, 2, unique_key='ä key')
            assert second != first
            assert (await self.outcome(opened, second)).value == 2

    async def test_a_cancelled_task_frees_its_unique_key(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.supports_unique and opened.supports_cancel and opened.has_worker)
        first = await self.send(opened, add, 1, unique_key='key')
        assert await opened.cancel(first)
        assert await self.send(opened, add, 2, unique_key='key') != first

    async def test_a_message_that_is_sent_twice_is_taken_once(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.supports_outbox)
        message = Message(function=f'{__name__}:note', args=['once'])
        data = opened.context.codec.encode(message)
        assert await opened.send(message, data) == message.id
        assert await opened.send(message, data) == message.id
        async with self.working(opened):
            await self.outcome(opened, message.id)
            assert await opened.send(message, data) == message.id
            await self.run(opened, add, 1)
        assert notes == ['once']

    async def test_sending_does_not_hold_the_event_loop(self, opened: TaskQueueBackend) -> None:
        longest = 0.0
        done = asyncio.Event()

        async def watch() -> None:
            nonlocal longest
            last = time.perf_counter()
            while not done.is_set():
                await asyncio.sleep(0)
                now = time.perf_counter()
                longest, last = max(longest, now - last), now

        await self.send(opened, note, 'first')
        watching = asyncio.create_task(watch())
        for _ in range(20):
            await self.send(opened, note, bytes(50_000))
        done.set()
        await watching
        assert longest < 0.1  # far above what is measured, far below what waiting for a server would take

    # What it tells

    async def test_stats_tell_what_waits(self, opened: TaskQueueBackend) -> None:
        stats = await opened.stats()
        assert [(queue.name, queue.length, queue.oldest) for queue in stats.queues] == [
            ('default', 0, None),
            ('other', 0, None),
        ]
        self._needs(opened.has_worker)
        for number in range(3):
            await self.send(opened, note, number)
        await self.send(opened, note, 3, queue='other')
        await asyncio.sleep(0.1)
        stats = await opened.stats()
        assert {queue.name: queue.length for queue in stats.queues} == {'default': 3, 'other': 1}
        assert stats.length == 4
        assert stats.oldest is not None
        assert 0.05 < stats.oldest < PATIENCE
        assert stats.workers == ()

    async def test_stats_tell_what_runs_and_who_works(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.has_worker)
        async with self.working(opened):
            task_id = await self.send(opened, hold)
            await eventually(lambda: self._is(opened, task_id, Status.RUNNING))
            stats = await eventually(lambda: self._stats_with_workers(opened))
            assert stats.running == 1
            (worker,) = stats.workers
            assert worker.pid > 0
            assert set(worker.queues) == {'default', 'other'}
            _released.set()
            await self.outcome(opened, task_id)

    async def _stats_with_workers(self, backend: TaskQueueBackend) -> Any:
        stats = await backend.stats()
        return stats if stats.workers else None

    async def test_health(self, opened: TaskQueueBackend) -> None:
        await opened.check_health()

    async def test_closing_twice_does_no_harm(self, opened: TaskQueueBackend) -> None:
        await opened.close()
        await opened.close()
        await opened.open()

    # How a worker ends

    async def test_a_worker_that_stops_finishes_what_runs(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.has_worker)
        async with self.working(opened):
            task_id = await self.send(opened, hold)
            await eventually(lambda: self._is(opened, task_id, Status.RUNNING))
            asyncio.get_running_loop().call_later(0.3, _released.set)
        assert (await self.outcome(opened, task_id)).value == 'let go'

    async def test_a_worker_that_stops_puts_back_what_does_not_finish(self, opened: TaskQueueBackend) -> None:
        self._needs(opened.has_worker)
        async with self.working(opened, threads=1):
            held = await self.send(opened, hold)
            await eventually(lambda: self._is(opened, held, Status.RUNNING))
            waiting = await self.send(opened, note, 'later')
        assert await opened.status(held) is Status.QUEUED
        assert await opened.status(waiting) is Status.QUEUED
        _released.set()
        async with self.working(opened, threads=1):
            assert (await self.outcome(opened, held)).value == 'let go'
            await self.outcome(opened, waiting)
        assert notes == ['held', 'held', 'later']

    @staticmethod
    def _needs(supported: bool) -> None:
        if not supported:
            pytest.skip('the engine does not support this')
