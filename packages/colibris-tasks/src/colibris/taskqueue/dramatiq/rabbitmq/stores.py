"""The store beside RabbitMQ: on Redis, or in the project's database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from importlib.util import find_spec

from colibris.taskqueue.base import Context
from colibris.taskqueue.dramatiq.rabbitmq.bell import RabbitBell
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.stores.base import Notice, Store, WorkerStore
from colibris.taskqueue.stores.bell import Bell

DATABASE = 'database'


class AttachedBell:
    """Stands in for a bell that there is only while the transport is open."""

    def __init__(self) -> None:
        self._bell: RabbitBell | None = None

    def attach(self, bell: RabbitBell) -> None:
        self._bell = bell

    def detach(self) -> None:
        self._bell = None

    def ring(self, channel: str, task_id: str, outcome: bytes | None) -> None:
        if self._bell is not None:
            self._bell.ring(channel, task_id, outcome)

    def arrived(self, task_id: str) -> None:
        """Tell that a task has ended, as the store has told."""
        if self._bell is not None:
            self._bell.arrived(task_id)

    def listen(self, channels: Sequence[str]) -> AsyncGenerator[Notice, None]:
        if self._bell is None:
            raise TaskQueueUnavailable('the task queue is not open')
        return self._bell.listen(channels)


class StoreBeside(ABC):
    """A store, and what makes its other side in a worker."""

    store: Store
    bell: AttachedBell

    @abstractmethod
    def make_worker_store(self, context: Context, bell: Bell) -> WorkerStore:
        """Return the side of a worker process, which rings *bell*."""


class DatabaseBeside(StoreBeside):
    """In the project's database; services hear through RabbitMQ."""

    def __init__(self) -> None:
        if find_spec('colibris.persist') is None:
            raise ValueError("store is 'database', which needs colibris-persist: pip install colibris-persist")
        from colibris.taskqueue.stores.database import DatabaseStore

        self.bell = AttachedBell()
        self.store = DatabaseStore(self.bell)

    def make_worker_store(self, context: Context, bell: Bell) -> WorkerStore:
        from colibris.taskqueue.stores.database_worker import DatabaseWorkerStore

        return DatabaseWorkerStore(context, bell)


class RedisBeside(StoreBeside):
    """On a Redis server, which tells services itself."""

    def __init__(self, url: str, timeout: float) -> None:
        from colibris.taskqueue.dramatiq.rabbitmq.redis_store import SharedRedisStore
        from colibris.taskqueue.stores.redis_server import RedisServer

        try:
            self._server = RedisServer(url=url, timeout=timeout)
        except ValueError as exc:
            raise ValueError(f'store: {exc}') from exc
        self.bell = AttachedBell()
        self.store = SharedRedisStore(self._server, timeout, self.bell.arrived)

    def make_worker_store(self, context: Context, bell: Bell) -> WorkerStore:
        from colibris.taskqueue.stores.redis import RedisWorkerStore

        return RedisWorkerStore(self._server, context)


def store_of(option: str, *, timeout: float) -> StoreBeside:
    """Return the store that the option names: the URL of a Redis server, or ``'database'``. Raises ValueError."""
    if option == DATABASE:
        return DatabaseBeside()
    if isinstance(option, str) and option.partition('://')[0] in ('redis', 'rediss', 'unix'):
        return RedisBeside(option, timeout)
    raise ValueError(
        f"store must be 'database', or the URL of a Redis server such as redis://127.0.0.1:6379/0, not {option!r}"
    )
