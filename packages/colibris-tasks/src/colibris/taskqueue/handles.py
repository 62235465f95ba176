"""A handle on one task: its result, where it stands, and its end before it starts."""

from __future__ import annotations

import asyncio
import math
import re
from typing import TYPE_CHECKING, Any

from colibris import transactions
from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.errors import (
    TaskCancelled,
    TaskExecException,
    TaskQueueError,
    TimeoutException,
    UnknownTask,
)
from colibris.taskqueue.messages import Outcome, Status
from colibris.taskqueue.policy import Policy

if TYPE_CHECKING:
    from colibris.taskqueue.outbox import Outbox


_ID = re.compile('[0-9a-f]{32}')


class Handle:
    """One task; *id* can be kept, and turned into a handle again by `colibris.taskqueue.handle`."""

    def __init__(self, backend: TaskQueueBackend, task_id: str, policy: Policy) -> None:
        self._backend = backend
        self._policy = policy
        self.id = task_id
        #: Whether the task waits for the commit of a transaction.
        self.pending = False
        #: The outbox in which the task waits for the queue.
        self.outbox: Outbox | None = None

    def __repr__(self) -> str:
        return f'<Handle {self.id}>'

    def sent(self, task_id: str) -> None:
        """Tell that the task is on its way, as *task_id*."""
        self.id = task_id
        self.pending = False
        self.outbox = None

    async def result(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """Wait for the task and return what it returned; any number of times, for as long as results are kept.

        Raises TimeoutException after *timeout* seconds (those of the setting by default), which leaves the task alone;
        TaskExecException when it failed for good, TaskCancelled, UnknownTask.
        """
        self._check_sent()
        if not _ID.fullmatch(self.id):
            raise UnknownTask(self.id)
        limit = self._policy.result_timeout if timeout is None else seconds_of(timeout)
        try:
            async with asyncio.timeout(limit) as scope:
                if self.outbox is not None:
                    await self.outbox.left(self)
                outcome = await self._backend.wait(self.id)
        except TimeoutError:
            if not scope.expired():
                raise
            raise TimeoutException(limit) from None
        return value_of(self.id, outcome)

    async def status(self) -> Status:
        """Return where the task stands; UNKNOWN before the commit and long after the end."""
        if self.pending or not _ID.fullmatch(self.id):
            return Status.UNKNOWN
        if self.outbox is not None and await self.outbox.holds(self):
            return Status.QUEUED
        return await self._backend.status(self.id)

    async def cancel(self) -> bool:
        """Keep the task from running if it has not started; return whether it will not run."""
        self._check_sent()
        if not _ID.fullmatch(self.id):
            return False
        if self.outbox is not None and await self.outbox.discard(self):
            return True
        return await self._backend.cancel(self.id)

    def _check_sent(self) -> None:
        if not self.pending:
            return
        if transactions.hooks.get() is not None:
            raise TaskQueueError(f'task {self.id} is sent when the transaction commits: ask for it after the block')
        raise UnknownTask(self.id)  # it was rolled back, or could not be sent after the commit


def seconds_of(timeout: object) -> float:
    """Return *timeout*, for which somebody waits, if it is a number of seconds; 0 and less are over at once."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f'timeout must be a number of seconds, or None for that of TASK_QUEUE, not {timeout!r}')
    if math.isnan(timeout):
        raise ValueError('timeout must be a number of seconds, not NaN')
    return timeout


def value_of(task_id: str, outcome: Outcome) -> Any:
    """Return the value of *outcome*. Raises TaskExecException or TaskCancelled if there is none."""
    if outcome.status is Status.SUCCEEDED:
        return outcome.value
    if outcome.failure is not None:
        raise TaskExecException(outcome.failure.type, outcome.failure.message, outcome.failure.traceback)
    raise TaskCancelled(task_id)
