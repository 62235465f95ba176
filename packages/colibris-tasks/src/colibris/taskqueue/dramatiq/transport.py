"""The contract of a transport: the store and the broker of one engine that runs dramatiq's workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from colibris.taskqueue.base import Context
from colibris.taskqueue.messages import Message
from colibris.taskqueue.stores.base import Store

if TYPE_CHECKING:
    from colibris.taskqueue.dramatiq.broker import TaskBroker


class Transport(ABC):
    """Carries messages to workers. Methods without a word of their own behave as those of `TaskQueueBackend`."""

    #: Keeps what is known of the tasks; opened and closed by `DramatiqEngine`, before and after the transport.
    store: Store

    context: Context

    def bind(self, context: Context) -> None:
        """Take what the settings say; called once before `open`."""
        self.context = context
        self.store.bind(context)

    async def open(self) -> None:  # noqa: B027
        """Connect; raise TaskQueueUnavailable if that cannot be done."""

    async def close(self) -> None:  # noqa: B027
        """Release everything; may be called twice."""

    async def check_health(self) -> None:  # noqa: B027
        """Raise TaskQueueUnavailable if the broker cannot do its work; the store is asked beside."""

    async def clear(self) -> None:  # noqa: B027
        """Forget what lies in the broker, as the store does for what it knows. For tests."""

    @abstractmethod
    async def send(self, message: Message, data: bytes, *, delay: float, channel: str | None) -> str:
        """Accept a task as `TaskQueueBackend.send` does; *channel* is to hear how it ends."""

    @abstractmethod
    async def revive(self, message: Message, data: bytes) -> bool:
        """Queue a dead letter again, as *message*; return False if there is no such one."""

    @abstractmethod
    def make_broker(self, worker_id: str, queues: Sequence[str], threads: int) -> TaskBroker:
        """Return the broker of a worker process, with connections of its own. Called in the event loop: do not block.

        *queues* are those that this worker serves, none of them declared yet.
        """
