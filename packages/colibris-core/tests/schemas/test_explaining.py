"""What a schema tells about what is compiled of it."""

import marshmallow
import pytest

from colibris.schemas import Schema, fields, post_dump, pre_load, validate
from colibris.schemas.compiled.explaining import How, explain


class Address(Schema):
    city = fields.String(required=True)


class Order(Schema):
    email = fields.Email(required=True)
    quantity = fields.Integer(validate=validate.Range(min=1))
    address = fields.Nested(Address)


def test_what_is_all_compiled_says_so():
    found = Order().explain()
    assert (found.load.how, found.dump.how) == (How.COMPILED, How.COMPILED)
    assert found.load.fields == {'email': '', 'quantity': '', 'address': ''}


def test_a_schema_of_marshmallow_is_compiled_too():
    class Plain(marshmallow.Schema):
        name = fields.String()

    assert explain(Plain()).load.how is How.COMPILED


def test_code_of_yours_is_called_by_the_field_and_named():
    def check_stock(value):
        pass

    class Sold(Order):
        quantity = fields.Integer(validate=check_stock)
        taken = fields.Function(lambda order: 1, lambda value: value)

    found = Sold().explain()
    assert found.load.how is How.BY_FIELD
    assert 'check_stock may have effects' in found.load.why
    assert found.load.fields == {'email': '', 'quantity': '', 'address': '', 'taken': 'Function calls code of yours'}
    assert found.dump.how is How.COMPILED


@pytest.mark.parametrize('derived', [False, True])
def test_hooks_leave_our_schemas_to_their_fields_and_marshmallows_whole(derived):
    class Hooked(Schema if derived else marshmallow.Schema):
        name = fields.String()

        @pre_load
        def strip(self, data, **kwargs):
            return data

        @post_dump
        def wrap(self, data, **kwargs):
            return data

    found = explain(Hooked())
    how = How.BY_FIELD if derived else How.MARSHMALLOW
    assert (found.load.how, found.dump.how) == (how, how)
    assert 'strip' in found.load.why
    assert 'wrap' in found.dump.why


def test_an_overridden_method_leaves_the_schema_to_marshmallow():
    class Own(Order):
        def get_attribute(self, obj, attr, default):
            return super().get_attribute(obj, attr, default)

    found = Own().explain()
    assert found.load.how is How.COMPILED
    assert found.dump.how is How.MARSHMALLOW
    assert 'get_attribute' in found.dump.why


def test_a_nested_schema_with_hooks_is_named():
    class Wrapped(Address):
        @post_dump
        def wrap(self, data, **kwargs):
            return data

    class Sent(Schema):
        addresses = fields.List(fields.Nested(Wrapped))

    assert 'wrap' in Sent().explain().dump.fields['addresses']


def test_it_reads_as_text():
    text = str(Order().explain())
    assert text.splitlines()[:3] == ['Order', 'load: compiled', '  email     compiled']
