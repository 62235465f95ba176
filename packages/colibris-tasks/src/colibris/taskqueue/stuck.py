"""The end of a worker process in which nothing goes on any more, as C code holds the interpreter's lock."""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ending_when_stuck(limit: float) -> Iterator[None]:
    """End the process, with tracebacks of its threads, when none of them has run for *limit* seconds.

    No thread of Python can do that, and no time limit is raised then; faulthandler waits in one that needs no lock.
    """
    ended = threading.Event()

    def put_off() -> None:
        while not ended.is_set():
            faulthandler.dump_traceback_later(limit, exit=True)
            ended.wait(limit / 4)
        faulthandler.cancel_dump_traceback_later()

    thread = threading.Thread(target=put_off, name='colibris.taskqueue.stuck', daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
