"""What tasks return, and how they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.messages import Codec, Message, Outcome, Status, new_id
from colibris.taskqueue.testing import jobs
from colibris.taskqueue.testing.base import Suite
from colibris.taskqueue.testing.jobs import (
    add,
    add_decorated,
    add_later,
    echo,
    fail,
    fail_once,
    forget_to_await,
    leave,
    leave_later,
    named,
    note,
    notes,
    return_much,
    return_object,
    sleep_on,
    spin,
    tell_id,
    tell_request,
    tell_request_later,
)


class RunningSuite(Suite):
    """A worker runs tasks and tells how they ended."""

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
        message = Message(function=f'{jobs.__name__}:gone', retries=3)
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
        message = Message(function=f'{jobs.__name__}:note', args=['forged'])
        forged = Codec(b'another secret, of somebody else', max_size=100_000).encode(message)
        await worked.send(message, forged)
        failure = (await self.outcome(worked, message.id)).failure
        assert failure is not None
        assert 'signature' in failure.message
        assert notes == []

    async def test_a_message_under_the_id_of_another_is_not_run(self, worked: TaskQueueBackend) -> None:
        stolen = Message(function=f'{jobs.__name__}:note', args=['stolen'])
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
        self.needs(worked.supports_retries)
        assert (await self.run(worked, fail_once, retries=1)).value == 'done'

    async def test_after_the_last_try_it_is_a_dead_letter(self, worked: TaskQueueBackend) -> None:
        self.needs(worked.supports_retries and worked.supports_dead_letters)
        task_id = await self.send(worked, fail, retries=2)
        assert (await self.outcome(worked, task_id)).status is Status.FAILED
        assert notes == ['failed'] * 3
        (letter,) = await worked.dead_letters()
        assert (letter.id, letter.status, letter.function) == (task_id, Status.FAILED, f'{jobs.__name__}:fail')
        assert letter.failure is not None
        assert letter.failure.type == 'ValueError'

    async def test_a_dead_letter_can_be_tried_again(self, worked: TaskQueueBackend) -> None:
        self.needs(worked.supports_dead_letters)
        task_id = await self.send(worked, fail_once)
        assert (await self.outcome(worked, task_id)).status is Status.FAILED
        assert await worked.retry_dead(task_id)
        assert (await self.outcome(worked, task_id)).value == 'done'
        assert await worked.dead_letters() == []
        assert not await worked.retry_dead(task_id)

    async def test_dead_letters_can_be_forgotten(self, worked: TaskQueueBackend) -> None:
        self.needs(worked.supports_dead_letters)
        ids = [await self.send(worked, fail) for _ in range(3)]
        for task_id in ids:
            await self.outcome(worked, task_id)
        assert len(await worked.dead_letters(limit=2)) == 2
        assert len(await worked.dead_letters(limit=2, offset=2)) == 1
        assert await worked.purge_dead(ids[:1]) == 1
        assert await worked.purge_dead() == 2
        assert await worked.dead_letters() == []
        assert await worked.status(ids[0]) is Status.UNKNOWN
