"""How requests and responses look."""

from colibris.schemas import ModelSchema, Schema, fields, validate
from service import models


class CustomerSchema(Schema):
    email = fields.Email(required=True)
    name = fields.String(required=True, validate=validate.Length(1, 100))


class ItemSchema(Schema):
    sku = fields.String(required=True, validate=validate.Length(max=32))
    quantity = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
    unit_price = fields.Decimal(required=True, as_string=True)


class OrderSchema(Schema):
    customer = fields.Nested(CustomerSchema, required=True)
    items = fields.List(fields.Nested(ItemSchema), required=True)
    created_at = fields.DateTime(required=True)
    tags = fields.List(fields.String(), required=True)


class UserSchema(ModelSchema):
    email = fields.Email(required=True, validate=validate.Length(max=200))

    class Meta:
        model = models.User
        fields = ('id', 'name', 'email', 'role', 'is_active', 'created_at', 'score')
