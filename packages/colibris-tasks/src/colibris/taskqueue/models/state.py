"""The tables in which ``'store': 'database'`` keeps what is known of tasks. Times are seconds since the epoch."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class TaskState(Model):
    """What is known of one task. The times that decide anything are by the clock of the database."""

    id = fields.CharField(primary_key=True, max_length=64)
    status = fields.CharField(max_length=16)
    #: The name of the function; for people.
    task = fields.CharField(max_length=255)
    queue = fields.CharField(max_length=255)
    attempt = fields.IntField(default=0)
    #: How many workers died while they ran it.
    losses = fields.IntField(default=0)
    #: Who runs it, or ran it last.
    worker = fields.CharField(max_length=64, default='')
    #: Which process is to hear how it ends; ``*`` if there are several.
    channel = fields.CharField(max_length=32, default='')
    #: SHA-256 of the key; held by one task until it has finished.
    unique_key = fields.CharField(max_length=64, null=True, unique=True)
    #: By the clock of whoever made it; for people.
    created = fields.FloatField()
    #: When it was queued, or will be.
    due = fields.FloatField()
    finished = fields.FloatField(null=True)
    #: When the row may go.
    expires = fields.FloatField(null=True, db_index=True)
    #: The encoded message, for another try by hand.
    message = fields.BinaryField(null=True)
    outcome = fields.BinaryField(null=True)

    class Meta:
        table = 'colibris_task_states'
        indexes = (('status', 'due'),)


class TaskWorker(Model):
    """A worker process that is alive."""

    id = fields.CharField(primary_key=True, max_length=64)
    host = fields.CharField(max_length=255)
    pid = fields.IntField()
    threads = fields.IntField()
    #: The names of its queues, separated by spaces.
    queues = fields.TextField()
    #: Its last sign of life, by the clock of the database.
    seen = fields.FloatField()

    class Meta:
        table = 'colibris_task_workers'
