"""Tasks that run at once, in the process that sends them: for tests, and for a service that needs no workers yet."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from colibris import transactions
from colibris.taskqueue import unawaited
from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.errors import UnknownTask
from colibris.taskqueue.limits import Watchdog
from colibris.taskqueue.messages import Message, Outcome, Status
from colibris.taskqueue.running import Runner
from colibris.taskqueue.stats import QueueStats, Stats, TaskInfo, with_empty
from colibris.taskqueue.stores.base import Settlement

logger = logging.getLogger(__name__)

#: How many tasks are remembered; of more, the first that have finished are forgotten.
_MOST_KNOWN = 10_000

#: Whether this code is part of a task that runs here.
_inside: ContextVar[bool] = ContextVar('colibris_inside_task', default=False)


@dataclass(eq=False, slots=True)
class _Task:
    """A task and what is known of it."""

    message: Message
    data: bytes
    status: Status
    since: float = field(default_factory=time.monotonic)
    timer: asyncio.TimerHandle | None = None
    outcome: bytes | None = None
    finished: float | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class ImmediateBackend(TaskQueueBackend):
    """Runs a task before `send` returns, in a thread or in the event loop as a worker does.

    Messages and outcomes are encoded, signed and checked as everywhere, so that what cannot travel fails here too. A
    task that is enqueued by a task runs after that one. Further tries follow without a pause; what has a delay waits
    for it. While it is told to `hold`, tasks wait until `run` is called.
    """

    supports_schedule: ClassVar[bool] = False
    has_worker: ClassVar[bool] = False

    def __init__(self) -> None:
        #: The messages that were accepted, in their order.
        self.sent: list[Message] = []
        self._tasks: dict[str, _Task] = {}
        self._holding = False
        self._draining = 0
        self._background: set[asyncio.Task[None]] = set()
        self._hung: dict[str, Callable[[], object]] = {}
        self._watchdog: Watchdog | None = None

    async def open(self) -> None:
        self._watchdog = Watchdog(self.context.policy.grace, self._on_hung)
        self._watchdog.start()

    async def close(self) -> None:
        await self.clear()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None

    # What engines do

    async def send(self, message: Message, data: bytes, *, delay: float = 0, awaited: bool = False) -> str:
        if message.unique_key is not None:
            for task_id, other in self._tasks.items():
                if other.message.unique_key == message.unique_key and not other.status.finished:
                    return task_id
        if message.id in self._tasks:
            return message.id
        task = self._accept(message, data)
        if delay > 0:
            task.status = Status.DELAYED
            task.timer = asyncio.get_running_loop().call_later(delay, self._due, task)
        elif not self._holding:
            await self._run_or_leave(task, awaited=awaited)
        return message.id

    async def wait(self, task_id: str) -> Outcome:
        task = self._tasks.get(task_id)
        if task is None:
            raise UnknownTask(task_id)
        if task.status is Status.QUEUED and not self._holding:
            await self._run(task)
        await task.ended.wait()
        assert task.outcome is not None
        return self.context.codec.decode_outcome(task_id, task.outcome)

    async def status(self, task_id: str) -> Status:
        task = self._tasks.get(task_id)
        return Status.UNKNOWN if task is None else task.status

    async def cancel(self, task_id: str) -> bool:
        task = self._tasks.get(task_id)
        if task is not None and task.status in (Status.QUEUED, Status.DELAYED):
            outcome = self.context.codec.encode_outcome(task_id, Outcome(Status.CANCELLED))
            self._end(task, Status.CANCELLED, outcome)
        return task is not None and task.status is Status.CANCELLED

    async def stats(self) -> Stats:
        now = time.monotonic()
        queued = [task for task in self._tasks.values() if task.status is Status.QUEUED]
        oldest = {task.message.queue: now - task.since for task in reversed(queued)}
        lengths = Counter(task.message.queue for task in queued)
        return Stats(
            queues=with_empty(
                self.context.policy.queues,
                (QueueStats(name, length, oldest[name]) for name, length in sorted(lengths.items())),
            ),
            delayed=self._count(Status.DELAYED),
            running=self._count(Status.RUNNING),
            dead=self._count(Status.FAILED),
            workers=(),
        )

    async def dead_letters(self, *, limit: int = 100, offset: int = 0) -> Sequence[TaskInfo]:
        return list(reversed(self.failed))[offset : offset + limit]

    async def info(self, task_id: str) -> TaskInfo | None:
        task = self._tasks.get(task_id)
        return None if task is None else self._info(task)

    async def retry_dead(self, task_id: str) -> bool:
        task = self._tasks.get(task_id)
        if task is None or task.status is not Status.FAILED:
            return False
        message = replace(self.context.codec.decode(task.data), attempt=0)
        again = _Task(message, self.context.codec.encode(message), Status.QUEUED)
        self._tasks[task_id] = again
        if not self._holding:
            await self._run_or_leave(again)
        return True

    async def purge_dead(self, task_ids: Sequence[str] | None = None) -> int:
        dead = [id for id, task in self._tasks.items() if task.status is Status.FAILED]
        chosen = dead if task_ids is None else [id for id in dead if id in set(task_ids)]
        for task_id in chosen:
            del self._tasks[task_id]
        return len(chosen)

    async def clear(self) -> None:
        """Forget everything, end what runs, and hold nothing back any more."""
        for task in self._tasks.values():
            if task.timer is not None:
                task.timer.cancel()
        for running in list(self._background):
            running.cancel()
        if self._background:
            await asyncio.wait(self._background, timeout=self.context.policy.grace)
        self._tasks.clear()
        self.sent.clear()
        self._holding = False

    # What tests use

    def hold(self) -> None:
        """Let tasks wait from now on, until `run` is called."""
        self._holding = True

    @property
    def waiting(self) -> list[Message]:
        """The messages of tasks that have not run: held back, or with a delay that is not over."""
        return [task.message for task in self._waiting()]

    @property
    def failed(self) -> list[TaskInfo]:
        """The tasks that have failed for good, with their errors as text."""
        return [self._info(task) for task in self._tasks.values() if task.status is Status.FAILED]

    def sent_to(self, function: Callable[..., Any]) -> list[Message]:
        """Return the messages that were accepted for *function*."""
        name = self.context.functions.name_of(function)
        return [message for message in self.sent if message.function == name]

    async def run(self) -> int:
        """Run what waits, whatever its delay, and what that enqueues without one; return how many tasks that were."""
        count = 0
        waiting = self._waiting()
        while waiting:
            for task in waiting:
                await self._run(task)
            count += len(waiting)
            waiting = [task for task in self._waiting() if task.status is Status.QUEUED]
        return count

    # How tasks run

    def _accept(self, message: Message, data: bytes) -> _Task:
        for task_id, known in list(self._tasks.items()):
            if len(self._tasks) < _MOST_KNOWN:
                break
            if known.status.finished:
                del self._tasks[task_id]
        del self.sent[: max(0, len(self.sent) - _MOST_KNOWN + 1)]
        task = self._tasks[message.id] = _Task(message, data, Status.QUEUED)
        self.sent.append(message)
        return task

    async def _run_or_leave(self, task: _Task, *, awaited: bool = False) -> None:
        """Run a task, unless it is sent by one that runs: then it is left to whoever runs that."""
        if _inside.get() and self._draining and not awaited:
            return
        self._draining += 1
        try:
            await self._run(task)
            while not awaited and not self._holding and (left := self._first_left()) is not None:
                await self._run(left)
        finally:
            self._draining -= 1

    def _first_left(self) -> _Task | None:
        return next((task for task in self._tasks.values() if task.status is Status.QUEUED), None)

    def _due(self, task: _Task) -> None:
        """Run a task whose delay is over."""
        task.timer = None
        task.status = Status.QUEUED
        if not self._holding:
            self._keep(asyncio.create_task(self._run(task)))

    async def _run(self, task: _Task) -> None:
        """Run a task to its end; who calls may be cancelled, the task goes on, as it would in a worker."""
        if task.status not in (Status.QUEUED, Status.DELAYED):
            return
        if task.timer is not None:
            task.timer.cancel()
        task.status = Status.RUNNING
        running = asyncio.create_task(self._run_tries(task))
        self._keep(running)
        await asyncio.shield(running)

    async def _run_tries(self, task: _Task) -> None:
        while True:
            settlement = await self._run_once(task)
            if settlement.status is not Status.DELAYED:
                break
            assert settlement.message is not None
            task.data = settlement.message
            task.message = self.context.codec.decode(task.data)
        assert settlement.outcome is not None
        self._end(task, settlement.status, settlement.outcome)

    async def _run_once(self, task: _Task) -> Settlement:
        """Run one try in a thread of its own: tasks may wait for one another without end to the threads they need."""
        assert self._watchdog is not None
        unawaited.install()
        loop = asyncio.get_running_loop()
        runner = Runner(self.context, loop, self._watchdog)
        settled: asyncio.Future[Settlement] = loop.create_future()

        def settle(settlement: Settlement) -> None:
            if not settled.done():
                settled.set_result(settlement)

        def run() -> None:
            _inside.set(True)
            tell(runner.run(task.message.id, task.data))

        def tell(settlement: Settlement) -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, settlement)

        self._hung[task.message.id] = lambda: tell(runner.hung(task.message))
        threading.Thread(target=_context().run, args=(run,), name='colibris-tasks-immediate', daemon=True).start()
        try:
            return await settled
        finally:
            del self._hung[task.message.id]
            await runner.cancel_all()

    def _on_hung(self, message: Message) -> None:
        """Go on without a task that does not react to the end of its time: its thread cannot be ended."""
        if (give_up := self._hung.get(message.id)) is not None:
            give_up()

    def _keep(self, running: asyncio.Task[None]) -> None:
        self._background.add(running)
        running.add_done_callback(self._background.discard)

    def _end(self, task: _Task, status: Status, outcome: bytes) -> None:
        if task.timer is not None:
            task.timer.cancel()
        task.status = status
        task.outcome = outcome
        task.finished = time.time()
        task.since = time.monotonic()
        task.ended.set()

    def _waiting(self) -> list[_Task]:
        return [task for task in self._tasks.values() if task.status in (Status.QUEUED, Status.DELAYED)]

    def _count(self, status: Status) -> int:
        return sum(task.status is status for task in self._tasks.values())

    def _info(self, task: _Task) -> TaskInfo:
        message = task.message
        failure = None
        if task.outcome is not None:
            failure = self.context.codec.decode_outcome(message.id, task.outcome).failure
        return TaskInfo(
            *(message.id, task.status, message.function, message.queue, message.attempt, message.created),
            *(task.finished, failure),
        )


def _context() -> Context:
    """Return what a task finds of context variables: nothing, as in a worker.

    Within a transaction it is that of the caller: a worker would wait for its commit, and the caller for the worker.
    """
    return Context() if transactions.hooks.get() is None else copy_context()
