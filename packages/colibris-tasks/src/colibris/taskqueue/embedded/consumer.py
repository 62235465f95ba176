"""A dramatiq consumer on the queue's file: it takes tasks of one queue, as many as there are free threads."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dramatiq.broker import Consumer, MessageProxy

from colibris.taskqueue.dramatiq.broker import Task
from colibris.taskqueue.embedded.tasks import Taken
from colibris.taskqueue.errors import TaskQueueUnavailable

if TYPE_CHECKING:
    from colibris.taskqueue.embedded.broker import EmbeddedBroker

logger = logging.getLogger(__name__)

#: How often the file is looked at without being asked to, in seconds: with a bell in case a ring was lost, and without.
_WITH_BELL = 0.2
_WITHOUT_BELL = 0.02
#: The pause before the next try while the file cannot be used, in seconds.
_WHILE_AWAY = 0.3


class EmbeddedTask(Task):
    """A task that this process has taken from the file."""

    def __init__(self, taken: Taken) -> None:
        super().__init__(taken.id, taken.data, taken.queue)
        self.taken = taken


class EmbeddedConsumer(Consumer):
    """Yields the tasks of *queue*; *timeout* is in milliseconds."""

    def __init__(self, broker: EmbeddedBroker, queue: str, prefetch: int, timeout: int) -> None:
        self._broker = broker
        self._queue = queue
        self._prefetch = prefetch
        self._timeout = timeout / 1000
        self._taken: deque[Taken] = deque()
        self._waker = broker.work.waker(queue)
        self._away = False

    def __next__(self) -> MessageProxy | None:
        if not self._taken:
            try:
                self._wait_and_take(time.monotonic() + self._timeout)
                self._away = False
            except TaskQueueUnavailable as exc:
                if not self._away:
                    logger.warning('no tasks can be taken, trying again: %s', exc)
                self._away = True
                self._broker.stopping.wait(_WHILE_AWAY)
        return EmbeddedTask(self._taken.popleft()) if self._taken else None

    def deliver(self, taken: Taken) -> None:
        """Be given a task that a thread has taken for itself."""
        self._taken.append(taken)
        self._waker.set()

    def ack(self, message: MessageProxy) -> None:
        assert isinstance(message, EmbeddedTask)
        self._broker.done(message)

    def nack(self, message: MessageProxy) -> None:
        self.ack(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        self._broker.put_back([message for message in messages if isinstance(message, EmbeddedTask)])

    def close(self) -> None:
        self._broker.put_back_taken(list(self._taken))
        self._taken.clear()

    def _wait_and_take(self, deadline: float) -> None:
        pause = _WITH_BELL if self._broker.has_bell else _WITHOUT_BELL
        while not self._broker.stopping.is_set():
            self._waker.clear()
            if self._taken:
                return
            found, due_in = self._broker.take(self._queue, self._prefetch)
            if found:
                self._taken.extend(found)
                return
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            self._waker.wait(min(remaining, pause, due_in))
