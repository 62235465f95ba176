"""What services ask of the queue's file, without holding their event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, TypeVar

from colibris.taskqueue.base import Context
from colibris.taskqueue.embedded import looking, tasks
from colibris.taskqueue.embedded.bells import Bell
from colibris.taskqueue.embedded.journal import Operation
from colibris.taskqueue.embedded.queue import EmbeddedQueue
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Message, Status
from colibris.taskqueue.stats import Stats, TaskInfo
from colibris.taskqueue.stores.base import Notice, Store

T = TypeVar('T')

#: How often the file is looked at while somebody waits, in seconds: with a bell in case a ring was lost, and without.
_WITH_BELL = 0.5
_WITHOUT_BELL = 0.01


class EmbeddedStore(Store):
    """Keeps tasks in the file at *path*: it is broker and store in one.

    One thread reads and one writes, whatever number of calls there are.
    """

    leaves_after: ClassVar[float | None] = 1.0

    def __init__(self, path: Path) -> None:
        self._path = path

    def bind(self, context: Context) -> None:
        super().bind(context)
        self.path = (context.base_dir or Path.cwd()) / self._path.expanduser()
        self._queue: EmbeddedQueue | None = None
        self._readers: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        queue = EmbeddedQueue(self.path)
        self._readers = ThreadPoolExecutor(1, thread_name_prefix='colibris-tasks-reader')
        self._queue = queue
        await self._in_thread(queue.open)

    async def close(self) -> None:
        queue, self._queue = self._queue, None
        readers, self._readers = self._readers, None
        if queue is not None:
            await asyncio.to_thread(queue.close)
        if readers is not None:
            readers.shutdown(wait=False)

    async def check_health(self) -> None:
        await self._write(lambda session: None)

    async def add(self, message: Message, data: bytes, *, delay: float, channel: str | None) -> str:
        return await self._write(
            lambda session: tasks.add(session, self._namespace, message, data, delay=delay, channel=channel)
        )

    async def outcomes(self, task_ids: Sequence[str], channel: str | None = None) -> Mapping[str, bytes | None]:
        unheard = await self._read(lambda session: looking.unheard(session, task_ids)) if channel else []
        if channel and unheard:
            await self._opened().journal.write(lambda session: tasks.listen(session, unheard, channel))
        return await self._read(lambda session: looking.outcomes(session, task_ids))

    async def notifications(self, channel: str) -> AsyncGenerator[Notice, None]:
        bell = await self._in_thread(self._hang)
        try:
            last = await self._read(looking.last_ending)
            yield Notice()
            while True:
                await _rung(bell)
                since = last
                last, endings = await self._read(lambda session: looking.endings(session, since, channel))  # noqa: B023
                for task_id, outcome in endings:
                    yield Notice(task_id, outcome)
        finally:
            if bell is not None:
                bell.close()

    async def status(self, task_id: str) -> Status:
        return await self._read(lambda session: looking.status(session, task_id))

    async def cancel(self, task_id: str, outcome: bytes) -> bool:
        ending = tasks.Ending(Status.CANCELLED, outcome, self.context.policy.result_lifetime)
        return await self._write(lambda session: tasks.cancel(session, task_id, ending))

    async def stats(self) -> Stats:
        return await self._read(lambda session: looking.stats(session, self._namespace, self.context.policy))

    async def info(self, task_id: str) -> TaskInfo | None:
        return await self._read(lambda session: looking.info(session, self.context.codec, task_id))

    async def dead_letters(self, *, limit: int, offset: int) -> Sequence[TaskInfo]:
        return await self._read(
            lambda session: looking.dead_letters(session, self.context.codec, self._namespace, limit, offset)
        )

    async def dead_message(self, task_id: str) -> bytes | None:
        return await self._read(lambda session: looking.dead_message(session, self._namespace, task_id))

    async def revive(self, task_id: str, data: bytes) -> bool:
        return await self._write(lambda session: tasks.revive(session, self._namespace, task_id, data))

    async def purge_dead(self, task_ids: Sequence[str] | None) -> int:
        return await self._write(lambda session: tasks.purge_dead(session, self._namespace, task_ids))

    async def clear(self) -> None:
        await self._write(lambda session: tasks.clear(session, self._namespace))

    @property
    def _namespace(self) -> str:
        return self.context.namespace

    def _opened(self) -> EmbeddedQueue:
        if self._queue is None:
            raise TaskQueueUnavailable(f'the task queue {self.path} is not open in this process')
        return self._queue

    def _hang(self) -> Bell | None:
        bells = self._opened().bells
        bells.sweep(tasks.WAIT)
        return bells.hang(tasks.WAIT)

    async def _write(self, operation: Operation[T]) -> T:
        """Return what *operation* returns, once what it wrote has reached the disk."""
        return await self._opened().journal.write(operation, durable=True)

    async def _read(self, operation: Operation[T]) -> T:
        return await self._in_thread(lambda: self._opened().reader.read(operation))

    async def _in_thread(self, function: Callable[[], T]) -> T:
        self._opened()
        return await asyncio.get_running_loop().run_in_executor(self._readers, function)


async def _rung(bell: Bell | None) -> None:
    """Wait until the bell is rung, or it is time to look without."""
    if bell is None:
        await asyncio.sleep(_WITHOUT_BELL)
        return
    loop = asyncio.get_running_loop()
    rung = asyncio.Event()
    loop.add_reader(bell.fileno(), rung.set)
    try:
        async with asyncio.timeout(_WITH_BELL):
            await rung.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_reader(bell.fileno())
        bell.wait(0)
