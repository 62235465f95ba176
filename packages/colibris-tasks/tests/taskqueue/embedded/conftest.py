"""A queue in a file of its own, and what is done to it from outside."""

import threading
import time
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path

import pytest

from colibris.taskqueue.base import Context
from colibris.taskqueue.embedded.queue import EmbeddedQueue
from colibris.taskqueue.functions import Functions
from colibris.taskqueue.messages import Codec
from colibris.taskqueue.policy import Policy

#: How long to wait for what must come, in seconds: a disk that others keep busy takes its time.
PATIENCE = 20.0


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'tasks.db'


@pytest.fixture
def queue(path):
    queue = EmbeddedQueue(path)
    queue.open()
    yield queue
    queue.close()


@pytest.fixture
def run(queue):
    """Run one operation in a transaction, with its arguments after the session."""
    return lambda operation, *args, **kwargs: queue.journal.run(lambda session: operation(session, *args, **kwargs))


@pytest.fixture
def make_context(tmp_path):
    def make(**policy):
        codec = Codec(b'secret' * 8, max_size=1024 * 1024)
        return Context(Policy(**policy), codec, Functions('embedded_jobs'), 'shop', tmp_path)

    return make


@pytest.fixture
def context(make_context):
    return make_context(worker_timeout=1.5, queues=('default', 'mail', 'reports'))


class Clock:
    """Stands in for the machine's clocks."""

    def __init__(self):
        self.wall = 1_700_000_000.0
        self.steady = 1000.0
        self.boot = 'first'


@pytest.fixture
def machine(monkeypatch):
    """The clocks that the queue reads."""
    clock = Clock()
    monkeypatch.setattr('colibris.taskqueue.embedded.clock.time.time', lambda: clock.wall)
    monkeypatch.setattr('colibris.taskqueue.embedded.clock.steady', lambda: clock.steady)
    monkeypatch.setattr('colibris.taskqueue.embedded.clock.boot_id', lambda: clock.boot)
    return clock


@pytest.fixture
def eventually():
    """Wait until a condition holds."""

    def wait(condition, timeout=5.0):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, 'it did not come true'
            time.sleep(0.005)

    return wait


@pytest.fixture
def in_thread():
    """Run a function in a thread; calling what is returned has its result, or raises its error."""
    threads = []

    def start(function, *args):
        future = Future()

        def run():
            try:
                future.set_result(function(*args))
            except BaseException as exc:
                future.set_exception(exc)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)
        return lambda timeout=PATIENCE: future.result(timeout)

    yield start
    for thread in threads:
        thread.join(5)


@pytest.fixture
def jobs(monkeypatch):
    """The module with the functions that are run."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    module = import_module('embedded_jobs')
    module.ran.clear()
    module.gate.clear()
    yield module
    module.gate.set()
