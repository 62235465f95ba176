"""What compiled schemas dump, beyond what the differential test compares: reading, mappings, JSON, changes."""

import datetime as dt
import enum
import re
import sys
import uuid
from collections import UserDict
from dataclasses import dataclass, field
from decimal import Decimal
from types import SimpleNamespace

import marshmallow
import pytest
from marshmallow.experimental.context import Context

from colibris.api import encode_json
from colibris.schemas import Schema, fields, post_dump, pre_dump
from colibris.schemas.compiled import DOUBT, declare, dumper, loader


class Address(Schema):
    city = fields.String()


class Person(Schema):
    id = fields.UUID()
    name = fields.String()
    born = fields.Date()
    seen_at = fields.DateTime()
    balance = fields.Decimal(as_string=True)
    score = fields.Float()
    address = fields.Nested(Address)
    tags = fields.List(fields.String())


PERSON = {
    'id': uuid.UUID(int=7),
    'name': 'Ann',
    'born': dt.date(2001, 2, 3),
    'seen_at': dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    'balance': Decimal('1.50'),
    'score': 2.5,
    'address': {'city': 'Ulm'},
    'tags': ['a'],
}
DUMPED = {
    'id': '00000000-0000-0000-0000-000000000007',
    'name': 'Ann',
    'born': '2001-02-03',
    'seen_at': '2026-01-02T03:04:05+00:00',
    'balance': '1.50',
    'score': 2.5,
    'address': {'city': 'Ulm'},
    'tags': ['a'],
}


class Record:
    """A row as a driver gives it: by key alone."""

    def __init__(self, values):
        self._values = values

    def __getitem__(self, key):
        return self._values[key]


@pytest.mark.parametrize('kind', [dict, UserDict, Record, lambda values: SimpleNamespace(**values)])
def test_any_object_is_dumped(kind):
    obj = kind({**PERSON, 'address': kind(PERSON['address'])})
    for dump in (dumper(Person()), Person().dump):
        assert dump(obj) == DUMPED
        assert list(dump(obj)) == list(DUMPED)
    assert dumper(Person()).json(obj) == encode_json(DUMPED)


def test_objects_of_different_kinds_may_come_together():
    kinds = [dict, Record, lambda values: SimpleNamespace(**values), UserDict]
    objects = [kind(PERSON) for kind in kinds * 2]
    dump = dumper(Person(), many=True)
    assert dump(objects) == [DUMPED] * 8
    assert dump.json(iter(objects)) == encode_json([DUMPED] * 8)


@pytest.mark.parametrize('kind', [dict, Record])
def test_rows_that_are_promised_to_have_all(kind):
    row = kind({**PERSON, 'address': None, 'tags': None})
    expected = {**DUMPED, 'address': None, 'tags': None}
    dump = dumper(Person(), many=True, mapping=True)
    assert dump([row]) == [expected]
    assert dump.json([row]) == encode_json([expected])


def test_what_is_missing_is_left_out_and_defaults_take_its_place():
    class Defaults(Person):
        name = fields.String(dump_default=lambda: 'nobody')
        score = fields.Float(dump_default=None)

    assert dumper(Defaults())({}) == {'name': 'nobody', 'score': None}
    assert dumper(Person()).json(SimpleNamespace(name='a')) == b'{"name":"a"}'


@pytest.mark.parametrize('kind', [dict, Record])
def test_a_default_takes_the_place_of_what_no_row_leads_to(kind):
    class Deep(Schema):
        city = fields.String(attribute='address.city', dump_default='nowhere')
        street = fields.String(attribute='address.street')

    dump = dumper(Deep(), mapping=True)
    assert dump(kind({'address': None})) == {'city': 'nowhere'}
    assert dump.json(kind({'address': None})) == b'{"city":"nowhere"}'
    assert dump(kind({'address': {'city': 'Ulm', 'street': None}})) == {'city': 'Ulm', 'street': None}


def test_attributes_are_read_once():
    reads = []

    class Counted:
        @property
        def name(self):
            reads.append('name')
            return 5

        @property
        def tags(self):
            reads.append('tags')
            yield '\ud800'

    for number, dump in enumerate((dumper(Person()), dumper(Person()).json), 1):
        try:
            dump(Counted())
        except UnicodeEncodeError:
            assert number == 2
        assert reads == ['name', 'tags'] * number


def test_what_is_dumped_shares_nothing_with_the_object():
    tags = ['a']
    dumped = dumper(Person())({'tags': tags})
    dumped['tags'].append('b')
    assert tags == ['a']


@dataclass
class Point:
    x: int = 1


