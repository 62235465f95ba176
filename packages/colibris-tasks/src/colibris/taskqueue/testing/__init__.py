"""The contract of engines, as tests. A plug-in's tests subclass the suite, and let pytest collect it::

    from colibris.taskqueue.testing import TaskQueueBackendSuite


    class TestMyBackend(TaskQueueBackendSuite):
        @pytest.fixture
        def backend(self):
            return MyBackend(...)

What the engine says it does not support is skipped. pytest-asyncio has to be in auto mode. The tasks are functions of
`colibris.taskqueue.testing.jobs`; they run in a worker in the process of the tests, which a subclass may replace by a
``working`` of its own, where the engine does not allow it.
"""

from colibris.taskqueue.testing.base import SECRET, eventually, make_context
from colibris.taskqueue.testing.jobs import (
    PATIENCE,
    add,
    add_decorated,
    add_later,
    echo,
    fail,
    fail_once,
    forget_to_await,
    hold,
    leave,
    leave_later,
    let_go,
    named,
    note,
    notes,
    reset,
    return_much,
    return_object,
    sleep_on,
    spin,
    tell_id,
    tell_request,
    tell_request_later,
)
from colibris.taskqueue.testing.running import RunningSuite
from colibris.taskqueue.testing.sending import SendingSuite

__all__ = [
    'PATIENCE',
    'SECRET',
    'TaskQueueBackendSuite',
    'add',
    'add_decorated',
    'add_later',
    'echo',
    'eventually',
    'fail',
    'fail_once',
    'forget_to_await',
    'hold',
    'leave',
    'leave_later',
    'let_go',
    'make_context',
    'named',
    'note',
    'notes',
    'reset',
    'return_much',
    'return_object',
    'sleep_on',
    'spin',
    'tell_id',
    'tell_request',
    'tell_request_later',
]


class TaskQueueBackendSuite(RunningSuite, SendingSuite):
    """Every documented behaviour of an engine; what it does not support is skipped."""
