"""Model schemas: what is made of a model, and what is refused when a schema is declared."""

import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from marshmallow import ValidationError
from tortoise.apps import Apps
from tortoise.connection import ConnectionHandler
from tortoise.validators import MaxValueValidator, MinLengthValidator, RegexValidator

from colibris.persist import Model
from colibris.persist import fields as columns
from colibris.schemas import ModelSchema, Schema, fields


class Shop(Model):
    id = columns.IntField(primary_key=True)
    name = columns.CharField(max_length=20, description='What is written above the door.')


class Item(Model):
    id = columns.BigIntField(primary_key=True)
    shop = columns.ForeignKeyField('models.Shop', related_name='items')
    maker = columns.ForeignKeyField('models.Shop', related_name='made', null=True)
    similar = columns.ManyToManyField('models.Item', related_name='similar_to')
    name = columns.CharField(max_length=10, validators=[MinLengthValidator(2)])
    code = columns.CharField(max_length=10, null=True, validators=[RegexValidator('[a-z]+', 0)])
    price = columns.DecimalField(max_digits=6, decimal_places=2, default=Decimal('1.00'))
    stock = columns.IntField(default=0, validators=[MaxValueValidator(1000)])
    api_key = columns.CharField(max_length=40, null=True)
    password_hash = columns.CharField(max_length=40, null=True)
    keyword = columns.CharField(max_length=40, null=True)
    created = columns.DatetimeField(auto_now_add=True)

    @property
    def shouted(self):
        return self.name.upper()


Apps(None, ConnectionHandler()).init_app('models', [sys.modules[__name__]])

NAMES = 'id shop maker similar name code price stock api_key password_hash keyword created'
ALL = tuple(NAMES.split())


class ItemSchema(ModelSchema):
    class Meta:
        model = Item
        fields = ALL


def errors(data, schema=ItemSchema, **options):
    with pytest.raises(ValidationError) as caught:
        schema().load(data, **options)
    return caught.value.messages


def test_fields_come_in_the_order_in_which_they_are_named():
    assert tuple(ItemSchema().fields) == ALL


def test_what_the_database_makes_is_only_dumped():
    assert {name for name, field in ItemSchema().fields.items() if field.dump_only} == {'id', 'created'}


def test_what_proves_an_identity_is_only_loaded():
    assert {name for name, field in ItemSchema().fields.items() if field.load_only} == {'api_key', 'password_hash'}


@pytest.mark.parametrize('name', ['password', 'userPassword', 'secret', 'client_secret', 'token', 'apikey', 'key'])
def test_names_of_secrets(name):
    from colibris.persist.conversion import is_secret

    assert is_secret(name)


@pytest.mark.parametrize('name', ['keyboard', 'sort_key', 'foreign_key', 'tokenizer', 'secretary', 'name'])
def test_names_of_no_secrets(name):
    from colibris.persist.conversion import is_secret

    assert not is_secret(name)


def test_what_has_a_default_or_may_be_null_is_not_required():
    assert set(errors({})) == {'name', 'shop'}


def test_null_is_taken_where_the_column_takes_it():
    assert set(errors({'name': None, 'shop': None, 'code': None, 'stock': None})) == {'name', 'shop', 'stock'}


def test_the_validators_of_the_model_count():
    found = errors({'shop': 1, 'name': 'x', 'code': 'A', 'stock': 1001})
    assert set(found) == {'name', 'code', 'stock'}


def test_lengths_and_digits_are_those_of_the_column():
    assert set(errors({'shop': 1, 'name': 'x' * 11, 'price': '12345.00'})) == {'name', 'price'}
    assert set(errors({'shop': 1, 'name': 'xx', 'price': '1.001'})) == {'price'}


def test_a_relation_is_loaded_into_its_column():
    assert ItemSchema().load({'shop': '3', 'name': 'xx', 'similar': [1, 2, 1]}) == {
        'shop_id': 3,
        'name': 'xx',
        'similar': [1, 2],
    }


def test_a_relation_is_dumped_as_its_id():
    item = Item(id=1, shop_id=3, name='xx', created=datetime(2026, 1, 1, tzinfo=UTC), price=Decimal(2))
    dumped = ItemSchema(exclude=('similar',)).dump(item)
    assert (dumped['shop'], dumped['maker'], dumped['price']) == (3, None, '2.00')
    assert dumped['created'] == '2026-01-01T00:00:00+00:00'
    assert 'api_key' not in dumped


def test_what_is_unknown_is_refused():
    assert errors({'shop': 1, 'name': 'xx', 'nmae': 'x'}) == {'nmae': ['Unknown field.']}


def test_the_description_of_a_column_is_handed_on():
    class ShopSchema(ModelSchema):
        class Meta:
            model = Shop
            fields = ('name',)

    assert ShopSchema().fields['name'].metadata['description'] == 'What is written above the door.'


