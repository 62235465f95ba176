"""The fixture ``task_queue``: what a test has enqueued."""

from __future__ import annotations

import pytest

from colibris.taskqueue.immediate import ImmediateBackend


@pytest.fixture
def task_queue() -> ImmediateBackend:
    """The queue of this test: ``task_queue.sent_to(send_report)`` are the messages for that function.

    In tests tasks run at once, in the process of the tests; after ``task_queue.hold()`` they are ``waiting`` until
    ``await task_queue.run()``. Those that failed for good are ``failed``.
    """
    from colibris.taskqueue.subsystem import subsystem

    backend = subsystem.backend
    assert isinstance(backend, ImmediateBackend)
    return backend
