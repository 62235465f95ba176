"""The table of API keys."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class APIKey(Model):
    """One of the API keys of an account. The key itself is shown once, when it is made; its hash is kept."""

    id = fields.IntField(primary_key=True)
    #: The value of the account's identity field; no foreign key, as any model may be the account's.
    account = fields.CharField(max_length=255, db_index=True)
    #: What its owner calls it.
    name = fields.CharField(max_length=100, default='')
    #: How the key begins, by which its owner tells it from others.
    hint = fields.CharField(max_length=32)
    #: ``sha256$`` and the hash of the key in hexadecimal.
    key = fields.CharField(max_length=71, unique=True)
    #: The only permissions that it is good for; null is all that the account has.
    scopes: fields.JSONField[list[str] | None] = fields.JSONField(null=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField(null=True)
    #: Written once a minute at most.
    last_used_at = fields.DatetimeField(null=True)

    class Meta:
        table = 'colibris_api_keys'