ODD = [
    *(1e16, -1e17, 1e22, 5e-324, -0.0, float('nan'), float('inf'), 10**30, -(2**63) - 1, 2**64, True, None),
    *('\ud800', 'é\u2028\x7f\0"\\', b'x', object(), Decimal('1E+3'), uuid.UUID(int=1), Point()),
    *({1: 2}, {'a': {1, 2}}, (1, [2]), [[1.5], {'a': 1e300}]),
    *(dt.timedelta(1), dt.time(1, 2), dt.time(1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1)),
    dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
]


@pytest.mark.parametrize('value', ODD, ids=[f'{place}-{type(value).__name__}' for place, value in enumerate(ODD)])
@pytest.mark.parametrize('kind', [fields.Raw, fields.Float, fields.String, fields.Boolean, fields.DateTime])
def test_json_is_what_encode_json_writes(kind, value):
    def schema(base):
        return base.from_dict({'it': kind(), 'all': fields.List(kind()), 'by': fields.Dict(values=kind())})()

    ours, theirs = dumper(schema(Schema)), schema(marshmallow.Schema)
    obj = {'it': value, 'all': [value, value], 'by': {'k': value}}

    def encoded(encode):
        try:
            return encode(obj)
        except Exception as exc:
            return type(exc), str(exc)

    assert encoded(ours.json) == encoded(lambda obj: encode_json(theirs.dump(obj)))


def test_hooks_run_and_the_rest_is_compiled():
    class Hooked(Person):
        @pre_dump
        def unwrap(self, obj, **kwargs):
            return obj['person']

        @post_dump
        def wrap(self, data, **kwargs):
            return {'person': data}

    dump = dumper(Hooked(only=['name']), many=True)
    assert dump([{'person': {'name': 'Ann'}}]) == [{'person': {'name': 'Ann'}}]
    assert dump.json([{'person': {'name': 'Ann'}}]) == b'[{"person":{"name":"Ann"}}]'


def test_a_hook_may_change_the_fields_before_they_are_read():
    class Signed(Person):
        @pre_dump
        def sign(self, obj, **kwargs):
            self.dump_fields['name'].dump_default = obj.get('by', 'nobody')
            return obj

    schema = Signed(only=['name'])
    dump = dumper(schema)
    for _ in range(3):
        assert dump({}) == schema.dump({}) == {'name': 'nobody'}
        assert dump({'by': 'Ann'}) == schema.dump({'by': 'Ann'}) == {'name': 'Ann'}


def test_the_context_reaches_code_of_yours():
    class Suffixed(Schema):
        name = fields.Function(lambda obj: obj['name'] + Context.get()['suffix'])

    with Context({'suffix': '!'}):
        assert dumper(Suffixed())({'name': 'Ann'}) == {'name': 'Ann!'}


def test_overridden_methods_are_called():
    class Own(Person):
        def get_attribute(self, obj, attr, default):
            return f'own {attr}'

    class Dumping(Person):
        def dump(self, obj, **kwargs):
            return {'own': super().dump(obj, **kwargs)}

    assert dumper(Own(only=['name']))({}) == {'name': 'own name'}
    assert dumper(Dumping(only=['name']))({'name': 'a'}) == {'own': {'name': 'a'}}
    assert dumper(Dumping(only=['name'])).json({'name': 'a'}) == b'{"own":{"name":"a"}}'


@dataclass
class Node:
    name: str
    children: list = field(default_factory=list)


class NodeSchema(Schema):
    name = fields.String()
    children = fields.List(fields.Nested(lambda: NodeSchema()))
    first = fields.Pluck('NodeSchema', 'name', attribute='children', many=True, dump_only=True)


def test_schemas_may_nest_themselves():
    node = Node('a', [Node('b'), Node('c', [Node('d')])])
    expected = {
        'name': 'a',
        'children': [
            {'name': 'b', 'children': [], 'first': []},
            {'name': 'c', 'children': [{'name': 'd', 'children': [], 'first': []}], 'first': ['d']},
        ],
        'first': ['b', 'c'],
    }
    assert dumper(NodeSchema())(node) == expected
    assert dumper(NodeSchema()).json(node) == encode_json(expected)


def test_what_goes_in_a_circle_is_a_recursion_error():
    node = Node('a')
    node.children.append(node)
    with pytest.raises(RecursionError):
        dumper(NodeSchema(exclude=['first']))(node)


def test_fields_that_are_selected_later_hold():
    schema = Person()
    dump = dumper(schema)
    assert dump({'name': 'a', 'score': 1.5}) == {'name': 'a', 'score': 1.5}
    schema.only = schema.set_class(['name'])
    schema._init_fields()
    assert dump({'name': 'a', 'score': 1.5}) == {'name': 'a'}


class Celsius(fields.Field):
    """A field of a stranger."""

    def _serialize(self, value, attr, obj, **kwargs):
        return f'{value} °C'

    def _deserialize(self, value, attr, data, **kwargs):
        if not isinstance(value, str):
            raise self.make_error('validator_failed')
        return float(value.removesuffix(' °C'))


