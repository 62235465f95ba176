"""What the consumers of one worker process share: the threads that are free, and the news that there is work."""

from __future__ import annotations

import threading


class Work:
    """Counts the free threads, and wakes the consumers of queues."""

    def __init__(self, threads: int) -> None:
        self._lock = threading.Lock()
        self._free = threads
        self._starving: set[str] = set()
        self._wakers: dict[str, threading.Event] = {}

    def waker(self, queue: str) -> threading.Event:
        """Return the event that is set when the consumer of *queue* is to look again."""
        with self._lock:
            return self._wakers.setdefault(queue, threading.Event())

    def reserve(self, queue: str, most: int) -> int:
        """Take up to *most* free threads for a queue and return how many; without one, the queue is woken later."""
        with self._lock:
            taken = min(most, self._free)
            self._free -= taken
            if taken:
                self._starving.discard(queue)
            else:
                self._starving.add(queue)
            return taken

    def free(self, threads: int) -> None:
        """Give threads back, and wake the queues that did not get one."""
        if not threads:
            return
        with self._lock:
            self._free += threads
            for queue in self._starving:
                self._wakers[queue].set()

    def may_go_on(self, queue: str) -> bool:
        """Tell whether a thread may go on with *queue*, as no other one waits for a thread."""
        with self._lock:
            return not self._starving - {queue}

    def announce(self) -> None:
        """Wake all consumers: there may be something in their queues."""
        with self._lock:
            for waker in self._wakers.values():
                waker.set()
