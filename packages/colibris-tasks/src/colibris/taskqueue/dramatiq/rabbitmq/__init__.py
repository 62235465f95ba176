"""The transport on RabbitMQ."""

from __future__ import annotations

from colibris.taskqueue.dramatiq.rabbitmq.transport import RabbitmqTransport

__all__ = ['RabbitmqTransport']
