"""Hearing how tasks end, through RabbitMQ: for a store that cannot tell by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

import pika  # type: ignore[import-untyped]

from colibris.taskqueue.dramatiq.rabbitmq.connection import ChannelUser, Connection
from colibris.taskqueue.dramatiq.rabbitmq.places import Places
from colibris.taskqueue.dramatiq.rabbitmq.sender import Sender
from colibris.taskqueue.stores.base import Notice

#: How often the store is to be asked while there is no connection, in seconds.
_INTERVAL = 2.0
#: A longer outcome is fetched from the store by whoever waits for it.
_LARGEST_OUTCOME = 64 * 1024


class RabbitBell:
    """Tells services how tasks end: each has one queue of its own, which goes with its connection."""

    def __init__(self, connection: Connection, sender: Sender, places: Places) -> None:
        self._connection = connection
        self._sender = sender
        self._places = places

    def ring(self, channel: str, task_id: str, outcome: bytes | None) -> None:
        """Tell those who listen to *channel*; from any thread, and at once."""
        body = outcome if outcome is not None and len(outcome) <= _LARGEST_OUTCOME else b''
        self._sender.tell(self._places.bell(channel), body, pika.BasicProperties(message_id=task_id))

    def arrived(self, task_id: str) -> None:
        """Tell that a task has ended, however that was heard: who sends it need not wait for RabbitMQ any more."""
        self._sender.arrived(task_id)

    async def listen(self, channels: Sequence[str]) -> AsyncGenerator[Notice, None]:
        """Hear what is told to *channels*; a notice without a task comes whenever others may have been missed."""
        ear = _Ear(self._connection, self._places, channels)
        self._connection.add(ear)
        try:
            while True:
                notice = await ear.notices.get()
                if notice.task_id is not None:
                    self.arrived(notice.task_id)
                yield notice
        finally:
            ear.stop()


class _Ear(ChannelUser):
    """A queue that goes with its connection, bound to some channels."""

    def __init__(self, connection: Connection, places: Places, channels: Sequence[str]) -> None:
        self._connection = connection
        self._places = places
        self._channels = channels
        self._loop = asyncio.get_running_loop()
        self._channel: Any = None
        self._stopped = self._waiting_on = False
        self.notices: asyncio.Queue[Notice] = asyncio.Queue()

    def stop(self) -> None:
        """Hear no more; the queue goes with its only consumer."""
        self._stopped = True
        self._connection.remove(self)
        self._connection.call(self._close)

    def _close(self) -> None:
        if self._channel is not None and self._channel.is_open:
            self._channel.close()

    def ready(self, channel: Any) -> None:
        self._channel = channel
        self._places.declare_ended(channel)

        def declared(frame: Any) -> None:
            queue = frame.method.queue
            for name in self._channels:
                channel.queue_bind(queue, self._places.ended, name, callback=lambda _: None)
            channel.basic_consume(queue, self._heard, auto_ack=True, exclusive=True, callback=self._listening)

        channel.queue_declare('', exclusive=True, auto_delete=True, callback=declared)

    def lost(self, error: Exception) -> None:
        self._channel = None
        if not self._waiting_on:
            self._wait_on()

    def _wait_on(self) -> None:
        """Have the store asked now and then until there is a connection again."""
        self._waiting_on = self._channel is None and not self._stopped
        if self._waiting_on:
            self._put(Notice())
            self._connection.later(_INTERVAL, self._wait_on)

    def _listening(self, frame: Any) -> None:
        self._put(Notice())

    def _heard(self, channel: Any, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
        if properties.message_id:
            self._put(Notice(properties.message_id, body or None))

    def _put(self, notice: Notice) -> None:
        with suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self.notices.put_nowait, notice)
