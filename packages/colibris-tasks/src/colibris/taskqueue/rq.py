"""Tasks on RQ: for those who have it. One task at a time in each worker process, and none of the finer things."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

from redis import exceptions
from rq import Queue, Worker
from rq.exceptions import DuplicateJobError, InvalidJobOperation
from rq.job import JobStatus

from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.cancelling import cancel
from colibris.taskqueue.errors import InvalidMessage, TaskQueueUnavailable, UnknownTask
from colibris.taskqueue.messages import Failure, Message, Outcome, Status
from colibris.taskqueue.rq_jobs import FUNCTION, JobRunner, Serializer, TaskJob, job_class
from colibris.taskqueue.stats import QueueStats, Stats, WorkerInfo
from colibris.taskqueue.stores.redis_server import AWAY, RedisServer

T = TypeVar('T')

#: How RQ's words translate; FINISHED is told by the outcome.
_STATUS = {
    JobStatus.CREATED: Status.QUEUED,
    JobStatus.QUEUED: Status.QUEUED,
    JobStatus.STARTED: Status.RUNNING,
    JobStatus.FAILED: Status.FAILED,
    JobStatus.STOPPED: Status.FAILED,
    JobStatus.CANCELED: Status.CANCELLED,
}


class RQBackend(TaskQueueBackend):
    """Tasks on RQ, on the Redis server that *host*, *port*, *db*, *username* and *password* name, or *url*.

    Results are asked for every *poll_results_interval* seconds, once for all calls that wait. *tls*, *ca_file* and
    *timeout* are those of the engine ``dramatiq``.
    """

    supports_delay: ClassVar[bool] = False
    supports_retries: ClassVar[bool] = False
    supports_unique: ClassVar[bool] = False
    supports_dead_letters: ClassVar[bool] = False
    supports_schedule: ClassVar[bool] = False
    supports_outbox: ClassVar[bool] = False  # RQ's own worker has no place for what delivers from it
    owns_worker: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        timeout: float = 5.0,
        poll_results_interval: float = 0.05,
    ) -> None:
        number = isinstance(poll_results_interval, int | float) and not isinstance(poll_results_interval, bool)
        if not number or not 0 < poll_results_interval < math.inf:
            raise ValueError(
                f'poll_results_interval must be a positive number of seconds, not {poll_results_interval!r}'
            )
        self._server = RedisServer(
            url=url,
            host=host,
            port=port,
            db=db,
            username=username,
            password=password,
            tls=tls,
            ca_file=ca_file,
            timeout=timeout,
        )
        self._interval = poll_results_interval
        self._redis = self._server.connect_thread()
        self._thread: ThreadPoolExecutor | None = None
        self._futures: dict[str, asyncio.Future[Outcome]] = {}
        self._polling: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(1, 'colibris.taskqueue.rq')
        await self.check_health()

    async def close(self) -> None:
        polling, self._polling = self._polling, None
        if polling is not None:
            await cancel(polling)
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown, cancel_futures=True)
        self._redis.close()

    async def check_health(self) -> None:
        await self._do(self._redis.ping)

    async def _do(self, action: Callable[..., T], *arguments: Any) -> T:
        """Run *action* in the thread that speaks to Redis."""
        if self._thread is None:
            raise TaskQueueUnavailable('the task queue is not open')
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, action, *arguments)
        except AWAY as exc:
            raise TaskQueueUnavailable(f'Redis at {self._server}: {exc or type(exc).__name__}') from exc

    def _queue(self, name: str) -> Queue:
        full = f'{self.context.namespace}.{name}'
        return Queue(full, connection=self._redis, serializer=Serializer, job_class=TaskJob)

    async def send(self, message: Message, data: bytes, *, delay: float = 0, awaited: bool = False) -> str:
        await self._do(self._send, message, data)
        return message.id

    def _send(self, message: Message, data: bytes) -> None:
        policy = self.context.policy
        job = TaskJob.create(
            FUNCTION,
            args=(data,),
            id=message.id,
            connection=self._redis,
            serializer=Serializer,
            description=message.function,
            timeout=-1 if message.time_limit is None else math.ceil(message.time_limit),
            result_ttl=math.ceil(policy.result_lifetime),
            failure_ttl=math.ceil(policy.dead_lifetime),
        )
        try:
            self._queue(message.queue).enqueue_job(job, unique=True)
        except DuplicateJobError:
            return

    async def wait(self, task_id: str) -> Outcome:
        future = self._futures.get(task_id)
        if future is None:
            future = self._futures[task_id] = asyncio.get_running_loop().create_future()
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll(), name='colibris.taskqueue.rq')
        try:
            return await asyncio.shield(future)
        finally:
            if future.done() or future.cancelled():
                self._futures.pop(task_id, None)

    async def _poll(self) -> None:
        """Ask for all tasks that are waited for, until there are none."""
        while self._futures:
            waited = list(self._futures)
            try:
                found = await self._do(self._outcomes, waited)
            except TaskQueueUnavailable:
                found = {}
            for task_id, outcome in found.items():
                future = self._futures.pop(task_id, None) if outcome is not None else None
                if future is None or future.done():
                    continue
                if isinstance(outcome, Outcome):
                    future.set_result(outcome)
                elif outcome is not None:
                    future.set_exception(outcome)
                    future.exception()
            await asyncio.sleep(self._interval)

    def _outcomes(self, task_ids: Sequence[str]) -> dict[str, Outcome | Exception | None]:
        jobs = TaskJob.fetch_many(task_ids, self._redis, serializer=Serializer)
        found: dict[str, Outcome | Exception | None] = {}
        for task_id, job in zip(task_ids, jobs, strict=True):
            try:
                found[task_id] = UnknownTask(task_id) if job is None else self._outcome(job)
            except InvalidMessage as exc:
                found[task_id] = exc
        return found

    def _outcome(self, job: Any) -> Outcome | None:
        """Return how *job* ended, None if it has not."""
        status = job.get_status(refresh=False)
        if status is JobStatus.FINISHED:
            value = job.return_value()
            if not isinstance(value, bytes):
                raise InvalidMessage(f'the result of task {job.id} was not made by this project')
            return self.context.codec.decode_outcome(job.id, value)
        translated = _STATUS.get(status, Status.QUEUED)
        if translated is Status.CANCELLED:
            return Outcome(Status.CANCELLED)
        if translated is not Status.FAILED:
            return None
        result = job.latest_result()
        text = (result.exc_string if result is not None else None) or 'the process that ran the task was ended'
        kind, _, said = text.strip().rpartition('\n')[2].partition(':')
        if ' ' in kind:
            kind, said = 'WorkerLost', text.strip().rpartition('\n')[2]
        return Outcome(Status.FAILED, None, Failure(kind, said.strip(), text))

    async def status(self, task_id: str) -> Status:
        return await self._do(self._status, task_id)

    def _status(self, task_id: str) -> Status:
        (job,) = TaskJob.fetch_many([task_id], self._redis, serializer=Serializer)
        if job is None:
            return Status.UNKNOWN
        status = job.get_status(refresh=False)
        outcome = self._outcome(job) if status is JobStatus.FINISHED else None
        return outcome.status if outcome is not None else _STATUS.get(status, Status.QUEUED)

    async def cancel(self, task_id: str) -> bool:
        return await self._do(self._cancel, task_id)

    def _cancel(self, task_id: str) -> bool:
        (job,) = TaskJob.fetch_many([task_id], self._redis, serializer=Serializer)
        if job is not None and job.get_status(refresh=False) is JobStatus.QUEUED:
            try:
                job.cancel()
            except (InvalidJobOperation, exceptions.WatchError):
                return False
        return self._status(task_id) is Status.CANCELLED

    async def stats(self) -> Stats:
        return await self._do(self._stats)

    def _stats(self) -> Stats:
        queues = [self._queue(name) for name in self.context.policy.queues]
        found = {worker.name: worker for queue in queues for worker in Worker.all(queue=queue)}
        now = datetime.now(UTC)
        return Stats(
            tuple(
                QueueStats(name, queue.count, self._oldest(queue, now))
                for name, queue in zip(self.context.policy.queues, queues, strict=True)
            ),
            delayed=0,
            running=sum(queue.started_job_registry.get_job_count(cleanup=False) for queue in queues),
            dead=0,
            workers=tuple(self._worker(worker, now) for worker in found.values()),
        )

    @staticmethod
    def _oldest(queue: Queue, now: datetime) -> float | None:
        jobs = queue.get_jobs(0, 1)
        return (now - jobs[0].enqueued_at).total_seconds() if jobs and jobs[0].enqueued_at else None

    def _worker(self, worker: Any, now: datetime) -> WorkerInfo:
        seen = (now - worker.last_heartbeat).total_seconds() if worker.last_heartbeat else 0.0
        prefix = f'{self.context.namespace}.'
        queues = tuple(name.removeprefix(prefix) for name in worker.queue_names())
        return WorkerInfo(worker.name, worker.hostname or '', worker.pid or 0, 1, queues, seen)

    async def clear(self) -> None:
        await self._do(self._clear)

    def _clear(self) -> None:
        for name in self.context.policy.queues:
            queue = self._queue(name)
            registries = (queue.started_job_registry, queue.finished_job_registry, queue.failed_job_registry)
            for registry in (*registries, queue.canceled_job_registry):
                for task_id in registry.get_job_ids(cleanup=False):
                    registry.remove(task_id, delete_job=True)
            queue.delete(delete_jobs=True)

    def run_worker(self, queues: Sequence[str], on_working: Callable[[], None]) -> None:
        run = JobRunner(self.context).outcome
        names = [f'{self.context.namespace}.{name}' for name in queues]
        worker = Worker(names, connection=self._redis, serializer=Serializer, job_class=job_class(run))
        on_working()
        worker.work(logging_level='WARNING')
