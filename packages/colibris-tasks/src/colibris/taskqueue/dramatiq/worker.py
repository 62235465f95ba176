"""One worker process: dramatiq's worker on a broker of ours."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Sequence

import dramatiq
from dramatiq.common import iter_queue

from colibris.taskqueue.base import Context
from colibris.taskqueue.dramatiq.broker import Task, TaskBroker
from colibris.taskqueue.dramatiq.transport import Transport
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.limits import Watchdog
from colibris.taskqueue.messages import Message, new_id
from colibris.taskqueue.running import Runner
from colibris.taskqueue.worker import WorkerProcess

logger = logging.getLogger(__name__)

#: How often idle threads look whether they are to end, in milliseconds.
_IDLE = 500
#: The exit code of a process that ends because a task in it hangs.
EXIT_HUNG = 75


class DramatiqWorker(WorkerProcess):
    """Runs the tasks of *queues* in *threads* threads, on the broker of *transport*."""

    def __init__(self, context: Context, transport: Transport, *, threads: int, queues: Sequence[str]) -> None:
        self._policy = context.policy
        self._broker: TaskBroker = transport.make_broker(new_id(), queues, threads)
        self._watchdog = Watchdog(context.policy.grace, self._on_hung)
        self._runner = Runner(context, asyncio.get_running_loop(), self._watchdog)
        self._worker = dramatiq.Worker(self._broker, worker_timeout=_IDLE, worker_threads=threads)
        self._queues = queues
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name='colibris.taskqueue.beat', daemon=True)

    async def start(self) -> None:
        await asyncio.to_thread(self._broker.open)
        self._watchdog.start()
        self._beating.start()
        self._broker.start(self._runner)
        for queue in self._queues:
            self._broker.declare_queue(queue)
        self._worker.start()

    async def stop(self) -> None:
        """Take nothing more, wait for what runs, and put back what does not finish in time."""
        self._broker.stopping.set()
        for thread in self._worker.workers:
            thread.stop()
        await asyncio.to_thread(self._put_back)
        limit = round(self._policy.shutdown_timeout * 1000)
        await asyncio.to_thread(self._worker.stop, limit)
        if self._broker.running:
            names = ', '.join(self._broker.running)
            logger.warning('put back, as it did not finish within %g s: %s', self._policy.shutdown_timeout, names)
        await asyncio.to_thread(self._broker.abandon)
        self._ended.set()
        await self._runner.cancel_all()
        self._watchdog.close()
        await asyncio.to_thread(self._beating.join, 1.0)
        await asyncio.to_thread(self._broker.close)

    @property
    def is_busy(self) -> bool:
        return bool(self._broker.running)

    def _put_back(self) -> None:
        """Give to others what was taken and not begun."""
        tasks = [item.message for item in iter_queue(self._worker.work_queue)]  # type: ignore[no-untyped-call]
        try:
            self._broker.put_back([task for task in tasks if isinstance(task, Task)])
        except TaskQueueUnavailable as exc:
            logger.warning('%d tasks are put back when this worker ends: %s', len(tasks), exc)

    def _beat(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            try:
                pause = self._broker.beat()
            except TaskQueueUnavailable as exc:
                logger.warning('no sign of life could be given: %s', exc)
                pause = 1.0
            except Exception:
                logger.exception('the maintenance of the task queue failed')
                pause = 1.0

    def _on_hung(self, message: Message) -> None:
        """End this process, as a thread of it cannot be ended; the supervisor starts another."""
        task = self._broker.running.get(message.id)
        if task is None:
            return
        self._broker.give_up(task, self._runner.hung(message))
        logging.shutdown()
        os._exit(EXIT_HUNG)
