"""What a process has of RabbitMQ: one connection, who sends by it, and how it hears."""

from __future__ import annotations

import pika  # type: ignore[import-untyped]

from colibris.taskqueue.dramatiq.rabbitmq.address import Address
from colibris.taskqueue.dramatiq.rabbitmq.bell import RabbitBell
from colibris.taskqueue.dramatiq.rabbitmq.connection import Connection, describe
from colibris.taskqueue.dramatiq.rabbitmq.places import LONGEST_WAIT, Places
from colibris.taskqueue.dramatiq.rabbitmq.sender import Route, Sender
from colibris.taskqueue.errors import TaskQueueUnavailable


class Line:
    """One connection to *address*, made when it is used first, for everything that a process does there."""

    def __init__(self, address: Address, name: str, places: Places, timeout: float) -> None:
        self._places = places
        self.connection = Connection(address, name)
        self.sender = Sender(self.connection, timeout=timeout)
        self.bell = RabbitBell(self.connection, self.sender, places)

    def open(self, timeout: float) -> None:
        """Wait until there is a connection. Raises TaskQueueUnavailable after *timeout* seconds."""
        self.sender.start()
        self.connection.wait(timeout)
        self.check()

    def check(self) -> None:
        """Raise TaskQueueUnavailable unless there is a connection."""
        trouble = self.connection.trouble
        if trouble is not None:
            raise TaskQueueUnavailable(f'{self.connection.address} cannot be reached: {describe(trouble)}')

    async def publish(self, queue: str, task_id: str, data: bytes, delay: float = 0) -> None:
        """Queue a task; return once that is safe. Raises TaskQueueUnavailable."""
        route = self._places.route(queue, min(delay, LONGEST_WAIT))
        await self.sender.send(route, data, properties_of(task_id, delay))

    async def put_aside(self, queue: str, task_id: str, data: bytes, delay: float) -> Route:
        """Queue a task by a queue of its own, which `remove` takes away; return the way there."""
        route = self._places.aside(queue, task_id, delay)
        await self.sender.send(route, data, properties_of(task_id, 0))
        return route

    def remove(self, route: Route) -> None:
        """Remove the queue of a task that was put aside; from any thread, and at once."""
        self.sender.remove(route)

    def publish_and_wait(self, queue: str, task_id: str, data: bytes, delay: float = 0) -> None:
        """Queue a task, from a thread without an event loop."""
        route = self._places.route(queue, min(delay, LONGEST_WAIT))
        self.sender.send_and_wait(route, data, properties_of(task_id, delay))

    def close(self) -> None:
        """Send what waits, for some seconds at the most, and disconnect."""
        self.sender.flush()
        self.connection.close()


#: The header of a message that has to wait on, in seconds, when it comes to a worker.
WAIT = 'colibris-wait'


def properties_of(task_id: str, delay: float) -> pika.BasicProperties:
    """Return the properties of a message that survives a restart of the server."""
    rest = max(0, round(delay - LONGEST_WAIT))
    headers = {WAIT: rest} if rest else None
    return pika.BasicProperties(message_id=task_id, delivery_mode=pika.DeliveryMode.Persistent, headers=headers)
