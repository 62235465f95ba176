"""What compiled schemas load, beyond what the differential test compares: effects, changes, depth, JSON, threads."""

import copy
import pickle
import threading

import pytest
from marshmallow.experimental.context import Context

from colibris.api import ParseError, encode_json
from colibris.schemas import (
    EXCLUDE,
    INCLUDE,
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validate,
    validates,
    validates_schema,
)
from colibris.schemas.compiled import dumper, loader


class Address(Schema):
    city = fields.String(required=True, validate=validate.Length(max=5))


class Person(Schema):
    name = fields.String(required=True)
    age = fields.Integer(load_default=1)
    address = fields.Nested(Address)
    tags = fields.List(fields.String())


class Tree(Schema):
    value = fields.Integer(required=True)
    children = fields.List(fields.Nested(lambda: Tree()))


@pytest.fixture(params=['load', 'loader', 'json'])
def load(request):
    """Loads by a schema in each of the ways there are, when its code is made."""

    def load(schema, data):
        if request.param == 'load':
            loader(schema)  # which is made when the schema has been used a few times
            return schema.load(data)
        return loader(schema)(data) if request.param == 'loader' else loader(schema).json(encode_json(data))

    return load


def test_data_is_loaded_in_the_order_of_the_schema(load):
    data = {'tags': ['a'], 'address': {'city': 'Ulm'}, 'name': 'Ann'}
    loaded = load(Person(), data)
    assert list(loaded.items()) == [
        ('name', 'Ann'),
        ('age', 1),
        ('address', {'city': 'Ulm'}),
        ('tags', ['a']),
    ]


def test_errors_are_those_of_marshmallow(load):
    with pytest.raises(ValidationError) as caught:
        load(Person(), {'address': {'city': 'London', 'x': 1}, 'tags': [1]})
    assert caught.value.messages == {
        'name': ['Missing data for required field.'],
        'address': {'city': ['Longer than maximum length 5.'], 'x': ['Unknown field.']},
        'tags': {0: ['Not a valid string.']},
    }


def test_what_is_loaded_shares_nothing_with_what_was_given():
    data = {'name': 'Ann', 'tags': ['a'], 'address': {'city': 'Ulm'}}
    loaded = loader(Person())(data)
    assert loaded['tags'] is not data['tags']
    assert loaded['address'] is not data['address']


def test_code_that_may_have_effects_runs_once_for_a_value(load):
    calls = []

    class Counted(Schema):
        first = fields.String(validate=calls.append)
        second = fields.Function(deserialize=lambda value: calls.append(value) or value)
        third = fields.Integer(load_default=lambda: calls.append('default'))
        wrong = fields.Integer()
        inner = fields.Nested(Schema.from_dict({'deep': fields.String(validate=calls.append)}))

    with pytest.raises(ValidationError):
        load(Counted(), {'first': 'a', 'second': 'b', 'wrong': 'x', 'inner': {'deep': 'c'}})
    assert calls == ['a', 'b', 'default', 'c']


def test_hooks_run_in_their_order(load):
    class Hooked(Schema):
        name = fields.String(required=True)

        @pre_load
        def strip(self, data, **kwargs):
            return {'name': data['name'].strip()}

        @validates('name')
        def no_x(self, value, data_key):
            if value == 'x':
                raise ValidationError('No x.')

        @validates_schema
        def no_y(self, data, **kwargs):
            if data['name'] == 'y':
                raise ValidationError('No y.')

        @post_load
        def wrap(self, data, **kwargs):
            return ('wrapped', data)

    assert load(Hooked(), {'name': ' Ann '}) == ('wrapped', {'name': 'Ann'})
    for name, messages in {'x ': {'name': ['No x.']}, ' y': {'_schema': ['No y.']}}.items():
        with pytest.raises(ValidationError) as caught:
            load(Hooked(), {'name': name})
        assert caught.value.messages == messages


def test_a_hook_may_change_the_fields_before_they_are_read(load):
    class Delivery(Schema):
        kind = fields.String()
        street = fields.String(validate=[validate.Length(max=5)])

        @pre_load
        def adapt(self, data, **kwargs):
            self.fields['street'].required = data['kind'] == 'post'
            if data['kind'] == 'far':
                self.fields['street'].validators.clear()
            return data

    schema = Delivery()
    for _ in range(3):
        assert load(schema, {'kind': 'shop'}) == {'kind': 'shop'}
        with pytest.raises(ValidationError, match='Missing data'):
            load(schema, {'kind': 'post'})
        with pytest.raises(ValidationError, match='Longer than'):
            load(schema, {'kind': 'shop', 'street': 'Acacia Avenue'})
    assert load(schema, {'kind': 'far', 'street': 'Acacia Avenue'})['street'] == 'Acacia Avenue'


def test_the_context_reaches_code_of_yours(load):
    class Suffixed(Schema):
        name = fields.Function(deserialize=lambda value: value + Context.get()['suffix'])

    with Context({'suffix': '!'}):
        assert load(Suffixed(), {'name': 'Ann'}) == {'name': 'Ann!'}


