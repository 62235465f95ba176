"""The table of the service that is measured beside its peers."""

from colibris.persist import Model, fields


class User(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)
    email = fields.CharField(max_length=200)
    role = fields.CharField(max_length=20)
    is_active = fields.BooleanField(default=True)
    created_at = fields.DatetimeField(auto_now_add=True)
    score = fields.FloatField(default=0.0)

    class Meta:
        table = 'users'
