"""Taking the messages of one queue off RabbitMQ."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import pika  # type: ignore[import-untyped]
from dramatiq.broker import Consumer, MessageProxy

from colibris.taskqueue.dramatiq.broker import Task
from colibris.taskqueue.dramatiq.rabbitmq.connection import ChannelUser
from colibris.taskqueue.dramatiq.rabbitmq.line import WAIT
from colibris.taskqueue.dramatiq.rabbitmq.places import Places

if TYPE_CHECKING:
    from colibris.taskqueue.dramatiq.rabbitmq.broker import RabbitmqBroker

#: How soon something is seen that happens while nothing can be waited for, in seconds.
_MOMENT = 0.02
#: After how long a message is given back whose task could not be dealt with, in seconds.
_LATER = 5.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it was delivered: good for as long as the channel is there that it came by."""

    consumer: RabbitmqConsumer
    channel: Any
    tag: int
    message_id: str | None
    body: bytes
    #: How many seconds the task has to wait on.
    wait: float = 0

    @property
    def is_valid(self) -> bool:
        """Whether the channel is still there; else the message has been, or will be, delivered again."""
        return self.channel is self.consumer.channel

    def acknowledge(self) -> None:
        """Have the server forget the message."""
        self.consumer.call(self._acknowledge)

    def _acknowledge(self) -> None:
        if self.is_valid and self.channel.is_open:
            self.channel.basic_ack(self.tag)

    def give_back(self) -> None:
        """Have the server put the message back to where it was in the queue."""
        self.consumer.call(self._give_back)

    def _give_back(self) -> None:
        if self.is_valid and self.channel.is_open:
            self.channel.basic_nack(self.tag, requeue=True)

    def give_back_later(self) -> None:
        """Have the server put the message back after some seconds."""
        self.consumer.call(lambda: self.consumer.connection.later(_LATER, self._give_back))


class RabbitmqConsumer(Consumer, ChannelUser):
    """Takes up to *prefetch* messages at a time; when the connection is lost it goes on with the next one."""

    def __init__(self, broker: RabbitmqBroker, queue: str, places: Places, prefetch: int, timeout: float) -> None:
        self._broker = broker
        self._places = places
        self._prefetch = prefetch
        self._timeout = timeout
        self._delivered: SimpleQueue[Delivery] = SimpleQueue()
        self.queue = queue
        self.connection = broker.line.connection
        self.call = self.connection.call
        #: The channel that works at the moment.
        self.channel: Any = None
        self._tag = ''
        self._stopped = False
        self.connection.add(self)

    def ready(self, channel: Any) -> None:
        self.channel = channel
        self._places.declare_queue(channel, self.queue)
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.add_on_cancel_callback(self._cancelled)
        if not self._stopped:
            self._tag = channel.basic_consume(self._places.queue(self.queue), self._deliver)

    def lost(self, error: Exception) -> None:
        self.channel = None

    def _cancelled(self, frame: Any) -> None:
        """Somebody has deleted the queue: a new channel makes it again."""
        self.channel.close()

    def _deliver(self, channel: Any, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
        wait = (properties.headers or {}).get(WAIT)
        if not isinstance(wait, int) or not properties.message_id:
            wait = 0
        self._delivered.put(Delivery(self, channel, method.delivery_tag, properties.message_id, body, wait))

    def stop(self) -> None:
        """Take nothing more, and give back what was not handed out."""
        if not self._stopped:
            self._stopped = True
            self.call(self._stop)
        while not self._delivered.empty():
            with suppress(Empty):
                self._delivered.get_nowait().give_back()

    def _stop(self) -> None:
        if self.channel is not None and self.channel.is_open and self._tag:
            self.channel.basic_cancel(self._tag)

    def __next__(self) -> Task | None:
        if self._broker.stopping.is_set():
            self.stop()
            time.sleep(_MOMENT)
            return None
        deadline = time.monotonic() + self._timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                delivery = self._delivered.get(timeout=left)
            except Empty:
                return None
            if self._broker.stopping.is_set():
                self.stop()
                delivery.give_back()
                return None
            if delivery.wait > 0:
                self._broker.put_off(delivery)
            elif delivery.is_valid and (task := self._broker.take(delivery)) is not None:
                return task
        return None

    def ack(self, message: MessageProxy) -> None:
        assert isinstance(message, Task)
        self._broker.acknowledge(message)

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Leave it to the server, which puts back what was on a channel that ends."""

    def close(self) -> None:
        """Take nothing more. The channel stays until the connection ends, as what runs is acknowledged by it."""
        self.connection.remove(self)
