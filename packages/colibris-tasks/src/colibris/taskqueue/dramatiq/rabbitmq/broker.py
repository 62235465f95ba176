"""The broker of a worker process on RabbitMQ."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import socket
import threading
from collections.abc import Sequence

from dramatiq.broker import Consumer

from colibris.taskqueue.base import Context
from colibris.taskqueue.dramatiq.broker import Task, TaskBroker
from colibris.taskqueue.dramatiq.rabbitmq.consumer import Delivery, RabbitmqConsumer
from colibris.taskqueue.dramatiq.rabbitmq.line import Line
from colibris.taskqueue.dramatiq.rabbitmq.places import Places
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Status
from colibris.taskqueue.stats import WorkerInfo
from colibris.taskqueue.stores.base import Settlement, WorkerStore

logger = logging.getLogger(__name__)

_OPEN_TIMEOUT = 10.0
_ID = re.compile(r'[0-9a-f]{32}')


class RabbitmqTask(Task):
    """A task with the delivery that is to be acknowledged for it."""

    def __init__(self, task_id: str, delivery: Delivery) -> None:
        super().__init__(task_id, delivery.body, delivery.consumer.queue)
        self.delivery = delivery
        #: What became of it is kept, or somebody else will see to it: its message may go.
        self.is_dealt_with = False
        #: Its settlement is in the store, and only the further try is still to be queued.
        self.is_recorded = False
        #: Another message for the same task is being queued, and may come before RabbitMQ has confirmed it.
        self.is_passed_on = False

    def comes_again_by(self, delivery: Delivery) -> bool:
        """Whether *delivery* is its own message once more, as the connection was lost."""
        return not self.delivery.is_valid and (not self.is_passed_on or delivery.body == self.delivery.body)


class RabbitmqBroker(TaskBroker):
    """Takes tasks by one connection, on a channel for each queue; what becomes of them is kept in *store*.

    RabbitMQ gives a message to another worker as soon as a connection is lost, also where the worker lives on. So the
    store says whether a task runs elsewhere already; then this copy of its message is put off until that is over.
    """

    def __init__(
        self,
        context: Context,
        line: Line,
        places: Places,
        store: WorkerStore,
        worker_id: str,
        queues: Sequence[str],
        threads: int,
    ) -> None:
        super().__init__(worker_id)
        self._policy = context.policy
        self._places = places
        self._store = store
        self._info = WorkerInfo(worker_id, socket.gethostname(), os.getpid(), threads, tuple(queues), 0.0)
        self.line = line
        #: What this process has taken and not acknowledged, by id.
        self._held: dict[str, RabbitmqTask] = {}
        self._lock = threading.Lock()
        self._consumers: list[RabbitmqConsumer] = []

    def open(self) -> None:
        self._store.open()
        self._store.beat(self._info)  # so that others know that what this process runs is in good hands
        self.line.open(_OPEN_TIMEOUT)

    def close(self) -> None:
        self.line.close()
        self._store.close()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        # What waits in this process waits for its threads, though others may be free: take no more than they can run.
        consumer = RabbitmqConsumer(self, queue_name, self._places, self._info.threads, timeout / 1000)
        self._consumers.append(consumer)
        return consumer

    def take(self, delivery: Delivery) -> RabbitmqTask | None:
        """Return the task of *delivery*, or None if this process has it already."""
        task_id = delivery.message_id
        if task_id is None or not _ID.fullmatch(task_id):  # nothing of ours: it will be a dead letter
            task_id = hashlib.sha256(delivery.body).hexdigest()[:32]
        with self._lock:
            held = self._held.get(task_id)
            if held is not None and held.comes_again_by(delivery):
                held.delivery = delivery
                return None
            if held is None or held.is_passed_on:
                task = self._held[task_id] = RabbitmqTask(task_id, delivery)
                return task
            delivery.acknowledge()  # a second copy
            return None

    def put_off(self, delivery: Delivery) -> None:
        """Have a message wait on whose delay is longer than RabbitMQ can count."""
        assert delivery.message_id is not None
        try:
            self.line.publish_and_wait(delivery.consumer.queue, delivery.message_id, delivery.body, delivery.wait)
        except TaskQueueUnavailable as exc:
            logger.warning('task %s waits on later: %s', delivery.message_id, exc)
            delivery.give_back_later()
        else:
            delivery.acknowledge()

    def begin(self, task: Task) -> tuple[Status, int]:
        assert isinstance(task, RabbitmqTask)
        status, losses = self._store.begin(task.task_id, self.worker_id, task.queue, task.data)
        if status is Status.QUEUED:
            task.is_passed_on = True
            self.line.publish_and_wait(task.queue, task.task_id, task.data, self._policy.worker_timeout / 3)
        task.is_dealt_with = status is not Status.RUNNING
        return status, losses

    def settle(self, task: Task, settlement: Settlement) -> None:
        assert isinstance(task, RabbitmqTask)
        if not task.is_recorded:
            self._store.settle(settlement)
            task.is_recorded = True
        if settlement.message is not None:
            task.is_passed_on = True
            self.line.publish_and_wait(task.queue, task.task_id, settlement.message, settlement.delay)
        task.is_dealt_with = True

    def acknowledge(self, task: Task) -> None:
        """Let the message of a task go if it was dealt with; else somebody gets it again."""
        assert isinstance(task, RabbitmqTask)
        with self._lock:
            if self._held.get(task.task_id) is task:
                del self._held[task.task_id]
        if task.is_dealt_with:
            task.delivery.acknowledge()
        elif not self.abandoned.is_set():
            task.delivery.give_back_later()

    def put_back(self, tasks: Sequence[Task]) -> None:
        for consumer in self._consumers:
            consumer.stop()
        for task in reversed(tasks):
            assert isinstance(task, RabbitmqTask)
            with self._lock:
                self._held.pop(task.task_id, None)
            task.delivery.give_back()

    def beat(self) -> float:
        self._store.beat(self._info)
        return self._policy.worker_timeout / 3

    def release(self) -> None:
        """RabbitMQ puts back by itself what was on a connection that ends."""
        try:
            self._store.leave(self.worker_id)
        finally:
            self.line.close()
