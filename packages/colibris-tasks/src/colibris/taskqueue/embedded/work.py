"""What the consumers of one worker process share: the threads that are free, and the news that there is work."""

from __future__ import annotations

import threading


class Work:
    """Counts free threads and news; consumers wait for both."""

    def __init__(self, threads: int) -> None:
        self._changed = threading.Condition()
        self._free = threads
        self._news = 0

    @property
    def news(self) -> int:
        """How much there has been to hear; give it to `wait`."""
        return self._news

    def reserve(self, most: int) -> int:
        """Take up to *most* free threads; return how many."""
        with self._changed:
            taken = min(most, self._free)
            self._free -= taken
            return taken

    def free(self, threads: int) -> None:
        """Give threads back."""
        if threads:
            with self._changed:
                self._free += threads
                self._tell()

    def announce(self) -> None:
        """Wake all consumers: there may be work."""
        with self._changed:
            self._tell()

    def wait(self, heard: int, timeout: float) -> None:
        """Wait for news after *heard*, at most *timeout* seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._news != heard, timeout)

    def _tell(self) -> None:
        self._news += 1
        self._changed.notify_all()
