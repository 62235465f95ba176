"""The models that the contract is tried on."""

from __future__ import annotations

from typing import Any

from colibris.persist import Model, fields


class ContractShelf(Model):
    """A model with a field of each kind."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20, unique=True)
    text = fields.TextField(null=True)
    big = fields.BigIntField(null=True)
    small = fields.SmallIntField(null=True)
    price = fields.DecimalField(max_digits=12, decimal_places=2, null=True)
    ratio = fields.FloatField(null=True)
    flag = fields.BooleanField(default=False)
    day = fields.DateField(null=True)
    moment = fields.DatetimeField(null=True)
    lasting = fields.TimeDeltaField(null=True)
    data: Any = fields.JSONField(null=True)
    blob = fields.BinaryField(null=True)
    key = fields.UUIDField(null=True)


class ContractBook(Model):
    """A model that refers to another one, and has a combination that is unique."""

    id = fields.IntField(primary_key=True)
    title = fields.CharField(max_length=20)
    shelf: fields.ForeignKeyRelation[ContractShelf] = fields.ForeignKeyField(
        'models.ContractShelf', related_name='books', on_delete=fields.NO_ACTION
    )

    class Meta:
        unique_together = (('title', 'shelf'),)


class ContractTicket(Model):
    """A model whose key is text."""

    code = fields.CharField(max_length=10, primary_key=True)


async def names() -> list[str]:
    """Return the names that are stored."""
    return [shelf.name for shelf in await ContractShelf.all().order_by('name')]
