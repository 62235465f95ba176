"""What all engines share that run dramatiq's workers: they differ in their transport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from colibris.taskqueue.base import Context, TaskQueueBackend
from colibris.taskqueue.dramatiq.transport import Transport
from colibris.taskqueue.dramatiq.worker import DramatiqWorker
from colibris.taskqueue.messages import Message, Outcome, Status
from colibris.taskqueue.stats import Stats, TaskInfo, with_empty
from colibris.taskqueue.waiting import Waiting
from colibris.taskqueue.worker import WorkerProcess


class DramatiqEngine(TaskQueueBackend):
    """Sends by a *transport* and waits by its store."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._store = transport.store
        self._waiting: Waiting | None = None

    def bind(self, context: Context) -> None:
        super().bind(context)
        self.transport.bind(context)

    async def open(self) -> None:
        await self._store.open()
        await self.transport.open()
        self._waiting = Waiting(self._store)

    async def close(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await waiting.close()
        await self.transport.close()
        await self._store.close()

    async def check_health(self) -> None:
        await self._store.check_health()
        await self.transport.check_health()

    @property
    def waiting(self) -> Waiting:
        """What this process waits for; there while the engine is open."""
        if self._waiting is None:
            raise RuntimeError(f'{type(self).__name__} is not open')
        return self._waiting

    async def send(self, message: Message, data: bytes, *, delay: float = 0, awaited: bool = False) -> str:
        if not awaited:
            return await self.transport.send(message, data, delay=delay, channel=None)
        waiting = self.waiting
        try:
            await waiting.expect(message.id)
            task_id = await self.transport.send(message, data, delay=delay, channel=waiting.channel)
        except BaseException:
            waiting.forget(message.id)
            raise
        if task_id == message.id:
            waiting.sent(task_id)
        else:
            waiting.forget(message.id)
        return task_id

    async def wait(self, task_id: str) -> Outcome:
        return self.context.codec.decode_outcome(task_id, await self.waiting.wait(task_id))

    async def status(self, task_id: str) -> Status:
        return await self._store.status(task_id)

    async def cancel(self, task_id: str) -> bool:
        outcome = self.context.codec.encode_outcome(task_id, Outcome(Status.CANCELLED))
        return await self._store.cancel(task_id, outcome)

    async def stats(self) -> Stats:
        stats = await self._store.stats()
        return replace(stats, queues=with_empty(self.context.policy.queues, stats.queues))

    async def dead_letters(self, *, limit: int = 100, offset: int = 0) -> Sequence[TaskInfo]:
        return await self._store.dead_letters(limit=limit, offset=offset)

    async def info(self, task_id: str) -> TaskInfo | None:
        return await self._store.info(task_id)

    async def retry_dead(self, task_id: str) -> bool:
        data = await self._store.dead_message(task_id)
        if data is None:
            return False
        message = replace(self.context.codec.decode(data), attempt=0)
        return await self.transport.revive(message, self.context.codec.encode(message))

    async def purge_dead(self, task_ids: Sequence[str] | None = None) -> int:
        return await self._store.purge_dead(task_ids)

    async def clear(self) -> None:
        await self.transport.clear()
        await self._store.clear()

    def make_worker(self, *, threads: int, queues: Sequence[str]) -> WorkerProcess:
        return DramatiqWorker(self.context, self.transport, threads=threads, queues=queues)
