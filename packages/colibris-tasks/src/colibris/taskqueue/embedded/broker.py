"""A dramatiq broker on the queue's file; it lives in a worker process."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from dramatiq.broker import Consumer

from colibris.taskqueue.base import Context
from colibris.taskqueue.dramatiq.broker import Task, TaskBroker
from colibris.taskqueue.embedded import members, tasks
from colibris.taskqueue.embedded.bells import Bell
from colibris.taskqueue.embedded.consumer import EmbeddedConsumer, EmbeddedTask
from colibris.taskqueue.embedded.journal import Operation, Session
from colibris.taskqueue.embedded.queue import EmbeddedQueue
from colibris.taskqueue.embedded.tasks import Ending, Taken
from colibris.taskqueue.embedded.work import Work
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Status
from colibris.taskqueue.stats import WorkerInfo
from colibris.taskqueue.stores.base import Settlement

logger = logging.getLogger(__name__)

T = TypeVar('T')

#: How often workers look whether another one has ended, in seconds.
_LOOK_AFTER_OTHERS = 1.0
#: How many records that have expired are removed in one transaction.
_MOST_FORGOTTEN = 200
#: Free pages of the file that are kept for what comes, and how many beyond that are given back at once.
_FREE_PAGES = 2000
_PAGES_AT_ONCE = 200


class EmbeddedBroker(TaskBroker):
    """Takes tasks from the file at *path*, and no more at once than it has *threads* to run them.

    Store and broker are one: what a task came to, and that it is done, are written in one transaction.
    """

    def __init__(self, path: Path, context: Context, worker_id: str, queues: Sequence[str], threads: int) -> None:
        super().__init__(worker_id)
        self.work = Work(threads)
        self._context = context
        self._info = WorkerInfo(worker_id, socket.gethostname(), os.getpid(), threads, tuple(queues), 0.0)
        self._queue = EmbeddedQueue(path)
        self._watch = members.Watch()
        self._next_sign = -math.inf
        self._lock = threading.Lock()
        self._held: dict[Taken, None] = {}
        self._consumers: dict[str, EmbeddedConsumer] = {}
        self._bell: Bell | None = None
        self._listener: threading.Thread | None = None
        self._closed = threading.Event()

    def open(self) -> None:
        self._queue.open()
        self._bell = self._queue.bells.hang(tasks.WORK)
        if self._bell is not None:
            self._listener = threading.Thread(
                target=self._listen, args=(self._bell,), name='colibris-tasks-bell', daemon=True
            )
            self._listener.start()
        self._write(self._sign)

    def close(self) -> None:
        """Put back what this process still has, and let go of the file."""
        if self._closed.is_set():
            return
        self._closed.set()
        try:
            self.release()
            self._write(lambda session: members.leave(session, self.worker_id))
        except TaskQueueUnavailable as exc:
            logger.warning('what this worker has is given to others when they take it for dead: %s', exc)
        finally:
            if self._bell is not None and self._listener is not None:
                self._queue.bells.ring_one(self._bell.name)
                self._listener.join()
                self._bell.close()
            self._queue.close()

    @property
    def has_bell(self) -> bool:
        """Whether others can wake this process."""
        return self._bell is not None

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30000) -> Consumer:
        consumer = EmbeddedConsumer(self, queue_name, prefetch, timeout)
        self._consumers[queue_name] = consumer
        return consumer

    def take(self, queue: str, most: int) -> tuple[list[Taken], float]:
        """Take tasks of *queue* for free threads, up to *most*; tell in how many seconds a delayed task is due.

        That is infinite when there is none, or no thread.
        """
        threads = self.work.reserve(queue, most)
        if not threads:
            return [], math.inf
        taken: list[Taken] = []
        try:
            queued, due_in = self._look(queue)
            if queued:
                taken = self._write(lambda session: self._take(session, queue, threads))
        finally:
            self.work.free(threads - len(taken))
        self._hold(taken)
        return taken, due_in

    def _look(self, queue: str) -> tuple[bool, float]:
        """Tell whether there is something to take from *queue*, and in how many seconds a delayed task is due."""

        def look(session: Session) -> tuple[bool, float]:
            queued, due = tasks.is_waiting(session, self._context.namespace, queue)
            return queued, math.inf if due is None else due - session.clock.now()

        queued, due_in = self._queue.reader.read(look)
        if due_in > 0:
            return queued, due_in
        self._write(tasks.queue_due)
        return self._queue.reader.read(look)

    def _take(self, session: Session, queue: str, most: int) -> list[Taken]:
        return tasks.take(session, self._context.namespace, queue, self.worker_id, most)

    def _hold(self, taken: Sequence[Taken]) -> None:
        with self._lock:
            self._held.update(dict.fromkeys(taken))

    def begin(self, task: Task) -> tuple[Status, int]:
        """Tell that the task is RUNNING: it is from the moment when it was taken, as there is a thread for it."""
        return Status.RUNNING, _taken(task).losses

    def settle(self, task: Task, settlement: Settlement) -> None:
        """Write how a try ended; in the same transaction the thread takes what it runs next, if that is fair."""
        taken = _taken(task)
        consumer = self._consumers.get(taken.queue)
        going_on = consumer is not None and not self.stopping.is_set() and self.work.may_go_on(taken.queue)

        def operation(session: Session) -> list[Taken]:
            self._settle(session, taken, settlement)
            return self._take(session, taken.queue, 1) if going_on else []

        following = self._write(operation)
        self._hold(following)
        self._let_go(taken, threads=1 - len(following))
        if consumer is not None:
            for each in following:
                consumer.deliver(each)

    def _settle(self, session: Session, taken: Taken, settlement: Settlement) -> None:
        if settlement.status is Status.DELAYED:
            tasks.put_off(session, taken, settlement.message or b'', settlement.delay)
            return
        policy = self._context.policy
        lifetime = policy.dead_lifetime if settlement.status is Status.FAILED else policy.result_lifetime
        tasks.end(session, taken, Ending(settlement.status, settlement.outcome or b'', lifetime))

    def done(self, task: Task) -> None:
        """Let go of a task; one that nobody has settled has failed its worker."""
        taken = _taken(task)
        if self._let_go(taken):
            self._write(lambda session: tasks.lose(session, taken))

    def put_back(self, tasks: Sequence[Task]) -> None:
        self.put_back_taken([_taken(task) for task in tasks])

    def release(self) -> None:
        with self._lock:
            held = list(self._held)
        self.put_back_taken(held)

    def put_back_taken(self, taken: Sequence[Taken]) -> None:
        """Queue again what this process has and has not settled."""
        if not taken:
            return
        self._write(lambda session: tasks.put_back(session, taken))
        for each in taken:
            self._let_go(each)

    def beat(self) -> float:
        read = self._queue.reader.read
        others = read(lambda session: members.others(session, self._context.namespace, self.worker_id))
        for member in others:
            if member.bell is not None and self._queue.bells.is_dead(member.bell):
                self._bury(member, 'has ended')
        interval = self._context.policy.worker_timeout / members.BEATS
        if time.monotonic() >= self._next_sign:
            self._next_sign = time.monotonic() + interval
            self._write(self._sign)
            self._keep_house(time.monotonic() + interval / 3)
            for member in self._watch.silent(others):
                self._bury(member, 'has given no sign of life')
        return min(_LOOK_AFTER_OTHERS, interval)

    @property
    def _bell_name(self) -> str | None:
        return None if self._bell is None else self._bell.name

    def _listen(self, bell: Bell) -> None:
        while not self._closed.is_set():
            if bell.wait(0.5):
                self.work.announce()

    def _write(self, operation: Operation[T]) -> T:
        """Run *operation*; a power cut may undo it, so that a task runs again, but never its being accepted."""
        return self._queue.journal.run(operation)

    def _let_go(self, taken: Taken, *, threads: int = 1) -> bool:
        """Forget a task that this process has, which frees *threads*; return whether it still had it."""
        with self._lock:
            had = taken in self._held
            self._held.pop(taken, None)
        if had:
            self.work.free(threads)
        return had

    def _sign(self, session: Session) -> None:
        members.beat(session, self._context.namespace, self._info, self._bell_name)
        tasks.give_back_orphans(session, self._context.namespace)
        session.clock.keep(session.connection)

    def _keep_house(self, deadline: float) -> None:
        """Remove what has expired, as much as can be until *deadline*, and give back the space of much that was."""
        while self._write(lambda session: tasks.forget_expired(session, _MOST_FORGOTTEN)) == _MOST_FORGOTTEN:
            if time.monotonic() >= deadline:
                break
        free = self._queue.reader.read(lambda session: session.execute('PRAGMA freelist_count').fetchone()[0])
        if free > _FREE_PAGES:
            self._write(_shrink)
        self._queue.bells.sweep(tasks.WAIT)

    def _bury(self, member: members.Member, reason: str) -> None:
        if self._write(lambda session: members.bury(session, self._context.namespace, member)):
            logger.warning('worker %s %s; what it had is given to others', member.id, reason)
        if member.bell is not None:
            self._queue.bells.take_down(member.bell)


def _shrink(session: Session) -> None:
    """Give back some space; page by page, as Python's sqlite3 does not run this statement beyond its first."""
    for _ in range(_PAGES_AT_ONCE):
        session.execute('PRAGMA incremental_vacuum(1)')


def _taken(task: Task) -> Taken:
    assert isinstance(task, EmbeddedTask)
    return task.taken
