"""Sending to RabbitMQ: many messages at once, each accepted when the server has confirmed it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

import pika  # type: ignore[import-untyped]

from colibris.taskqueue.dramatiq.rabbitmq.connection import ChannelUser, Connection, describe
from colibris.taskqueue.errors import TaskQueueUnavailable

logger = logging.getLogger(__name__)

#: How many messages may be on the way to the server; what is more waits in the process.
_WINDOW = 1000
#: How many messages may wait in the process while the server is away or slow.
_CAPACITY = 20_000
_SWEEP_INTERVAL = 0.2  # seconds between looks for messages that have waited for too long


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message goes. *declare* makes the place, on the channel that is sent by, and waits for no answer.

    It is called once a connection, or before each message with *always*. A *mandatory* message must reach a queue.
    """

    exchange: str
    routing_key: str
    declare: Callable[[Any], None]
    always: bool = False
    mandatory: bool = True


@dataclass(slots=True, eq=False)
class Outgoing:
    """A message to be sent; *done* is called once, in the connection's thread, with the error if there is one.

    It waits until *deadline* (`time.monotonic`) for the server to accept it.
    """

    route: Route
    body: bytes
    properties: pika.BasicProperties
    deadline: float
    done: Callable[[Exception | None], None]
    returned: bool = False


