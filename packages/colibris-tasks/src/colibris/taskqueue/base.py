"""The contract of an engine: what every backend of TASK_QUEUE does, and what it may leave out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from colibris.subsystems import Backend
from colibris.taskqueue.errors import Unsupported
from colibris.taskqueue.functions import Functions
from colibris.taskqueue.messages import Codec, Message, Outcome, Status
from colibris.taskqueue.policy import Policy
from colibris.taskqueue.stats import Stats, TaskInfo

if TYPE_CHECKING:
    from colibris.taskqueue.worker import WorkerProcess


@dataclass(frozen=True, slots=True)
class Context:
    """What an engine is given beside its own options."""

    policy: Policy
    codec: Codec
    functions: Functions
    #: Keeps the names of one application apart from those of others: ``shopfloor``, ``test_gw0_shopfloor``.
    namespace: str
    #: Where relative paths begin: the folder that holds the project's package.
    base_dir: Path


class TaskQueueBackend(Backend):
    """Takes tasks and tells what became of them; all methods are called in the event loop and must not hold it.

    The constructor takes the engine's own options only; `bind` is called once before `open`. While its server is
    away, every method raises TaskQueueUnavailable, within seconds.
    """

    #: What an engine can do; the façade refuses what it cannot, naming the engine.
    supports_delay: ClassVar[bool] = True
    supports_retries: ClassVar[bool] = True
    supports_cancel: ClassVar[bool] = True
    supports_unique: ClassVar[bool] = True
    supports_dead_letters: ClassVar[bool] = True
    supports_schedule: ClassVar[bool] = True
    supports_outbox: ClassVar[bool] = True
    #: Whether `manage.py runworker` runs its tasks; `immediate` needs no worker.
    has_worker: ClassVar[bool] = True

    #: Whether `run_worker` runs its tasks instead of `make_worker`; nothing of the project is open around it.
    owns_worker: ClassVar[bool] = False

    context: Context

    @classmethod
    def model_modules(cls, options: Mapping[str, object]) -> tuple[str, ...]:
        """Return the import paths of the models that the engine needs with these *options* of its own."""
        return ()

    def bind(self, context: Context) -> None:
        """Take what the settings say to all engines; nothing is opened yet."""
        self.context = context

    @abstractmethod
    async def send(self, message: Message, data: bytes, *, delay: float = 0, awaited: bool = False) -> str:
        """Accept a task: *data* is *message*, encoded. When this returns, it will not be lost. Return its id.

        A message whose id was accepted before is not taken again: the outbox and the schedule send twice at times. If
        an unfinished task has the same ``unique_key``, nothing is sent and the id of that one returned. *delay* is in
        seconds. *awaited* tells that `wait` will be called for it by this process. Raises TaskQueueUnavailable.
        """

    @abstractmethod
    async def wait(self, task_id: str) -> Outcome:
        """Wait until the task has finished and return how, for as long as it takes; the caller sets the limit.

        Raises UnknownTask. An outage does not end it: what finished meanwhile is found.
        """

    @abstractmethod
    async def status(self, task_id: str) -> Status:
        """Return where the task stands; UNKNOWN if nothing is known of it."""

    @abstractmethod
    async def cancel(self, task_id: str) -> bool:
        """Keep a task from running that has not started; return whether it will not run."""

    @abstractmethod
    async def stats(self) -> Stats:
        """Return what is going on."""

    async def dead_letters(self, *, limit: int = 100, offset: int = 0) -> Sequence[TaskInfo]:
        """Return the tasks that failed for good, the newest first."""
        raise Unsupported(f'{type(self).__name__} keeps no list of dead letters')

    async def info(self, task_id: str) -> TaskInfo | None:
        """Return what is known of a task, None if nothing is."""
        raise Unsupported(f'{type(self).__name__} does not tell about single tasks')

    async def retry_dead(self, task_id: str) -> bool:
        """Queue a dead letter again, under its id and with all its retries; return False if there is no such one."""
        raise Unsupported(f'{type(self).__name__} keeps no list of dead letters')

    async def purge_dead(self, task_ids: Sequence[str] | None = None) -> int:
        """Forget dead letters, all of them or those of *task_ids*; return how many there were."""
        raise Unsupported(f'{type(self).__name__} keeps no list of dead letters')

    async def clear(self) -> None:
        """Forget everything of this namespace: what waits, what is known, what failed. For tests."""
        raise Unsupported(f'{type(self).__name__} cannot be cleared')

    def make_worker(self, *, threads: int, queues: Sequence[str]) -> WorkerProcess:
        """Return what runs tasks in this process; *queues* is empty for all of them."""
        raise Unsupported(f'{type(self).__name__} has no workers')

    def run_worker(self, queues: Sequence[str], on_working: Callable[[], None]) -> None:
        """Run tasks in this process until SIGTERM, for engines that own their workers; called in the main thread."""
        raise Unsupported(f'{type(self).__name__} has no workers of its own')
