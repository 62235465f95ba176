"""The queues and exchanges of an application on RabbitMQ."""

from __future__ import annotations

import math
from typing import Any

from colibris.taskqueue.dramatiq.rabbitmq.sender import Route

#: The longest wait in one queue, in seconds: RabbitMQ counts the lifetime of messages in milliseconds, in 32 bits.
LONGEST_WAIT = 45 * 86400.0
#: How long a queue of delayed messages stays after it was used last, and is empty, in milliseconds.
_SPARE = 60_000


class Places:
    """Names and declares what the application *namespace* has on the server. All queues of tasks are durable.

    ``NAMESPACE.QUEUE`` holds tasks that wait for a worker. ``NAMESPACE.QUEUE.MS`` holds those that wait for MS
    milliseconds: the server itself moves them on, and removes the queue when it is not used any more.
    ``NAMESPACE.QUEUE.ID`` is such a queue for a single task.
    ``NAMESPACE.ended`` is an exchange by which services hear how tasks end, each with a queue of its own.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self.ended = f'{namespace}.ended'

    def queue(self, name: str) -> str:
        """Return what the queue *name* is called on the server."""
        return f'{self._namespace}.{name}'

    def declare_queue(self, channel: Any, name: str) -> None:
        """Make the queue *name* unless it is there."""
        channel.queue_declare(self.queue(name), durable=True)

    def declare_ended(self, channel: Any) -> None:
        """Make the exchange unless it is there."""
        channel.exchange_declare(self.ended, exchange_type='direct', durable=True)

    def route(self, name: str, delay: float = 0) -> Route:
        """Return the way to the queue *name*, in *delay* seconds or a little later; `LONGEST_WAIT` at the most."""
        if delay <= 0:
            return Route('', self.queue(name), lambda channel: self.declare_queue(channel, name))
        milliseconds = _round_up(delay)
        # The time after which the server removes the queue counts from its last declaration.
        return self._delayed(name, f'{self.queue(name)}.{milliseconds}', milliseconds, always=True)

    def aside(self, name: str, task_id: str, delay: float) -> Route:
        """Return the way to the queue *name*, in *delay* seconds, by a queue that holds the message of one task."""
        return self._delayed(name, f'{self.queue(name)}.{task_id}', math.ceil(delay * 1000))

    def _delayed(self, name: str, delayed: str, milliseconds: int, *, always: bool = False) -> Route:
        def declare(channel: Any) -> None:
            self.declare_queue(channel, name)
            channel.queue_declare(
                delayed,
                durable=True,
                arguments={
                    'x-message-ttl': milliseconds,
                    'x-expires': milliseconds + _SPARE,
                    'x-dead-letter-exchange': '',
                    'x-dead-letter-routing-key': self.queue(name),
                },
            )

        return Route('', delayed, declare, always=always)

    def bell(self, channel_name: str) -> Route:
        """Return the way to those who listen to *channel_name*."""
        return Route(self.ended, channel_name, self.declare_ended, mandatory=False)


def _round_up(delay: float) -> int:
    """Return *delay* in milliseconds, with two or three digits that count: each length is a queue of its own."""
    milliseconds = max(1, math.ceil(delay * 1000))
    digits = 2 if milliseconds < 100_000 else 3
    unit: int = 10 ** max(0, len(str(milliseconds)) - digits)
    return math.ceil(milliseconds / unit) * unit
