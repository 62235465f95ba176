"""The transport of the embedded engine: the file is broker and store in one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from colibris.taskqueue.dramatiq.broker import TaskBroker
from colibris.taskqueue.dramatiq.transport import Transport
from colibris.taskqueue.embedded.broker import EmbeddedBroker
from colibris.taskqueue.embedded.store import EmbeddedStore
from colibris.taskqueue.messages import Message


class EmbeddedTransport(Transport):
    """Carries messages in the file at *path*."""

    store: EmbeddedStore

    def __init__(self, path: Path) -> None:
        self.store = EmbeddedStore(path)

    async def send(self, message: Message, data: bytes, *, delay: float, channel: str | None) -> str:
        return await self.store.add(message, data, delay=delay, channel=channel)

    async def revive(self, message: Message, data: bytes) -> bool:
        return await self.store.revive(message.id, data)

    def make_broker(self, worker_id: str, queues: Sequence[str], threads: int) -> TaskBroker:
        return EmbeddedBroker(self.store.path, self.context, worker_id, queues, threads)
