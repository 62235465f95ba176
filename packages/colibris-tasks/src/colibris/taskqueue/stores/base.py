"""The contracts of a store: what services ask it, in their event loop, and what workers tell it, from their threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from colibris.taskqueue.base import Context
from colibris.taskqueue.messages import Message, Status
from colibris.taskqueue.stats import Stats, TaskInfo, WorkerInfo


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one try of a task ended.

    *status* is SUCCEEDED, FAILED or CANCELLED, with *outcome*, encoded; or DELAYED: the task is to be tried again after
    *delay* seconds, as *message*, encoded.
    """

    task_id: str
    status: Status
    outcome: bytes | None = None
    message: bytes | None = None
    delay: float = 0.0
    unique_key: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a store says unasked. Without *task_id*: it listens from now on, earlier notices may be missed.

    *outcome* is what a finished task came to, encoded; None if it is to be fetched by `Store.outcomes`.
    """

    task_id: str | None = None
    outcome: bytes | None = None


class Store(ABC):
    """Keeps what is known of tasks; the side of services and commands.

    Methods are called in the event loop and do not hold it. While the store is away they raise TaskQueueUnavailable,
    within seconds. Records of finished tasks are kept for ``policy.result_lifetime`` seconds, of those that FAILED for
    ``policy.dead_lifetime``. Time is the store's own clock wherever processes must agree on it.
    """

    #: `notifications` is left after so many seconds without anybody waiting; None: it costs nothing to stay.
    leaves_after: ClassVar[float | None] = None

    context: Context

    def bind(self, context: Context) -> None:
        """Take what the settings say; called once before `open`."""
        self.context = context

    @abstractmethod
    async def open(self) -> None:
        """Connect; raise TaskQueueUnavailable if that cannot be done."""

    @abstractmethod
    async def close(self) -> None:
        """Release everything; may be called twice."""

    @abstractmethod
    async def check_health(self) -> None:
        """Raise TaskQueueUnavailable if the store cannot do its work at the moment."""

    @abstractmethod
    async def add(self, message: Message, data: bytes, *, delay: float, channel: str | None) -> str:
        """Record a task as QUEUED, or DELAYED, and return the id under which it is known.

        It is another's id if an unfinished task holds the same ``unique_key``; then nothing is recorded. An id that is
        known already stays as it is. *channel* is to hear how the task ends. For engines whose broker is apart from
        the store; others record and queue in one step.
        """

    async def confirm(self, task_ids: Sequence[str]) -> None:  # noqa: B027
        """Tell that tasks which were added are in the broker; until then their records are provisional.

        A provisional record is forgotten after some minutes: who added it has died before the broker had the message.
        For engines whose broker is apart from the store.
        """

    async def forget(self, task_id: str) -> None:  # noqa: B027
        """Forget a task that was added and did not come to the broker; its unique key is free."""

    @abstractmethod
    async def outcomes(self, task_ids: Sequence[str], channel: str | None = None) -> Mapping[str, bytes | None]:
        """Return the encoded outcomes of tasks: None if a task has not finished, no entry if nothing is known of it.

        *channel* is to hear how those end that have not finished; no ending falls between the answer and the hearing.
        """

    @abstractmethod
    def notifications(self, channel: str) -> AsyncGenerator[Notice, None]:
        """Listen to *channel*: yield a Notice without a task once it listens, then one for each task that finishes.

        Raises TaskQueueUnavailable when the connection is lost; the caller begins anew. It is one connection.
        """

    @abstractmethod
    async def status(self, task_id: str) -> Status:
        """Return where the task stands; UNKNOWN if nothing is known of it."""

    @abstractmethod
    async def cancel(self, task_id: str, outcome: bytes) -> bool:
        """Finish a task as CANCELLED, with *outcome*, if it is QUEUED or DELAYED; return whether it is CANCELLED now.

        Who waits for it is told, and its unique key is free.
        """

    @abstractmethod
    async def stats(self) -> Stats:
        """Return what is going on."""

    @abstractmethod
    async def info(self, task_id: str) -> TaskInfo | None:
        """Return what is known of a task, None if nothing is."""

    @abstractmethod
    async def dead_letters(self, *, limit: int, offset: int) -> Sequence[TaskInfo]:
        """Return the tasks that FAILED, the newest first."""

    @abstractmethod
    async def dead_message(self, task_id: str) -> bytes | None:
        """Return the encoded message of a dead letter, None if there is no such one."""

    @abstractmethod
    async def revive(self, task_id: str, data: bytes) -> bool:
        """Make a dead letter QUEUED again, with the message *data*; return False if there is no such one.

        Engines whose broker is apart publish it after; others queue it in this one step.
        """

    @abstractmethod
    async def purge_dead(self, task_ids: Sequence[str] | None) -> int:
        """Forget dead letters, all of them or those of *task_ids*; return how many there were."""

    @abstractmethod
    async def clear(self) -> None:
        """Forget everything of this namespace. For tests."""


class WorkerStore(ABC):
    """Keeps what is known of tasks; the side of one worker process.

    Methods are called from several threads at once, never in the event loop, and may block for up to some seconds.
    While the store is away they raise TaskQueueUnavailable; the worker tries again.
    """

    @abstractmethod
    def open(self) -> None:
        """Connect."""

    @abstractmethod
    def close(self) -> None:
        """Release everything; may be called twice."""

    @abstractmethod
    def begin(self, task_id: str, worker_id: str, queue: str, data: bytes) -> tuple[Status, int]:
        """Make a task RUNNING in this worker; return where it stands now, and how often a worker died of it.

        RUNNING: go on. CANCELLED, SUCCEEDED or FAILED: it has finished, drop the message. QUEUED: it runs in another
        worker, which is alive; this copy is to be looked at later. A task that was RUNNING in a worker that is silent
        has lost it, which is counted. Nothing known (a message that outlived its record): it is recorded with *queue*
        and the message *data*, and RUNNING.
        """

    @abstractmethod
    def settle(self, settlement: Settlement) -> None:
        """Record how a try ended: state, outcome, dead letter, unique key, and tell the channels that are to hear it.

        Once it returns that is kept. A task that has finished stays as it is: calling twice does no harm, and of two
        workers that ran the same task the first to finish counts. A further try (DELAYED) counts only while the task
        is RUNNING in this worker.
        """

    @abstractmethod
    def beat(self, worker: WorkerInfo) -> None:
        """Tell that the worker is alive; called every third of ``policy.worker_timeout``."""

    @abstractmethod
    def leave(self, worker_id: str) -> None:
        """Tell that the worker has ended: what is RUNNING in it is QUEUED again, without a loss."""
