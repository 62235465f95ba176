"""Where tasks stand, what is sent, what an engine tells, and how a worker ends."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.errors import UnknownTask
from colibris.taskqueue.messages import Message, Status, new_id
from colibris.taskqueue.testing import jobs
from colibris.taskqueue.testing.base import Suite, eventually
from colibris.taskqueue.testing.jobs import PATIENCE, add, fail, hold, let_go, note, notes


class SendingSuite(Suite):
    """An engine takes tasks and knows of them until they have ended."""

    # Where a task stands

    async def test_status_follows_a_task(self, opened: TaskQueueBackend) -> None:
        self.needs(opened.has_worker)
        task_id = await self.send(opened, hold)
        assert await opened.status(task_id) is Status.QUEUED
        async with self.working(opened):
            await eventually(lambda: self.is_running(opened, task_id))
            let_go()
            await self.outcome(opened, task_id)
            assert await opened.status(task_id) is Status.SUCCEEDED

    async def test_nothing_is_known_of_other_ids(self, opened: TaskQueueBackend) -> None:
        assert await opened.status(new_id()) is Status.UNKNOWN
        with pytest.raises(UnknownTask):
            await self.outcome(opened, new_id())

    async def test_info_tells_of_a_task(self, worked: TaskQueueBackend) -> None:
        self.needs(worked.supports_dead_letters)
        task_id = await self.send(worked, fail)
        await self.outcome(worked, task_id)
        info = await worked.info(task_id)
        assert info is not None
        assert (info.id, info.queue, info.status) == (task_id, 'default', Status.FAILED)
        assert await worked.info(new_id()) is None

    async def test_a_task_that_waits_can_be_cancelled(self, opened: TaskQueueBackend) -> None:
        self.needs(opened.supports_cancel and opened.has_worker)
        task_id = await self.send(opened, note, 'cancelled')
        assert await opened.cancel(task_id)
        assert await opened.status(task_id) is Status.CANCELLED
        async with self.working(opened):
            await self.run(opened, note, 'other')
        assert (await self.outcome(opened, task_id)).status is Status.CANCELLED
        assert notes == ['other']

    async def test_who_waits_is_told_of_a_cancellation(self, opened: TaskQueueBackend) -> None:
        self.needs(opened.supports_cancel and opened.has_worker)
        task_id = await self.send(opened, add, 1, awaited=True)
        waiting = asyncio.create_task(self.outcome(opened, task_id))
        await asyncio.sleep(0.05)
        assert await opened.cancel(task_id)
        assert (await waiting).status is Status.CANCELLED

    async def test_a_task_that_has_finished_is_not_cancelled(self, worked: TaskQueueBackend) -> None:
        self.needs(worked.supports_cancel)
        task_id = await self.send(worked, add, 1)
        await self.outcome(worked, task_id)
        assert not await worked.cancel(task_id)
        assert not await worked.cancel(new_id())

    # What is sent

    async def test_a_delayed_task_runs_when_it_is_due(self, worked: TaskQueueBackend) -> None:
        self.needs(worked.supports_delay)
        begun = time.monotonic()
        task_id = await self.send(worked, add, 1, delay=0.6)
        assert await worked.status(task_id) is Status.DELAYED
        assert (await self.outcome(worked, task_id)).value == 1
        assert 0.55 <= time.monotonic() - begun < 5

    async def test_a_delayed_task_can_be_cancelled(self, worked: TaskQueueBackend) -> None:
        self.needs(worked.supports_delay and worked.supports_cancel)
        task_id = await self.send(worked, note, 'late', delay=0.3)
        assert await worked.cancel(task_id)
        await asyncio.sleep(0.8)
        assert notes == []

    async def test_a_unique_key_is_held_until_the_end(self, opened: TaskQueueBackend) -> None:
        self.needs(opened.supports_unique and opened.has_worker)
        first = await self.send(opened, add, 1, unique_key='ä key')
        assert await self.send(opened, add, 2, unique_key='ä key') == first
        assert await self.send(opened, add, 2, unique_key='another') != first
        async with self.working(opened):
            assert (await self.outcome(opened, first)).value == 1
            second = await self.send(opened, add, 2, unique_key='ä key')
            assert second != first
            assert (await self.outcome(opened, second)).value == 2

    async def test_a_cancelled_task_frees_its_unique_key(self, opened: TaskQueueBackend) -> None:
        self.needs(opened.supports_unique and opened.supports_cancel and opened.has_worker)
        first = await self.send(opened, add, 1, unique_key='key')
        assert await opened.cancel(first)
        assert await self.send(opened, add, 2, unique_key='key') != first

    async def test_a_message_that_is_sent_twice_is_taken_once(self, opened: TaskQueueBackend) -> None:
        self.needs(opened.supports_outbox)
        message = Message(function=f'{jobs.__name__}:note', args=['once'])
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
        self.needs(opened.has_worker)
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
        self.needs(opened.has_worker)
        async with self.working(opened):
            task_id = await self.send(opened, hold)
            await eventually(lambda: self.is_running(opened, task_id))
            stats = await eventually(lambda: self._stats_with_workers(opened))
            assert stats.running == 1
            (worker,) = stats.workers
            assert worker.pid > 0
            assert set(worker.queues) == {'default', 'other'}
            let_go()
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
        self.needs(opened.has_worker)
        async with self.working(opened):
            task_id = await self.send(opened, hold)
            await eventually(lambda: self.is_running(opened, task_id))
            asyncio.get_running_loop().call_later(0.3, let_go)
        assert (await self.outcome(opened, task_id)).value == 'let go'

    async def test_a_worker_that_stops_puts_back_what_does_not_finish(self, opened: TaskQueueBackend) -> None:
        self.needs(opened.has_worker)
        async with self.working(opened, threads=1):
            held = await self.send(opened, hold)
            await eventually(lambda: self.is_running(opened, held))
            waiting = await self.send(opened, note, 'later')
        assert await opened.status(held) is Status.QUEUED
        assert await opened.status(waiting) is Status.QUEUED
        let_go()
        async with self.working(opened, threads=1):
            assert (await self.outcome(opened, held)).value == 'let go'
            await self.outcome(opened, waiting)
        assert notes == ['held', 'held', 'later']
