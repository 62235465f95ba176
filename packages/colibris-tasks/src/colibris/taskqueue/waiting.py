"""Waiting for tasks in one process: one subscription serves any number of calls."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable
from contextlib import aclosing, suppress

from colibris.taskqueue.cancelling import cancel
from colibris.taskqueue.errors import TaskQueueUnavailable, UnknownTask
from colibris.taskqueue.stores.base import Notice, Store

logger = logging.getLogger(__name__)

#: The pauses before the subscription is made anew while the store is away, in seconds.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
#: How many tasks are asked for at once.
_BATCH = 200


class Waiting:
    """Knows which tasks this process waits for, and hands their outcomes, encoded, to whoever waits."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: The name under which the store tells this process how tasks end.
        self.channel = secrets.token_hex(8)
        self._futures: dict[str, asyncio.Future[bytes]] = {}
        self._waiters: dict[str, int] = {}
        self._sending: set[str] = set()
        self._listener: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        self._leaving: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._futures)

    async def close(self) -> None:
        """End the subscription; calls that still wait are told that the queue is closed."""
        if self._leaving is not None:
            self._leaving.cancel()
        await self._stop_listening()
        for task_id in list(self._futures):
            self._fail(task_id, TaskQueueUnavailable('the task queue was closed while a call waited for a task'))
        self._futures.clear()

    async def expect(self, task_id: str) -> None:
        """Get ready for a task that is sent next, with `channel`; call `sent` or `forget` after.

        Returns after a moment if the store is away: it is asked for the outcome once it is back.
        """
        self._sending.add(task_id)
        self._future(task_id)
        self._listen()
        if not self._listening.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_PAUSE):
                    await self._listening.wait()

    def sent(self, task_id: str) -> None:
        """Tell that a task that was expected is on its way."""
        self._sending.discard(task_id)

    def forget(self, task_id: str) -> None:
        """Tell that nobody will wait for a task that was expected."""
        self._sending.discard(task_id)
        if task_id not in self._waiters:
            self._futures.pop(task_id, None)

    async def wait(self, task_id: str) -> bytes:
        """Return the outcome of a task once there is one. Raises UnknownTask."""
        told = task_id in self._futures
        future = self._future(task_id)
        self._waiters[task_id] = self._waiters.get(task_id, 0) + 1
        self._listen()
        try:
            if not told:
                with suppress(TaskQueueUnavailable):  # it is asked for again once the store is back
                    await self._ask([task_id])
            return await asyncio.shield(future)
        finally:
            self._waiters[task_id] -= 1
            if not self._waiters[task_id]:
                del self._waiters[task_id]
                self._futures.pop(task_id, None)
                self._leave_later()

    def _future(self, task_id: str) -> asyncio.Future[bytes]:
        future = self._futures.get(task_id)
        if future is None:
            future = self._futures[task_id] = asyncio.get_running_loop().create_future()
        return future

    def _listen(self) -> None:
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._keep_listening(), name='colibris.taskqueue.waiting')

    async def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        self._listening.clear()
        if listener is not None:
            await cancel(listener)

    def _leave_later(self) -> None:
        """Stop listening after a while without anybody who waits, where listening costs something."""
        if self._store.leaves_after is None or self._futures or self._leaving is not None:
            return
        self._leaving = asyncio.get_running_loop().call_later(self._store.leaves_after, self._leave)

    def _leave(self) -> None:
        self._leaving = None
        if not self._futures and self._listener is not None:
            self._listener.cancel()
            self._listener = None
            self._listening.clear()

    async def _ask(self, task_ids: Iterable[str]) -> None:
        """Ask the store for tasks that are waited for, and have it tell `channel` of those that have not finished."""
        asked = list(task_ids)
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            found = await self._store.outcomes(batch, self.channel)
            for task_id in batch:
                outcome = found.get(task_id)
                if outcome is not None:
                    self._finish(task_id, outcome)
                elif task_id not in found and task_id not in self._sending:
                    self._fail(task_id, UnknownTask(task_id))

    def _finish(self, task_id: str, outcome: bytes) -> None:
        future = self._futures.get(task_id)
        if future is not None and not future.done():
            future.set_result(outcome)

    def _fail(self, task_id: str, error: Exception) -> None:
        future = self._futures.get(task_id)
        if future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # nobody may be there any more to look at it

    async def _keep_listening(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                async with aclosing(self._store.notifications(self.channel)) as notices:
                    async for notice in notices:
                        pause = _FIRST_PAUSE
                        await self._hear(notice)
            except TaskQueueUnavailable as exc:
                logger.warning('the task queue cannot be reached, results wait until it is back: %s', exc)
            except Exception:
                logger.exception('listening for the results of tasks failed; it begins anew')
            self._listening.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _hear(self, notice: Notice) -> None:
        if notice.task_id is None:
            await self._ask(task_id for task_id, future in list(self._futures.items()) if not future.done())
            self._listening.set()
        elif notice.outcome is not None:
            self._finish(notice.task_id, notice.outcome)
        elif notice.task_id in self._futures:
            await self._ask([notice.task_id])
