"""The table of the outbox."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class OutboxMessage(Model):
    """A task that was enqueued and is not known to have reached the queue; it is deleted once it has."""

    #: They are sent in this order.
    id = fields.BigIntField(primary_key=True)
    task_id = fields.CharField(max_length=64, unique=True)
    #: The message, encoded and signed.
    message = fields.BinaryField()
    #: Seconds to wait before it runs, from the time it was enqueued.
    delay = fields.FloatField()
    #: Seconds since the epoch, by the clock of the database.
    created = fields.FloatField()
    #: Who sends it at the moment; a claim that does not change for some time is void.
    claim = fields.CharField(max_length=32, null=True, db_index=True)
    #: How often the queue has refused it, for another reason than being away.
    refusals = fields.IntField()

    class Meta:
        table = 'colibris_task_outbox'
