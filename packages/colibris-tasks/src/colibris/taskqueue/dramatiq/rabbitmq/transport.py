"""Sending tasks to RabbitMQ, with what is known of them in a store beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import closing

import pika  # type: ignore[import-untyped]

from colibris.taskqueue.base import Context
from colibris.taskqueue.cancelling import cancel
from colibris.taskqueue.dramatiq.rabbitmq.address import address_of
from colibris.taskqueue.dramatiq.rabbitmq.broker import RabbitmqBroker
from colibris.taskqueue.dramatiq.rabbitmq.line import Line
from colibris.taskqueue.dramatiq.rabbitmq.places import Places
from colibris.taskqueue.dramatiq.rabbitmq.stores import StoreBeside, store_of
from colibris.taskqueue.dramatiq.transport import Transport
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Message

logger = logging.getLogger(__name__)

#: How long it is tried to connect at the start, in seconds.
_OPEN_TIMEOUT = 10.0
#: How much later a second copy of the message of a dead letter comes that is queued again, in seconds.
_SECOND_COPY = 10.0
#: How often the store is told what has reached RabbitMQ, in seconds, and of how many tasks at the most.
_CONFIRM_INTERVAL = 0.25
_CONFIRM_BATCH = 500
#: How many tasks are remembered for that while the store is away.
_CONFIRM_CAPACITY = 20_000


class RabbitmqTransport(Transport):
    """Carries messages by durable queues on RabbitMQ; what becomes of tasks is kept in *store*.

    A task is recorded in the store, then published, and accepted once RabbitMQ has confirmed it. Its record is
    provisional until then: it goes by itself if this process dies in between.
    """

    def __init__(
        self,
        *,
        store: str,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        virtual_host: str | None = None,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        timeout: float = 5.0,
    ) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
            raise ValueError(f'timeout must be a positive number of seconds, not {timeout!r}')
        self._address = address_of(
            url=url,
            host=host,
            port=port,
            username=username,
            password=password,
            virtual_host=virtual_host,
            tls=tls,
            ca_file=ca_file,
        )
        self._timeout = timeout
        self._beside: StoreBeside = store_of(store, timeout=timeout)
        self.store = self._beside.store
        self._line: Line | None = None
        self._confirmed: list[str] = []
        self._confirming: asyncio.Task[None] | None = None

    def bind(self, context: Context) -> None:
        super().bind(context)
        self._places = Places(context.namespace)

    @property
    def line(self) -> Line:
        """The connection; there while the transport is open."""
        if self._line is None:
            raise TaskQueueUnavailable('the task queue is not open')
        return self._line

    async def open(self) -> None:
        self._line = Line(self._address, f'{self.context.namespace} sender', self._places, self._timeout)
        self._beside.bell.attach(self._line.bell)
        await asyncio.to_thread(self._line.open, _OPEN_TIMEOUT)

    async def close(self) -> None:
        confirming, self._confirming = self._confirming, None
        if confirming is not None:
            await cancel(confirming)
            await self._tell_confirmed()
        line, self._line = self._line, None
        if line is not None:
            self._beside.bell.detach()
            await asyncio.to_thread(line.close)

    async def check_health(self) -> None:
        self.line.check()

    async def send(self, message: Message, data: bytes, *, delay: float, channel: str | None) -> str:
        task_id = await self.store.add(message, data, delay=delay, channel=channel)
        if task_id != message.id:
            return task_id
        try:
            await self.line.publish(message.queue, task_id, data, delay)
        except TaskQueueUnavailable:
            await self._forget(task_id)
            raise
        self._confirm_soon(task_id)
        return task_id

    async def _forget(self, task_id: str) -> None:
        try:
            await self.store.forget(task_id)
        except TaskQueueUnavailable as exc:
            logger.debug('task %s is forgotten later by the store itself: %s', task_id, exc)

    async def revive(self, message: Message, data: bytes) -> bool:
        # This copy comes later, in case that the other one gets lost.
        aside = await self.line.put_aside(message.queue, message.id, data, _SECOND_COPY)
        is_dead = await self.store.revive(message.id, data)
        if is_dead:
            try:
                await self.line.publish(message.queue, message.id, data)
            except TaskQueueUnavailable:
                return True
        self.line.remove(aside)
        return is_dead

    async def clear(self) -> None:
        await asyncio.to_thread(self._clear)

    def _clear(self) -> None:
        connection = pika.BlockingConnection(self._address.parameters(f'{self.context.namespace} clear'))
        with closing(connection):
            channel = connection.channel()
            for name in self.context.policy.queues:
                self._places.declare_queue(channel, name)
                channel.queue_purge(self._places.queue(name))

    def make_broker(self, worker_id: str, queues: Sequence[str], threads: int) -> RabbitmqBroker:
        line = Line(self._address, f'{self.context.namespace} worker', self._places, self._timeout)
        store = self._beside.make_worker_store(self.context, line.bell)
        return RabbitmqBroker(self.context, line, self._places, store, worker_id, queues, threads)

    def _confirm_soon(self, task_id: str) -> None:
        """Tell the store before long that a task has reached RabbitMQ; nobody has to wait for that."""
        self._confirmed.append(task_id)
        if self._confirming is None or self._confirming.done():
            self._confirming = asyncio.create_task(self._confirm(), name='colibris.taskqueue.confirm')

    async def _confirm(self) -> None:
        while self._confirmed:
            await asyncio.sleep(_CONFIRM_INTERVAL)
            await self._tell_confirmed()

    async def _tell_confirmed(self) -> None:
        while self._confirmed:
            batch, self._confirmed = self._confirmed[:_CONFIRM_BATCH], self._confirmed[_CONFIRM_BATCH:]
            try:
                await self.store.confirm(batch)
            except TaskQueueUnavailable as exc:
                logger.debug('the store is told later that %d tasks were accepted: %s', len(batch), exc)
                self._confirmed = [*batch, *self._confirmed][-_CONFIRM_CAPACITY:]
                return
