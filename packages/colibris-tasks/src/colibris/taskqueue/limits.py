"""Time limits of tasks: raised in the thread that runs one, and the end of the process for one that does not react."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dramatiq.middleware.threading import Interrupt, raise_thread_exception

from colibris.taskqueue.messages import Message

logger = logging.getLogger(__name__)

#: How long an exception that was set for a thread may take to come up in it once it runs, in seconds.
_ARRIVAL = 1.0


class TimeLimitExceeded(Interrupt):
    """Raised in a task that runs for longer than it may."""

    def __init__(self) -> None:
        super().__init__('the task ran for longer than its time limit')


@dataclass(eq=False, slots=True)
class _Watch:
    message: Message
    thread: int
    interrupt: bool
    #: When something has to be done next, by the monotonic clock.
    due: float
    interrupted: bool = False


class Watchdog:
    """Watches the tasks that run in this process, from a thread of its own.

    *on_hung* is called with the message of a task that still runs *grace* seconds after the end of its time.
    """

    def __init__(self, grace: float, on_hung: Callable[[Message], None]) -> None:
        self._grace = grace
        self._on_hung = on_hung
        self._changed = threading.Condition()
        self._watches: set[_Watch] = set()
        self._asleep_until = math.inf
        self._closing = False
        self._thread = threading.Thread(target=self._watch, name='colibris.taskqueue.limits', daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    @contextmanager
    def watching(self, message: Message, *, interrupt: bool) -> Iterator[None]:
        """Limit the time of what runs in the block; with *interrupt* TimeLimitExceeded is raised in this thread."""
        if message.time_limit is None:
            yield
            return
        first = message.time_limit if interrupt else message.time_limit + self._grace
        watch = _Watch(message, threading.get_ident(), interrupt, time.monotonic() + first)
        self._add(watch)
        arrived = False
        try:
            try:
                yield
            except TimeLimitExceeded:
                arrived = True
                raise
            finally:
                self._end(watch, arrived=arrived)
        finally:
            self._forget(watch)  # the exception may have come up while `_end` began

    def _add(self, watch: _Watch) -> None:
        with self._changed:
            self._watches.add(watch)
            if watch.due < self._asleep_until:
                self._changed.notify()

    def _forget(self, watch: _Watch) -> bool:
        """Stop watching; tell whether an exception was set for the thread."""
        with self._changed:
            self._watches.discard(watch)
            return watch.interrupted

    def _end(self, watch: _Watch, *, arrived: bool) -> None:
        """Stop watching; an exception that is under way is waited for, lest it come up in other code."""
        pending = self._forget(watch) and not arrived
        deadline = time.monotonic() + _ARRIVAL
        while pending and time.monotonic() < deadline:
            time.sleep(0.001)

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                now = time.monotonic()
                late = [watch for watch in self._watches if watch.due <= now]
                hung = [watch for watch in late if watch.interrupted or not watch.interrupt]
                for watch in late:
                    if watch not in hung:
                        self._interrupt(watch, now)
                if not late:
                    self._sleep(now)
            for watch in hung:
                logger.error('task %s (%s) hangs; this process ends', watch.message.id, watch.message.function)
                self._on_hung(watch.message)

    def _sleep(self, now: float) -> None:
        """Sleep until something is due; it may have ended by then, which is cheaper than to be told of each end."""
        self._asleep_until = min((watch.due for watch in self._watches), default=math.inf)
        self._changed.wait(None if self._asleep_until == math.inf else self._asleep_until - now)

    def _interrupt(self, watch: _Watch, now: float) -> None:
        watch.interrupted = True
        watch.due = now + self._grace
        raise_thread_exception(watch.thread, TimeLimitExceeded)  # type: ignore[no-untyped-call]
