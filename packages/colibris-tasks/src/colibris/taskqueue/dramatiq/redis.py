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
        self._beaten = float('-inf')

    def open(self) -> None:
        self.beat()  # so that others know what to give back should this process die

    def close(self) -> None:
        self.thread.close()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        return RedisConsumer(self, queue_name, prefetch, timeout / 1000)

    def take(self, queue: str, count: int, first: str = '') -> list[Task]:
        """Take up to *count* tasks off *queue*, and the one with the id *first*, which was taken already."""
        answer = self.thread.run(scripts.TAKE, queue, self.worker_id, count, first)
        return [Task(task_id.decode(), data, queue) for task_id, data in zip(answer[::2], answer[1::2], strict=True)]

    def wait_for_one(self, queue: str, timeout: float) -> str | None:
        """Take the next id off *queue*; wait up to *timeout* seconds for one."""
        answer = self.thread.move(f'q:{queue}', f'h:{self.worker_id}:{queue}', timeout)
        return None if answer is None else answer.decode()

    def begin(self, task: Task) -> tuple[Status, int]:
        status, losses = self.thread.run(scripts.BEGIN, task.task_id, self.worker_id, task.queue, b'', 0)
        return Status(status.decode()), losses

    def settle(self, task: Task, settlement: Settlement) -> None:
        arguments = settle_arguments(settlement, self.worker_id, task.queue, self._lifetimes, apart=False)
        self.thread.run(scripts.SETTLE, *arguments)

    def beat(self) -> float:
        now = time.monotonic()
        thorough = now - self._beaten >= self._policy.worker_timeout / 3
        due = beat(self.thread, self._info, self._policy, apart=False, thorough=thorough)
        if thorough:
            self._beaten = now
        return min(max(due, _SOONEST), _LATEST) if due is not None else _LATEST

    def release(self) -> None:
        self.thread.run(scripts.LEAVE, self.worker_id)

    def put_back(self, tasks: Sequence[Task]) -> None:
        for task in reversed(tasks):
            self.thread.run(scripts.RETURN, task.task_id, self.worker_id, task.queue)


class RedisConsumer(Consumer):
    """Takes tasks off one queue: at once what is there, and when there is nothing the next one as it comes."""

    def __init__(self, broker: RedisBroker, queue: str, room: int, timeout: float) -> None:
        self._broker = broker
        self._queue = queue
        self._timeout = timeout
        self._taken: deque[Task] = deque()
        self._room = room
        self._changed = threading.Condition()

    def __next__(self) -> Task | None:
        if self._taken:
            return self._taken.popleft()
        if self._broker.stopping.is_set():
            time.sleep(_SOONEST)
            return None
        room = self._wait_for_room()
        if not room:
            return None
        try:
            self._take(room)
        except TaskQueueUnavailable as exc:
            raise ConnectionClosed(exc) from exc  # type: ignore[no-untyped-call]
        return self._taken.popleft() if self._taken else None

    def _wait_for_room(self) -> int:
        with self._changed:
            if not self._room:
                self._changed.wait(self._timeout)
            return self._room

    def _take(self, room: int) -> None:
        tasks = self._broker.take(self._queue, room)
        if not tasks:
            first = self._broker.wait_for_one(self._queue, self._timeout)
            if first is not None:
                tasks = self._broker.take(self._queue, room - 1, first)
        with self._changed:
            self._room -= len(tasks)
        self._taken.extend(tasks)

    def ack(self, message: MessageProxy) -> None:
        """Make room for another task; `RedisBroker.settle` has done the rest."""
        with self._changed:
            self._room += 1
            self._changed.notify()

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