def test_an_overridden_load_is_called(load):
    class Own(Person):
        def load(self, data, **kwargs):
            return {'own': super().load(data, **kwargs)}

    schema = Own()
    for _ in range(4):
        assert load(schema, {'name': 'Ann'}) == {'own': {'name': 'Ann', 'age': 1}}


def test_handle_error_is_called_with_the_error(load):
    seen = []

    class Handling(Person):
        def handle_error(self, error, data, **kwargs):
            seen.append((error.messages, data, kwargs))

    with pytest.raises(ValidationError):
        load(Handling(), {})
    assert seen == [({'name': ['Missing data for required field.']}, {}, {'many': False, 'partial': None})]


def test_options_may_differ_from_call_to_call():
    schema = Person()
    loader(schema)
    for _ in range(3):
        assert schema.load({'address': {}}, partial=True) == {'address': {}}
        assert schema.load({'name': 'a', 'address': {}}, partial=['address.city']) == {
            'name': 'a',
            'age': 1,
            'address': {},
        }
        assert schema.load([{'name': 'a', 'x': 1}], many=True, unknown=EXCLUDE) == [{'name': 'a', 'age': 1}]
        assert schema.load({'name': 'a', 'x': 1}, unknown=INCLUDE) == {'name': 'a', 'age': 1, 'x': 1}


def test_options_that_are_set_later_hold(load):
    schema = Person()
    load(schema, {'name': 'a'})
    schema.unknown = EXCLUDE
    schema.partial = True
    assert load(schema, {'x': 1}) == {}
    schema.many = True
    assert load(schema, [{}]) == [{}]


def test_a_copy_loads_by_its_own_fields():
    schema = Person()
    loader(schema)({'name': 'a'})
    other = copy.copy(schema)
    other.exclude = {'age'}
    other._init_fields()
    assert loader(other)({'name': 'a'}) == {'name': 'a'}
    assert loader(schema)({'name': 'a'}) == {'name': 'a', 'age': 1}
    clone = copy.deepcopy(schema)
    assert loader(clone)({'name': 'a'}) == {'name': 'a', 'age': 1}
    assert loader(clone).schema is clone


def test_a_compiled_schema_can_be_pickled():
    schema = Address()
    loader(schema)({'city': 'Ulm'})
    dumper(schema)({'city': 'Ulm'})
    assert pickle.loads(pickle.dumps(schema)).load({'city': 'Ulm'}) == {'city': 'Ulm'}


def tree(depth):
    found = {'value': 0, 'children': []}
    for value in range(1, depth):
        found = {'value': value, 'children': [found]}
    return found


def test_schemas_may_nest_themselves(load):
    data = tree(40)
    assert load(Tree(), data) == data
    with pytest.raises(ValidationError) as caught:
        load(Tree(), {'value': 1, 'children': [{'value': 'x'}]})
    assert caught.value.messages == {'children': {0: {'value': ['Not a valid integer.']}}}


def test_what_is_nested_too_deeply_is_too_deep_as_for_marshmallow():
    with pytest.raises(RecursionError):
        loader(Tree())(tree(900))


@pytest.mark.parametrize('raw', [b'', b'{', b'{"a": NaN}', b'"\xff"', b'{"name": "a"} x', b'[' * 100_000])
def test_json_that_is_malformed_is_refused_as_such(raw):
    load = loader(Person())
    for _ in range(5):
        load.json(b'{"name": "a"}')
        with pytest.raises(ParseError):
            load.json(raw)


def test_json_keeps_the_last_of_equal_keys():
    load = loader(Person())
    for _ in range(5):
        assert load.json(b'{"name": 5, "age": 2, "name": "b", "tags": [1], "tags": ["c"]}') == {
            'name': 'b',
            'age': 2,
            'tags': ['c'],
        }


def test_json_may_be_of_other_types_than_the_code_expects():
    load = loader(Person())
    for _ in range(300):
        assert load.json(b'{"name": "a", "age": "7"}') == {'name': 'a', 'age': 7}


def test_threads_may_share_a_schema():
    schema, found = Person(), []
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        for number in range(200):
            found.append(schema.load({'name': 'a', 'age': number}) == {'name': 'a', 'age': number})
            found.append(bool(schema.validate({'age': number})))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3200
    assert all(found)


def test_a_patched_field_is_left_to_marshmallow(monkeypatch):
    monkeypatch.setattr(fields.String, '_deserialize', lambda self, value, *args, **kwargs: f'patched {value}')
    assert loader(Person())({'name': 'a'}) == {'name': 'patched a', 'age': 1}


def test_a_schema_is_compiled_when_it_has_been_used_a_few_times():
    def compiled(schema):
        return not all(isinstance(value, int) for key, value in vars(schema).items() if key.startswith('_colibris'))

    schema = Person()
    schema.load({'name': 'a'})
    schema.dump({'name': 'a'})
    assert not compiled(schema)
    for _ in range(10):
        schema.load({'name': 'a'})
    assert compiled(schema)


def test_code_is_shown_in_tracebacks():
    class Odd(Schema):
        name = fields.Function(serialize=lambda obj: 1 / 0)

    with pytest.raises(ZeroDivisionError) as caught:
        dumper(Odd())({})
    shown = [str(entry.statement) for entry in caught.traceback]
    assert any("'name', o)" in line for line in shown)
