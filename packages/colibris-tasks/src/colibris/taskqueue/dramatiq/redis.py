"""The transport on Redis: broker and store are one server, so that most is done in one step."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence

from dramatiq.broker import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed

from colibris.taskqueue.base import Context
from colibris.taskqueue.dramatiq.broker import Task, TaskBroker
from colibris.taskqueue.dramatiq.transport import Transport
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Message, Status
from colibris.taskqueue.stats import WorkerInfo
from colibris.taskqueue.stores import redis_scripts as scripts
from colibris.taskqueue.stores.base import Settlement
from colibris.taskqueue.stores.redis import (
    Lifetimes,
    RedisStore,
    beat,
    prefix_of,
    settle_arguments,
)
from colibris.taskqueue.stores.redis_server import RedisServer
from colibris.taskqueue.stores.redis_thread import RedisThread

logger = logging.getLogger(__name__)

#: How often what is delayed is looked at, at the most and at the least, in seconds.
_SOONEST = 0.02
_LATEST = 0.25
#: How many tasks of one queue a thread runs before those of other queues have their turn.
_IN_A_ROW = 20


class RedisTransport(Transport):
    """Carries messages by lists on a Redis server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._redis_store = RedisStore(server, apart=False)
        self.store = self._redis_store

    async def send(self, message: Message, data: bytes, *, delay: float, channel: str | None) -> str:
        return await self._redis_store.add(message, data, delay=delay, channel=channel)

    async def revive(self, message: Message, data: bytes) -> bool:
        return await self._redis_store.revive(message.id, data)

    def make_broker(self, worker_id: str, queues: Sequence[str], threads: int) -> RedisBroker:
        return RedisBroker(self._server, self.context, worker_id, queues, threads)


class Following(Task):
    """A task that a thread has taken, and begun, as it settled another."""

    def __init__(self, task_id: str, data: bytes, queue: str, losses: int) -> None:
        super().__init__(task_id, data, queue)
        self.losses = losses


