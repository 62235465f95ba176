"""The state of tasks on a Redis server, from version 6.2 on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress

from colibris.taskqueue.base import Context
from colibris.taskqueue.errors import InvalidMessage, TaskQueueUnavailable
from colibris.taskqueue.messages import Codec, Message, Status
from colibris.taskqueue.policy import Policy
from colibris.taskqueue.stats import QueueStats, Stats, TaskInfo, WorkerInfo
from colibris.taskqueue.stores import redis_scripts as scripts
from colibris.taskqueue.stores.base import Notice, Settlement, Store, WorkerStore
from colibris.taskqueue.stores.redis_link import RedisLink
from colibris.taskqueue.stores.redis_server import AWAY, RedisServer
from colibris.taskqueue.stores.redis_thread import RedisThread

_ID = 32
#: How often a silent subscription is asked whether it is still there, in seconds.
_PING = 10.0
#: How many dead letters are forgotten in one step.
_PURGE = 1000


def prefix_of(context: Context) -> str:
    """Return what the names of all keys begin with."""
    return f'{context.namespace}:tasks:'


def milliseconds(seconds: float) -> int:
    """Return a time as Redis takes it."""
    return min(max(0, round(seconds * 1000)), 2**52)


class RedisStore(Store):
    """Keeps state on a Redis server. *apart*: messages wait in another broker, not on this server."""

    def __init__(self, server: RedisServer, *, apart: bool) -> None:
        self._server = server
        self._apart = int(apart)
        self._link: RedisLink | None = None

    @property
    def link(self) -> RedisLink:
        """The connection; there while the store is open."""
        if self._link is None:
            raise TaskQueueUnavailable('the store of the task queue is not open')
        return self._link

    async def open(self) -> None:
        self._link = RedisLink(self._server, prefix_of(self.context))
        await self._link.ping()

    async def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def check_health(self) -> None:
        await self.link.run('return 1')

    async def add(self, message: Message, data: bytes, *, delay: float, channel: str | None) -> str:
        arguments = (message.id, data, message.queue, message.unique_key or '', milliseconds(delay), channel or '')
        answer: bytes = await self.link.run(scripts.ADD, *arguments, self._apart)
        return answer.decode()

    async def confirm(self, task_ids: Sequence[str]) -> None:
        await self.link.run(scripts.CONFIRM, *task_ids)

    async def forget(self, task_id: str) -> None:
        await self.link.run(scripts.FORGET, task_id)

    async def outcomes(self, task_ids: Sequence[str], channel: str | None = None) -> Mapping[str, bytes | None]:
        answers = await self.link.run(scripts.OUTCOMES, channel or '', *task_ids)
        found = zip(task_ids, answers, strict=True)
        return {task_id: answer or None for task_id, answer in found if answer is not None}

    async def notifications(self, channel: str) -> AsyncGenerator[Notice, None]:
        client = self._server.connect()
        try:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe(f'{prefix_of(self.context)}c:{channel}')
                pinged = False
                while True:
                    message = await pubsub.get_message(timeout=_PING)
                    if message is None:
                        if pinged:
                            raise TaskQueueUnavailable(f'Redis at {self._server} does not answer any more')
                        await pubsub.ping()
                        pinged = True
                        continue
                    pinged = False
                    if message['type'] == 'subscribe':  # at first, and after the client has reconnected by itself
                        yield Notice()
                    elif message['type'] == 'message':
                        data: bytes = message['data']
                        yield Notice(data[:_ID].decode(), data[_ID:] or None)
        except AWAY as exc:
            raise TaskQueueUnavailable(f'Redis at {self._server}: {exc or type(exc).__name__}') from exc
        finally:
            await client.aclose()

    async def status(self, task_id: str) -> Status:
        found = await self._record(task_id)
        return Status(found[b's'].decode()) if b's' in found else Status.UNKNOWN

    async def _record(self, task_id: str) -> Mapping[bytes, bytes]:
        answer = await self.link.run(_RECORD, task_id)
        return dict(zip(answer[::2], answer[1::2], strict=True))

    async def cancel(self, task_id: str, outcome: bytes) -> bool:
        lifetime = milliseconds(self.context.policy.result_lifetime)
        return bool(await self.link.run(scripts.CANCEL, task_id, outcome, lifetime))

    async def stats(self) -> Stats:
        names = self.context.policy.queues
        queues, delayed, running, dead, workers = await self.link.run(scripts.STATS, *names)
        found = zip(names, queues, strict=True)
        silent = self.context.policy.worker_timeout
        alive = [_worker(*worker) for worker in workers]
        return Stats(
            tuple(QueueStats(name, length, oldest / 1000 if oldest >= 0 else None) for name, (length, oldest) in found),
            delayed,
            running,
            dead,
            tuple(worker for worker in alive if worker.seen < silent),
        )

    async def info(self, task_id: str) -> TaskInfo | None:
        found = await self._record(task_id)
        return _task_info(self.context.codec, task_id, found) if b's' in found else None

    async def dead_letters(self, *, limit: int, offset: int) -> Sequence[TaskInfo]:
        ids = await self.link.run(_DEAD, offset, offset + limit - 1)
        found = await asyncio.gather(*(self.info(task_id.decode()) for task_id in ids))
        return [info for info in found if info is not None]

    async def dead_message(self, task_id: str) -> bytes | None:
        found = await self._record(task_id)
        return found.get(b'm') if found.get(b's') == b'failed' else None

    async def revive(self, task_id: str, data: bytes) -> bool:
        return bool(await self.link.run(scripts.REVIVE, task_id, data, self._apart))

    async def purge_dead(self, task_ids: Sequence[str] | None) -> int:
        if task_ids is not None:
            return int(await self.link.run(scripts.PURGE, *task_ids)) if task_ids else 0
        total = 0
        while True:
            count = int(await self.link.run(scripts.PURGE))
            total += count
            if count < _PURGE:
                return total

    async def clear(self) -> None:
        await self.link.clear()


_RECORD = "return redis.call('HGETALL', KEYS[1] .. 't:' .. ARGV[1])"
_DEAD = "return redis.call('ZREVRANGE', KEYS[1] .. 'x', ARGV[1], ARGV[2])"


def _worker(worker_id: bytes, seen: int, text: bytes) -> WorkerInfo:
    said = json.loads(text)
    return WorkerInfo(
        worker_id.decode(),
        said.get('host', ''),
        said.get('pid', 0),
        said.get('threads', 0),
        tuple(said.get('queues', ())),
        seen / 1000,
    )


def _task_info(codec: Codec, task_id: str, found: Mapping[bytes, bytes]) -> TaskInfo:
    function, attempt = '', 0
    if b'm' in found:
        with suppress(InvalidMessage, ValueError):  # it may be there for just that reason
            message = codec.decode(found[b'm'])
            function, attempt = message.function, message.attempt
    failure = None
    if found[b's'] == b'failed':
        with suppress(InvalidMessage, ValueError):
            failure = codec.decode_outcome(task_id, found[b'o']).failure
    finished = float(found[b'f']) / 1000 if b'f' in found else None
    status, queue = Status(found[b's'].decode()), found[b'q'].decode()
    return TaskInfo(task_id, status, function, queue, attempt, float(found[b'a']) / 1000, finished, failure)


class Lifetimes:
    """How long outcomes are kept, in milliseconds."""

    def __init__(self, policy: Policy) -> None:
        self._results = milliseconds(policy.result_lifetime)
        self.dead = milliseconds(policy.dead_lifetime)

    def of(self, status: Status) -> int:
        """Return how long the outcome of a task is kept that ended so."""
        return self.dead if status is Status.FAILED else self._results


def settle_arguments(
    settlement: Settlement, worker_id: str, queue: str, lifetimes: Lifetimes, *, apart: bool, more: bool = False
) -> tuple[str | bytes | int, ...]:
    """Return the arguments of the script SETTLE."""
    return (
        *(settlement.task_id, worker_id, queue, settlement.status.value, settlement.outcome or b''),
        *(lifetimes.of(settlement.status), settlement.message or b'', milliseconds(settlement.delay), int(apart)),
        int(more),
    )


class RedisWorkerStore(WorkerStore):
    """The side of a worker process whose messages come from another broker."""

    def __init__(self, server: RedisServer, context: Context) -> None:
        self._context = context
        self._thread = RedisThread(server, prefix_of(context))
        self._lifetimes = Lifetimes(context.policy)
        self._workers: dict[str, str] = {}

    def open(self) -> None:
        self._thread.run('return 1')

    def close(self) -> None:
        self._thread.close()

    def begin(self, task_id: str, worker_id: str, queue: str, data: bytes) -> tuple[Status, int]:
        silent = milliseconds(self._context.policy.worker_timeout)
        status, losses = self._thread.run(scripts.BEGIN, task_id, worker_id, queue, data, silent)
        self._workers[task_id] = worker_id
        return Status(status.decode()), losses

    def settle(self, settlement: Settlement) -> None:
        worker_id = self._workers.pop(settlement.task_id, '')
        arguments = settle_arguments(settlement, worker_id, '', self._lifetimes, apart=True)
        self._thread.run(scripts.SETTLE, *arguments)

    def beat(self, worker: WorkerInfo) -> None:
        beat(self._thread, worker, self._context.policy, apart=True)

    def leave(self, worker_id: str) -> None:
        self._thread.run(scripts.LEAVE_APART, worker_id)


def beat(
    thread: RedisThread, worker: WorkerInfo, policy: Policy, *, apart: bool, thorough: bool = True
) -> float | None:
    """Give a sign of life and do what is due; return in how many seconds more will be due, None if nothing will."""
    said = {'host': worker.host, 'pid': worker.pid, 'threads': worker.threads, 'queues': worker.queues}
    times = (milliseconds(policy.worker_timeout), milliseconds(policy.dead_lifetime))
    due = int(thread.run(scripts.BEAT, worker.id, json.dumps(said), *times, int(apart), int(thorough)))
    return due / 1000 if due >= 0 else None
