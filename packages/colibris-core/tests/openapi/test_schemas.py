"""Component schemas: which forms of a schema there are, and how they are called."""

from types import ModuleType

import pytest

from colibris.openapi.schemas import SchemaRegistry
from colibris.schemas import EXCLUDE, INCLUDE, Schema, fields, post_dump, pre_load


class UserSchema(Schema):
    """Somebody who buys."""

    id = fields.Integer(dump_only=True, required=True)
    name = fields.String(required=True)
    password = fields.String(required=True, load_only=True)


class OrderSchema(Schema):
    number = fields.Integer(required=True)
    note = fields.String(load_default='')
    user = fields.Nested(UserSchema)


class PlainSchema(Schema):
    name = fields.String(required=True)


class TreeSchema(Schema):
    name = fields.String(required=True)
    parent = fields.Nested(lambda: TreeSchema(only=('name',)))
    children = fields.List(fields.Nested(lambda: TreeSchema()))


BOTH = ('request', 'form')


def named(*uses):
    """Register *uses*: schema, direction and, as a rule, role; return the components and the name of each use."""
    registry = SchemaRegistry()
    references = [registry.reference(*use)['$ref'] for use in uses]
    components, final = registry.name_all()
    return components, [final[reference].rpartition('/')[2] for reference in references]


def test_what_is_got_bears_the_plain_name_and_what_is_sent_says_so():
    components, names = named((UserSchema(), 'request', 'Create'), (UserSchema(), 'response'))
    assert names == ['UserRequest', 'User']
    assert list(components['User']['properties']) == ['id', 'name']
    assert list(components['UserRequest']['properties']) == ['name', 'password']


def test_a_dump_only_field_is_not_required_of_a_request():
    components, _ = named((UserSchema(), 'request'), (UserSchema(), 'response'))
    assert components['UserRequest']['required'] == ['name', 'password']
    assert components['User']['required'] == ['id', 'name']


def test_a_schema_that_reads_the_same_both_ways_is_one_component():
    components, names = named((PlainSchema(), 'request', 'Create'), (PlainSchema(), 'response'))
    assert names == ['Plain', 'Plain']
    assert list(components) == ['Plain']


def test_a_partial_schema_is_a_patch_without_required_fields_and_defaults():
    components, names = named((OrderSchema(partial=True), 'request', 'Patch'), (OrderSchema(), 'request', 'Create'))
    assert names == ['OrderPatch', 'Order']
    assert 'required' not in components['OrderPatch']
    assert 'default' not in components['OrderPatch']['properties']['note']
    assert components['Order']['properties']['note']['default'] == ''


def test_partial_reaches_what_is_nested():
    components, _ = named((OrderSchema(partial=True), 'request', 'Patch'))
    assert components['OrderPatch']['properties']['user'] == {'$ref': '#/components/schemas/UserPatch'}
    assert 'required' not in components['UserPatch']


def test_partial_may_name_the_fields():
    components, _ = named((OrderSchema(partial=('number',)), 'request'))
    assert 'required' not in components['Order']


@pytest.mark.parametrize(('role', 'name'), [('Create', 'UserCreate'), ('Update', 'UserUpdate'), ('Patch', 'UserPatch')])
def test_a_part_of_a_schema_is_named_by_what_it_is_for(role, name):
    _, names = named((UserSchema(only=('name',)), 'request', role), (UserSchema(), 'response'))
    assert names == [name, 'User']


def test_a_nested_part_of_a_schema_is_named_by_where_it_is_nested():
    components, names = named((TreeSchema(), 'response'))
    assert names == ['Tree']
    assert list(components) == ['Tree', 'TreeParent']
    assert list(components['TreeParent']['properties']) == ['name']


def test_a_schema_may_nest_itself():
    components, _ = named((TreeSchema(), 'response'), (TreeSchema(), 'request'))
    itself = {'type': 'array', 'items': {'$ref': '#/components/schemas/Tree'}}
    assert components['Tree']['properties']['children'] == itself
    assert list(components) == ['Tree', 'TreeParent'], 'what is sent reads the same as what is got'


def test_a_form_is_of_its_own_only_where_null_is_allowed():
    class Nullable(Schema):
        name = fields.String(allow_none=True, load_default=None)

    components, names = named(
        (Nullable(), 'request'), (Nullable(), 'form'), (PlainSchema(), 'request'), (PlainSchema(), 'form')
    )
    assert names == ['Nullable', 'NullableForm', 'Plain', 'Plain']
    assert components['NullableForm']['properties'] == {'name': {'type': 'string'}}


def test_no_two_forms_share_a_name():
    parts = [('name',), ('password',), ('name', 'password')]
    components, names = named(*((UserSchema(only=part), 'request', 'Create') for part in parts))
    assert len(set(names)) == len(components) == 3


def test_schemas_of_one_name_are_told_apart_by_their_modules():
    module = ModuleType('shop.admin.schemas')
    exec(
        'from marshmallow import Schema, fields\nclass UserSchema(Schema):\n    level = fields.Integer()', vars(module)
    )
    module.UserSchema.__module__ = module.__name__
    _, names = named((module.UserSchema(), 'response'), (UserSchema(), 'response'))
    assert names[0] == 'AdminUser'
    assert names[1].endswith('User')
    assert names[1] != names[0]


def test_names_do_not_depend_on_the_order_of_the_operations():
    uses = [
        (UserSchema(), 'response'),
        (UserSchema(), 'request', 'Create'),
        (UserSchema(partial=True), 'request', 'Patch'),
    ]
    forwards, backwards = named(*uses), named(*reversed(uses))
    assert forwards[0] == backwards[0]
    assert forwards[1] == backwards[1][::-1]


def test_unknown_fields_are_allowed_as_the_schema_says():
    for unknown, allowed in ((EXCLUDE, None), (INCLUDE, True), ('raise', False)):
        components, _ = named((PlainSchema(unknown=unknown), 'request'))
        assert components['Plain'].get('additionalProperties') == allowed


def test_what_hooks_may_change_is_not_promised():
    class Renamed(Schema):
        name = fields.String(required=True)

        @pre_load
        def fold(self, data, **kwargs):
            return data

        @post_dump
        def wrap(self, data, **kwargs):
            return data

    components, _ = named((Renamed(), 'request'), (Renamed(), 'response'))
    assert not [component for component in components.values() if 'additionalProperties' in component]
    assert 'required' not in components['Renamed']


def test_a_schema_is_described_by_its_docstring():
    components, _ = named((UserSchema(), 'response'))
    assert components['User']['description'] == 'Somebody who buys.'


def test_fields_bear_the_names_that_travel():
    class Keyed(Schema):
        first_name = fields.String(data_key='firstName', required=True)

    components, _ = named((Keyed(), 'request'))
    assert list(components['Keyed']['properties']) == components['Keyed']['required'] == ['firstName']