class Sender(ChannelUser):
    """Sends messages by one channel in confirm mode.

    What is on the way when the connection is lost is sent again by the next one: a message may arrive twice, and is
    never lost once it is confirmed.
    """

    def __init__(self, connection: Connection, *, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._waiting: deque[Outgoing] = deque()
        self._unconfirmed: dict[int, Outgoing] = {}
        self._unfinished: set[Outgoing] = set()
        self._by_id: dict[str, Outgoing] = {}
        #: What `send` waits for, by id; touched by the event loop only.
        self._accepting: dict[str, asyncio.Future[None]] = {}
        self._declared: set[tuple[str, str]] = set()
        self._channel: Any = None
        self._tag = 0
        self._blocked = False
        self._woken = False
        self._sweeping = False
        self._has_ended = False
        self._trouble: Exception | None = None

    def start(self) -> None:
        """Connect, if that was not done yet."""
        self._connection.add(self)

    def flush(self, timeout: float = 2.0) -> None:
        """Wait until all that waits is sent and confirmed, for *timeout* seconds at the most."""
        deadline = time.monotonic() + timeout
        while self._unfinished and self._connection.trouble is None and time.monotonic() < deadline:
            time.sleep(0.01)

    async def send(self, route: Route, body: bytes, properties: pika.BasicProperties) -> None:
        """Send a message, and return once the server has accepted it. Raises TaskQueueUnavailable.

        The server writes a message to disk before it confirms it, unless it has been dealt with by then; so `arrived`
        may tell earlier.
        """
        loop = asyncio.get_running_loop()
        accepted: asyncio.Future[None] = loop.create_future()

        def done(error: Exception | None) -> None:
            with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, accepted, error)

        self.put(Outgoing(route, body, properties, time.monotonic() + self._timeout, done))
        self._accepting[properties.message_id] = accepted
        try:
            await accepted
        finally:
            if self._accepting.get(properties.message_id) is accepted:
                del self._accepting[properties.message_id]

    def arrived(self, task_id: str) -> None:
        """Tell that a task has ended, so that its message was accepted; in the event loop that sends."""
        if (accepted := self._accepting.get(task_id)) is not None:
            _settle(accepted, None)

    def send_and_wait(self, route: Route, body: bytes, properties: pika.BasicProperties) -> None:
        """Send a message, and return once the server has accepted it; for threads without an event loop."""
        accepted: Future[None] = Future()
        self.put(Outgoing(route, body, properties, time.monotonic() + self._timeout, partial(_settle, accepted)))
        accepted.result()

    def tell(self, route: Route, body: bytes, properties: pika.BasicProperties) -> None:
        """Send a message that nobody waits for, from any thread; it may get lost."""
        with suppress(TaskQueueUnavailable):
            self.put(Outgoing(route, body, properties, time.monotonic() + self._timeout, lambda error: None))

    def remove(self, route: Route) -> None:
        """Have the server delete the queue of *route*, with what is in it; from any thread. It may be left out."""
        self._connection.call(lambda: self._remove(route))

    def _remove(self, route: Route) -> None:
        self._declared.discard((route.exchange, route.routing_key))
        if self._channel is not None and self._channel.is_open:
            self._channel.queue_delete(route.routing_key)

    def put(self, message: Outgoing) -> None:
        """Take a message to be sent; returns at once. Raises TaskQueueUnavailable if too many wait already."""
        if len(self._waiting) >= _CAPACITY:
            raise TaskQueueUnavailable(
                f'{_CAPACITY} messages wait already to be sent to {self._connection.address}'
                + self._reason(self._connection.trouble)
            )
        self._unfinished.add(message)
        self._waiting.append(message)
        if self._has_ended:
            self.ended()
        elif not self._woken:
            self._woken = True
            self._connection.call(self._pump)

    def ready(self, channel: Any) -> None:
        channel.confirm_delivery(self._confirmed)
        channel.add_on_return_callback(self._returned)
        channel.connection.add_on_connection_blocked_callback(partial(self._set_blocked, True))
        channel.connection.add_on_connection_unblocked_callback(partial(self._set_blocked, False))
        self._channel, self._tag, self._blocked = channel, 0, False
        self._pump()

    def lost(self, error: Exception) -> None:
        self._channel, self._trouble = None, error
        self._declared.clear()
        again = list(self._unconfirmed.values())
        self._unconfirmed.clear()
        self._by_id.clear()
        self._waiting.extendleft(reversed(again))
        self._pump()

    def ended(self) -> None:
        self._has_ended = True
        with suppress(IndexError):
            while True:
                closed = TaskQueueUnavailable(f'the connection to {self._connection.address} was closed')
                self._finish(self._waiting.popleft(), closed)

    def _finish(self, message: Outgoing, error: Exception | None) -> None:
        self._unfinished.discard(message)
        message.done(error)

    def _set_blocked(self, blocked: bool, connection: Any, frame: Any) -> None:
        """The server is short of memory or disk: it accepts nothing until it says so."""
        logger.warning('%s %s', self._connection.address, 'accepts no messages now' if blocked else 'accepts messages')
        self._blocked = blocked
        self._pump()

    def _pump(self) -> None:
        self._woken = False
        while self._waiting and self._channel is not None and not self._blocked and len(self._unconfirmed) < _WINDOW:
            message = self._waiting.popleft()
            try:
                self._publish(self._channel, message)
            except pika.exceptions.AMQPError as exc:  # it is being closed, and we shall be told
                logger.debug('sending to %s failed: %s', self._connection.address, describe(exc))
                self._waiting.appendleft(message)
                break
            except Exception as exc:
                self._finish(message, exc)
        if (self._waiting or self._unconfirmed) and not self._sweeping:
            self._sweeping = True
            self._connection.later(_SWEEP_INTERVAL, self._sweep)

    def _publish(self, channel: Any, message: Outgoing) -> None:
        route = message.route
        place = (route.exchange, route.routing_key)
        if route.always or place not in self._declared:
            route.declare(channel)
            if not route.always:
                self._declared.add(place)
        message.returned = False
        channel.basic_publish(route.exchange, route.routing_key, message.body, message.properties, route.mandatory)
        self._tag += 1
        self._unconfirmed[self._tag] = message
        if route.mandatory:
            self._by_id[message.properties.message_id] = message

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        accepted = isinstance(method, pika.spec.Basic.Ack)
        for message in self._take(method.delivery_tag, multiple=method.multiple):
            self._by_id.pop(message.properties.message_id, None)
            if message.returned:
                self._declared.discard((message.route.exchange, message.route.routing_key))
                self._waiting.appendleft(message)
            else:
                self._trouble = None
                self._finish(message, None if accepted else self._refused())
        self._pump()

    def _take(self, tag: int, *, multiple: bool) -> Iterator[Outgoing]:
        if not multiple:
            if (message := self._unconfirmed.pop(tag, None)) is not None:
                yield message
            return
        for each in list(takewhile(lambda each: each <= tag, self._unconfirmed)):
            yield self._unconfirmed.pop(each)

    def _returned(self, channel: Any, method: Any, properties: pika.BasicProperties, body: bytes) -> None:
        """Somebody has deleted the queue: the message goes again, and the queue is made before it."""
        if (message := self._by_id.get(properties.message_id)) is not None:
            message.returned = True

    def _sweep(self) -> None:
        self._sweeping = False
        now = time.monotonic()
        late = []
        while self._waiting and self._waiting[0].deadline <= now:
            late.append(self._waiting.popleft())
        for tag, message in list(self._unconfirmed.items()):
            if message.deadline <= now:
                del self._unconfirmed[tag]
                self._by_id.pop(message.properties.message_id, None)
                late.append(message)
        for message in late:
            self._finish(message, self._late())
        self._pump()

    def _late(self) -> TaskQueueUnavailable:
        reason = self._reason(self._connection.trouble or self._trouble) or (
            ': it is short of memory or disk' if self._blocked else ''
        )
        return TaskQueueUnavailable(
            f'{self._connection.address} did not accept a message within {self._timeout:g} s{reason}'
        )

    def _refused(self) -> TaskQueueUnavailable:
        return TaskQueueUnavailable(f'{self._connection.address} refused a message; its log says why')

    def _reason(self, trouble: Exception | None) -> str:
        return '' if trouble is None else f': {describe(trouble)}'


def _settle(future: asyncio.Future[None] | Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
