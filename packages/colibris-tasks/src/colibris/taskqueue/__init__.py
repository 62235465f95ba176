"""Run functions in the background, in worker processes, as the setting ``TASK_QUEUE`` says.

from colibris import taskqueue

result = await taskqueue.execute(time_consuming_task, 'value1', arg2='value2', timeout=20)
handle = await taskqueue.enqueue(send_report, 42, delay=60)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar, overload

from colibris.taskqueue import functions, sending
from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.current import current_task_id
from colibris.taskqueue.errors import (
    FunctionError,
    InvalidMessage,
    NotAllowed,
    NotFound,
    TaskCancelled,
    TaskExecException,
    TaskQueueError,
    TaskQueueUnavailable,
    TimeoutException,
    TooLarge,
    UnknownTask,
    Unsupported,
)
from colibris.taskqueue.handles import Handle
from colibris.taskqueue.messages import Status
from colibris.taskqueue.scheduling import schedule
from colibris.taskqueue.stats import Stats
from colibris.taskqueue.subsystem import subsystem

__all__ = [
    'FunctionError',
    'Handle',
    'InvalidMessage',
    'NotAllowed',
    'NotFound',
    'Stats',
    'Status',
    'TaskCancelled',
    'TaskExecException',
    'TaskQueueBackend',
    'TaskQueueError',
    'TaskQueueUnavailable',
    'TimeoutException',
    'TooLarge',
    'UnknownTask',
    'Unsupported',
    'current_task_id',
    'enqueue',
    'execute',
    'handle',
    'schedule',
    'stats',
    'task',
]

F = TypeVar('F', bound=Callable[..., Any])


async def execute(
    function: Callable[..., Any],
    /,
    *args: Any,
    timeout: float | None = None,  # noqa: ASYNC109  # the name is the seed's
    **kwargs: Any,
) -> Any:
    """Run *function* in a worker, wait for it and return what it returns.

    It waits for *timeout* seconds, by default those of the setting, and raises TimeoutException after them. A task that
    raises is not tried again: TaskExecException tells its error. TaskQueueUnavailable means that the queue cannot be
    reached. When the time is over, or the caller is cancelled, a task that has not started is cancelled too. It is
    sent at once, even within a transaction.
    """
    return await sending.execute(function, args, kwargs, timeout)


async def enqueue(
    function: Callable[..., Any],
    /,
    *args: Any,
    delay: float | timedelta = 0,
    queue: str | None = None,
    retries: int | None = None,
    unique_key: str | None = None,
    **kwargs: Any,
) -> Handle:
    """Have *function* run in a worker, *delay* seconds from now at the earliest, and return a handle on the task.

    Once this returns, the task will not be lost; within a database transaction it is sent after the commit, and
    dropped by a rollback. A task that fails is tried again *retries* times, after growing pauses. While a task with the
    same *unique_key* has not finished, nothing is sent: the handle is that task's. Raises TaskQueueUnavailable.
    """
    options = sending.Options(delay=delay, queue=queue, retries=retries, unique_key=unique_key)
    return await sending.enqueue(function, args, kwargs, options)


@overload
def task(function: F, /) -> F: ...


@overload
def task(
    *, name: str | None = ..., queue: str | None = ..., retries: int | None = ..., time_limit: float | None = ...
) -> Callable[[F], F]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str | None = None,
    retries: int | None = None,
    time_limit: float | None = functions.NOT_GIVEN,
) -> Any:
    """Say how a function runs as a task; it stays a function like any other. For use with and without parentheses.

    *name* is what messages call it: they find it when it has moved to another module. *queue* and *retries* are the
    defaults of `enqueue`. *time_limit* is in seconds, None for no limit, and the setting's unless it is given.
    """
    options = functions.task_options(name=name, queue=queue, retries=retries, time_limit=time_limit)

    def declare(function: F) -> F:
        return functions.declare(function, options)

    return declare if function is None else declare(function)


def handle(task_id: str) -> Handle:
    """Return a handle on the task with this id, such as one that another process has enqueued."""
    if not isinstance(task_id, str):
        raise TypeError(f'task_id must be a text, the id of a handle, not {task_id!r}')
    return Handle(subsystem.backend, task_id, subsystem.policy())


async def stats() -> Stats:
    """Return how long the queues are, the age of their oldest tasks, and which workers are alive."""
    return await subsystem.backend.stats()