class Room:
    """How many tasks a worker process may take: as many as it has threads, lest others wait behind long ones."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = threading.Condition()

    def take(self, timeout: float) -> int:
        """Take all that is free; wait up to *timeout* seconds for some."""
        with self._changed:
            if self._free <= 0:
                self._changed.wait(timeout)
            taken = max(self._free, 0)
            self._free -= taken
            return taken

    def give(self, number: int) -> None:
        """Give back what was taken and is not needed, or not any more."""
        with self._changed:
            self._free += number
            if number > 0:
                self._changed.notify_all()


class RedisBroker(TaskBroker):
    """The broker of a worker process on Redis."""

    def __init__(
        self, server: RedisServer, context: Context, worker_id: str, queues: Sequence[str], threads: int
    ) -> None:
        super().__init__(worker_id)
        self._policy = context.policy
        self._lifetimes = Lifetimes(context.policy)
        self.thread = RedisThread(server, prefix_of(context))
        self._info = WorkerInfo(worker_id, socket.gethostname(), os.getpid(), threads, tuple(queues), 0.0)
        self.room = Room(threads)
        #: The ids of what this process has taken and not settled, and of what Redis says it has beside that.
        self._mine: set[str] = set()
        self._strays: set[tuple[str, str]] = set()
        self._thread = threading.local()
        self._beaten = float('-inf')

    def open(self) -> None:
        self.beat()  # so that others know what to give back should this process die

    def close(self) -> None:
        self.thread.close()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        return RedisConsumer(self, queue_name, timeout / 1000)

    def take(self, queue: str, count: int, first: str = '') -> list[Task]:
        """Take up to *count* tasks off *queue*, and the one with the id *first*, which was taken already."""
        answer = self.thread.run(scripts.TAKE, queue, self.worker_id, count, first)
        tasks = [Task(task_id.decode(), data, queue) for task_id, data in zip(answer[::2], answer[1::2], strict=True)]
        self._mine.update(task.task_id for task in tasks)
        return tasks

    def done(self, task: Task) -> None:
        """Let go of a task that was settled, and make room for another."""
        self._mine.discard(task.task_id)
        self.room.give(1)

    def wait_for_one(self, queue: str, timeout: float) -> str | None:
        """Take the next id off *queue*; wait up to *timeout* seconds for one."""
        answer = self.thread.move(f'q:{queue}', f'h:{self.worker_id}:{queue}', timeout)
        return None if answer is None else answer.decode()

    def process(self, task: Task) -> None:
        """Run a task, and those that its thread takes as it settles one: so each costs one round trip."""
        for left in reversed(range(_IN_A_ROW)):
            self._thread.going_on = left > 0 and not self.stopping.is_set()
            self._thread.following = None
            super().process(task)
            following: Task | None = self._thread.following
            if following is None:
                return
            task = following

    def begin(self, task: Task) -> tuple[Status, int]:
        if isinstance(task, Following):
            return Status.RUNNING, task.losses
        status, losses = self.thread.run(scripts.BEGIN, task.task_id, self.worker_id, task.queue, b'', 0)
        return Status(status.decode()), losses

    def settle(self, task: Task, settlement: Settlement) -> None:
        going_on = getattr(self._thread, 'going_on', False) and not self.stopping.is_set()
        arguments = settle_arguments(
            settlement, self.worker_id, task.queue, self._lifetimes, apart=False, more=going_on
        )
        answer = self.thread.run(scripts.SETTLE, *arguments)
        self._mine.discard(task.task_id)
        if answer:
            task_id, data, losses = answer
            self._mine.add(task_id.decode())
            self._thread.following = Following(task_id.decode(), data, task.queue, losses)

    def beat(self) -> float:
        now = time.monotonic()
        thorough = now - self._beaten >= self._policy.worker_timeout / 3
        due = beat(self.thread, self._info, self._policy, apart=False, thorough=thorough)
        if thorough:
            self._beaten = now
            self._return_strays()
        return min(max(due, _SOONEST), _LATEST) if due is not None else _LATEST

    def _return_strays(self) -> None:
        """Put back what Redis has given to this process in an answer that was lost with its connection."""
        held = {
            (queue, task_id.decode())
            for queue in self._info.queues
            for task_id in self.thread.run(scripts.HELD, self.worker_id, queue)
        }
        strays = {(queue, task_id) for queue, task_id in held if task_id not in self._mine}
        for queue, task_id in strays & self._strays:  # for the second time: its answer is not on its way any more
            logger.warning('task %s was taken in vain, and is put back', task_id)
            self.thread.run(scripts.RETURN, task_id, self.worker_id, queue)
        self._strays = strays - self._strays

    def release(self) -> None:
        self.thread.run(scripts.LEAVE, self.worker_id)

    def put_back(self, tasks: Sequence[Task]) -> None:
        for task in reversed(tasks):
            self.thread.run(scripts.RETURN, task.task_id, self.worker_id, task.queue)


class RedisConsumer(Consumer):
    """Takes tasks off one queue: at once what is there, and when there is nothing the next one as it comes."""

    def __init__(self, broker: RedisBroker, queue: str, timeout: float) -> None:
        self._broker = broker
        self._queue = queue
        self._timeout = timeout
        self._taken: deque[Task] = deque()

    def __next__(self) -> Task | None:
        if self._taken:
            return self._taken.popleft()
        if self._broker.stopping.is_set():
            time.sleep(_SOONEST)
            return None
        try:
            self._take()
        except TaskQueueUnavailable as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call]
        return self._taken.popleft() if self._taken else None

    def _take(self) -> None:
        """Take what there is as far as threads are free, or wait for one task."""
        free = self._broker.room.take(self._timeout)
        if not free:
            return
        tasks: list[Task] = []
        try:
            tasks = self._broker.take(self._queue, free)
        finally:
            self._broker.room.give(free - len(tasks))
        if not tasks:
            first = self._broker.wait_for_one(self._queue, self._timeout)
            if first is not None:
                tasks = self._broker.take(self._queue, 0, first)
                self._broker.room.give(-len(tasks))
        self._taken.extend(tasks)

    def ack(self, message: MessageProxy) -> None:
        """Make room for another task; `RedisBroker.settle` has done the rest."""
        assert isinstance(message, Task)
        self._broker.done(message)

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Leave it to `RedisBroker.release`."""

    def close(self) -> None:
        """Put back what was not handed out yet."""
        tasks = [self._taken.popleft() for _ in range(len(self._taken))]
        try:
            self._broker.put_back(tasks)
        except TaskQueueUnavailable as exc:
            logger.warning('%d tasks are put back when this worker ends: %s', len(tasks), exc)