def test_a_field_that_is_declared_wins():
    class Declared(ModelSchema):
        name = fields.Integer()
        extra = fields.String()

        class Meta:
            model = Item
            fields = ('stock', 'name')

    schema = Declared()
    assert list(schema.fields) == ['stock', 'name', 'extra']
    assert type(schema.fields['name']) is fields.Integer


def test_options_name_what_is_otherwise():
    class Otherwise(ModelSchema):
        class Meta:
            model = Item
            fields = ('id', 'name', 'stock', 'api_key')
            read_only = ('name',)
            write_only = ('stock',)
            read_write = ('api_key', 'id')

    schema = Otherwise()
    assert set(schema.load_fields) == {'id', 'stock', 'api_key'}
    assert set(schema.dump_fields) == {'id', 'name', 'api_key'}


def test_a_nested_relation_is_dumped_and_loaded_only_if_said_so():
    class ShopSchema(ModelSchema):
        class Meta:
            model = Shop
            fields = ('id', 'name')

    class Nested(ModelSchema):
        shop = fields.Nested(ShopSchema)
        maker = fields.Nested(ShopSchema)
        similar = fields.List(fields.Nested(lambda: ItemSchema(only=('id',))))

        class Meta:
            model = Item
            fields = ('shop', 'shop_id')
            read_write = ('maker',)

    schema = Nested()
    assert set(schema.load_fields) == {'shop_id', 'maker'}
    assert set(schema.dump_fields) == {'shop', 'shop_id', 'maker', 'similar'}


def test_relations_from_the_other_side_are_dumped_as_ids():
    class ShopSchema(ModelSchema):
        class Meta:
            model = Shop
            fields = ('id', 'items')

    assert set(ShopSchema().load_fields) == set()


def test_a_schema_can_narrow_another_one():
    class Full(ModelSchema):
        shouted = fields.Method('shout')

        class Meta:
            model = Item
            fields = ('id', 'name')

        def shout(self, item):
            return item.name.upper()

    class Same(Full):
        stock = fields.Integer()

    class Narrow(Full):
        class Meta:
            model = Item
            fields = ('id',)

    assert list(Same().fields) == ['id', 'name', 'shouted', 'stock']
    assert list(Narrow().fields) == ['id']


def test_fields_of_schemas_without_a_model_are_shared():
    class Stamped(Schema):
        stamp = fields.Constant('now')

    class Base(ModelSchema):
        note = fields.String()

        class Meta:
            abstract = True

    class Both(Base, Stamped):
        class Meta:
            model = Item
            fields = ('id',)

    assert set(Both().fields) == {'id', 'note', 'stamp'}
    with pytest.raises(TypeError, match='Base is abstract'):
        Base()


def test_marshmallows_options_work():
    assert list(ItemSchema(only=('name', 'id')).fields) == ['name', 'id']
    assert ItemSchema(partial=True).load({'stock': 1}) == {'stock': 1}
    assert len(ItemSchema(many=True, only=('name',)).load([{'name': 'ab'}, {'name': 'cd'}])) == 2


def declare(**meta):
    return type('Wrong', (ModelSchema,), {'Meta': type('Meta', (), meta)})


@pytest.mark.parametrize(
    ('meta', 'said'),
    [
        ({}, 'must have "model"'),
        ({'model': Item}, 'must have "fields"'),
        ({'model': Item, 'fields': ()}, 'must have "fields"'),
        ({'model': Item, 'fields': '__all__'}, 'no way to say "all"'),
        ({'model': Item, 'fields': ('__all__',)}, 'no way to say "all"'),
        ({'model': Item, 'fields': 'name'}, 'one by one'),
        ({'model': 'Item', 'fields': ('id',)}, "not 'Item'"),
        ({'model': Item, 'fields': ('nmae',)}, "Item has no field 'nmae'; did you mean 'name'"),
        ({'model': Item, 'fields': ('shouted',)}, 'is no column and no relation; declare in the schema'),
        ({'model': Item, 'fields': ('id',), 'readonly': ('id',)}, "no option 'readonly'; did you mean 'read_only'"),
        ({'model': Item, 'fields': ('id',), 'read_only': ('name',)}, "names 'name', which is no field of it"),
    ],
)
def test_a_mistake_is_told_when_the_schema_is_declared(meta, said):
    with pytest.raises(TypeError, match=said):
        declare(**meta)


def test_relations_that_are_not_known_yet_are_waited_for():
    class Later(Model):
        id = columns.IntField(primary_key=True)
        name = columns.CharField(max_length=5)
        item = columns.ForeignKeyField('models.Item')

    names = declare(model=Later, fields=('name',))
    relation = declare(model=Later, fields=('name', 'item'))
    assert list(names().fields) == ['name']
    with pytest.raises(TypeError, match='models are not set up yet'):
        relation()
