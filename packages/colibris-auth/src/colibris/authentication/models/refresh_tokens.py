"""The table of refresh tokens."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model


class RefreshTokenFamily(Model):
    """The refresh tokens that followed one another since a login. Only the last one is good, and only its hash is kept.

    One row a family: that the last token is exchanged for a new one, or that the family ends, is one statement.
    """

    id = fields.CharField(primary_key=True, max_length=32)
    #: The value of the account's identity field; no foreign key, as any model may be the account's.
    account = fields.CharField(max_length=255, db_index=True)
    #: SHA-256 of the token that is good now, in hexadecimal.
    current = fields.CharField(max_length=64)
    created_at = fields.DatetimeField(auto_now_add=True)
    expires_at = fields.DatetimeField(db_index=True)
    ended_at = fields.DatetimeField(null=True)

    class Meta:
        table = 'colibris_refresh_tokens'
