"""The part of a broker that all our engines share: how one task goes through dramatiq's worker."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import dramatiq
from dramatiq.broker import Consumer, MessageProxy

from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Status
from colibris.taskqueue.running import Runner
from colibris.taskqueue.stores.base import Settlement

logger = logging.getLogger(__name__)

T = TypeVar('T')

#: The one actor that runs every task.
ACTOR = 'colibris'
#: The pauses between tries while the broker or the store is away, in seconds: from the first, doubled up to the last.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
#: For how long a process that is about to end tries to say how a task ended, in seconds.
_LAST_TRIES = 5.0


class Abandoned(BaseException):
    """Raised in a thread of a worker that has put its tasks back: what it did does not count any more."""


class Task(MessageProxy):
    """A task on its way through dramatiq's worker; an engine may add what it needs to acknowledge it."""

    def __init__(self, task_id: str, data: bytes, queue: str) -> None:
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=queue,
            actor_name=ACTOR,
            args=(),
            kwargs={},
            options={},
            message_id=task_id,
            message_timestamp=0,
        )
        super().__init__(message)
        self.task_id = task_id
        self.data = data
        self.queue = queue

    @property
    def args(self) -> tuple[Any, ...]:  # type: ignore[override]
        """What the actor is called with: the task itself."""
        return (self,)


class TaskBroker(dramatiq.Broker):
    """Base of our brokers; lives in a worker process, its methods are called from dramatiq's threads.

    A subclass writes `consume`, whose consumer yields `Task` objects and acknowledges them, and the abstract methods;
    each may raise TaskQueueUnavailable, and is called again then. It takes nothing more once `stopping` is set.
    """

    def __init__(self, worker_id: str) -> None:
        super().__init__(middleware=[])
        self.queues: set[str] = set()
        self.worker_id = worker_id
        self.stopping = threading.Event()
        self.abandoned = threading.Event()
        self.runner: Runner | None = None
        #: What runs at the moment, by id.
        self.running: dict[str, Task] = {}

    # What an engine writes

    @abstractmethod
    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        """Return what yields the tasks of a queue.

        Its ``__next__`` returns a task, or None after *timeout* milliseconds without one and at once when `stopping`
        is set; it wakes at once when there is work. Its ``ack(task)`` is called after `settle`, from any thread. It
        raises ``dramatiq.errors.ConnectionClosed`` when the connection is lost, and is made anew then.
        """

    @abstractmethod
    def open(self) -> None:
        """Connect; called once before anything else, in a thread."""

    @abstractmethod
    def begin(self, task: Task) -> tuple[Status, int]:
        """Make the task RUNNING; return where it stands and how often a worker died of it, as `WorkerStore.begin`.

        What is not RUNNING is dropped, and acknowledged after.
        """

    @abstractmethod
    def settle(self, task: Task, settlement: Settlement) -> None:
        """Keep how a try ended, as `WorkerStore.settle` does; a further try is queued after its delay.

        Where store and broker are one, this acknowledges the message in the same step, and the consumer's ``ack`` has
        nothing left to do.
        """

    @abstractmethod
    def beat(self) -> float:
        """Give a sign of life and do what has to be done from time to time; return when to call again, in seconds.

        Gives back to its queue what workers had taken that are silent for ``policy.worker_timeout``: one loss counted
        for each task that was RUNNING; and what was delayed and is due. Called from a thread of its own.
        """

    @abstractmethod
    def release(self) -> None:
        """Put back at once, to the head of its queue, all that this process took and has not settled.

        Called when the process is about to end: after a stop for what did not finish in time, or when a task hangs.
        """

    # What they share

    def declare_queue(self, queue_name: str) -> None:
        """Serve a queue."""
        if queue_name not in self.queues:
            self.emit_before('declare_queue', queue_name)
            self.queues.add(queue_name)
            self.emit_after('declare_queue', queue_name)

    def get_declared_queues(self) -> set[str]:
        return set(self.queues)

    def start(self, runner: Runner) -> None:
        """Run tasks by *runner* from now on, by one actor."""
        self.runner = runner
        actor = dramatiq.Actor(self.process, broker=self, actor_name=ACTOR, queue_name='', priority=0, options={})
        actor.logger.setLevel(logging.INFO)  # it tells of each call otherwise

    def declare_actor(self, actor: dramatiq.Actor[Any, Any]) -> None:
        """Know the actor, without serving the queue that it names."""
        self.actors[actor.actor_name] = actor

    def process(self, task: Task) -> None:
        """Run one task; the body of the actor."""
        runner = self.runner
        assert runner is not None
        status, losses = self.insist(lambda: self.begin(task))
        if status is not Status.RUNNING:
            logger.info('task %s is not run: it is %s', task.task_id, status)
            return
        if losses > runner.max_losses:
            settlement = runner.lost(task.task_id, task.data, losses)
        else:
            self.running[task.task_id] = task
            settlement = runner.run(task.task_id, task.data)
            self.running.pop(task.task_id, None)
        self.insist(lambda: self.settle(task, settlement))

    def insist(self, action: Callable[[], T]) -> T:
        """Return what *action* returns; try again while the broker is away. Raises Abandoned at the end."""
        pause = _FIRST_PAUSE
        while True:
            if self.abandoned.is_set():
                raise Abandoned
            try:
                return action()
            except TaskQueueUnavailable as exc:
                if pause == _FIRST_PAUSE:
                    logger.warning('the task queue cannot be reached, trying again: %s', exc)
            self.abandoned.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def give_up(self, task: Task, settlement: Settlement) -> None:
        """Settle a task that hangs, and put the rest back; the process ends after that. For no longer than a while."""
        self.stopping.set()
        deadline = time.monotonic() + _LAST_TRIES
        while time.monotonic() < deadline:
            try:
                self.settle(task, settlement)
                self.acknowledge(task)
                break
            except TaskQueueUnavailable:
                time.sleep(_FIRST_PAUSE)
        self.abandon()

    def acknowledge(self, task: Task) -> None:
        """Acknowledge a task outside of dramatiq's worker; for a broker apart from its store."""

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Put back at once what this process took and has not begun; called when it stops. `release` does it later."""

    def abandon(self) -> None:
        """Put back what this process has, and let what still runs count for nothing."""
        self.stopping.set()
        self.abandoned.set()
        try:
            self.release()
        except TaskQueueUnavailable as exc:
            logger.warning('what was taken is not put back, others get it when this worker counts as dead: %s', exc)