def test_a_strangers_field_is_compiled_if_it_declares_conversions():
    class Weather(Schema):
        now = Celsius(required=True)
        past = fields.List(Celsius())

    assert 'declares no conversion' in Weather().explain().load.why
    declare(
        Celsius,
        load=lambda field: lambda value: float(value[:-3]) if value.endswith(' °C') else DOUBT,
        dump=lambda field: lambda value: f'{value} °C' if type(value) is float else DOUBT,
    )
    assert 'marshmallow' not in str(Weather().explain())
    assert dumper(Weather())({'now': 1.5, 'past': [2, None]}) == {'now': '1.5 °C', 'past': ['2 °C', 'None °C']}
    assert Weather().load({'now': '1.5 °C', 'past': ['2']}) == {'now': 1.5, 'past': [2.0]}


class Grade(fields.Field):
    """A field of a stranger, which shows numbers as they are, and all else as text."""

    def _serialize(self, value, attr, obj, **kwargs):
        return value if value is None or type(value) is float else str(value)


def test_values_that_a_strangers_field_leaves_as_they_are_are_dumped_so():
    class Exam(Schema):
        grade = Grade(dump_default=0.5)

    asked = []

    def dump_grade(field):
        return lambda value: asked.append(value) or DOUBT

    declare(Grade, dump=dump_grade, same=lambda field: float)
    assert 'marshmallow' not in str(Exam().explain().dump)
    given = [1.5, 1e300, float('nan'), 2, 2**70, None, 'a']
    for value in given:
        assert str(dumper(Exam())({'grade': value})) == str({'grade': Grade()._serialize(value, '', None)})
    assert asked == [2, 2**70, 'a']
    assert [dumper(Exam()).json({'grade': value}) for value in given] == [
        encode_json(Exam().dump({'grade': value})) for value in given
    ]
    assert dumper(Exam()).json({}) == b'{"grade":0.5}'


@pytest.mark.parametrize('cls', [bool, bytes, 'float'])
def test_what_a_field_cannot_dump_as_it_is_is_refused(cls):
    class Own(fields.Field):
        pass

    allowed = f'{re.escape(repr(cls))}; it may name int, float, str, datetime, or be None'
    with pytest.raises(TypeError, match=f'same of .*Own names {allowed}'):
        declare(Own, same=lambda field: cls)
    with pytest.raises(TypeError, match=f'same of .*Own is {re.escape(repr(cls))}; it must be a function'):
        declare(Own, same=cls)

    class Wanting(fields.Field):
        def __init__(self, cls, **kwargs):
            super().__init__(**kwargs)
            self.cls = cls

    declare(Wanting, dump=lambda field: lambda value: value, same=lambda field: field.cls)  # which no field tells yet
    explained = Schema.from_dict({'good': Wanting(str), 'none': Wanting(None), 'bad': Wanting(cls)})().explain().dump
    assert (explained.fields['good'], explained.fields['none']) == ('', '')
    assert 'it may name int, float, str, datetime' in explained.fields['bad']


def test_schemas_need_no_other_part_of_colibris(tmp_path):
    import subprocess

    source = (
        'from colibris.schemas import Schema, fields\n'
        'from colibris.schemas.compiled import dumper, loader\n'
        'class Item(Schema):\n'
        '    name = fields.String(required=True)\n'
        'assert loader(Item()).json(b\'{"name": "Tea"}\') == {"name": "Tea"}\n'
        'assert dumper(Item()).json({"name": "Tea"}) == b\'{"name":"Tea"}\'\n'
        'import sys\n'
        'assert not [name for name in sys.modules if name.startswith("colibris.") and "schemas" not in name '
        'and name not in ("colibris._lazy", "colibris.api")]\n'
    )
    result = subprocess.run([sys.executable, '-c', source], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr


class Pretender:
    """An object that says it is a string, as some proxies and mocks do."""

    __class__ = str

    def __str__(self):
        return 'text'


def test_what_only_says_that_it_is_a_string_is_made_one():
    assert dumper(Person())({'name': Pretender()}) == {'name': 'text'}
    assert dumper(Person()).json({'name': Pretender()}) == b'{"name":"text"}'


class Name(enum.StrEnum):
    FIRST = 'first'


def test_names_may_be_strings_of_another_class():
    second = fields.String(data_key=Name.FIRST, load_only=True)
    schema = Schema.from_dict({Name.FIRST: fields.String(), 'second': second})()
    assert dumper(schema)({'first': 'a'}) == {'first': 'a'}
    assert loader(schema)({'first': 'a'}) == {'first': 'a', 'second': 'a'}


@pytest.mark.parametrize('name', ['ﬁ', 'ª', 'é'])
def test_names_beyond_ascii_are_read_as_they_are_written(name):
    obj = SimpleNamespace(**{name: 1})
    assert dumper(Schema.from_dict({name: fields.Integer()})())(obj) == {name: 1}
