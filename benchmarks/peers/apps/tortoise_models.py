"""The table as a model of Tortoise."""

import common
from tortoise import fields
from tortoise.models import Model

if common.SQLITE_FILE:
    _ENGINE, _CREDENTIALS = 'tortoise.backends.sqlite', {'file_path': common.SQLITE_FILE}
else:
    _ENGINE = 'tortoise.backends.asyncpg'
    _CREDENTIALS = {**common.POSTGRESQL, 'minsize': common.POOL, 'maxsize': common.POOL}

CONFIG = {
    'connections': {'default': {'engine': _ENGINE, 'credentials': _CREDENTIALS}},
    'apps': {'models': {'models': ['tortoise_models'], 'default_connection': 'default'}},
}


class User(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)
    email = fields.CharField(max_length=200)
    role = fields.CharField(max_length=20)
    is_active = fields.BooleanField()
    created_at = fields.DatetimeField(auto_now_add=True)
    score = fields.FloatField()

    class Meta:
        table = 'users'
