"""From fields to JSON Schema: what is sent, and what is got."""

import datetime as dt
import enum
import re

import pytest

from colibris.openapi.converter import FieldConverter, ecma_pattern
from colibris.schemas import Schema, fields, validate


class Color(enum.Enum):
    RED = 1
    BLUE = 'blue'


class Named(Schema):
    id = fields.Integer(dump_only=True)
    name = fields.String()


def described(field, direction='response'):
    converter = FieldConverter(direction, lambda nested: {'$ref': f'#/{type(nested.schema).__name__}'})
    return converter.field2property(field)


@pytest.mark.parametrize(
    ('field', 'expected'),
    [
        (fields.Integer(), {'type': 'integer'}),
        (fields.Float(), {'type': 'number'}),
        (fields.String(), {'type': 'string'}),
        (fields.Boolean(), {'type': 'boolean'}),
        (fields.UUID(), {'type': 'string', 'format': 'uuid'}),
        (fields.Date(), {'type': 'string', 'format': 'date'}),
        (fields.DateTime(), {'type': 'string', 'format': 'date-time'}),
        (fields.AwareDateTime(), {'type': 'string', 'format': 'date-time'}),
        (fields.NaiveDateTime(), {'type': 'string'}),
        (fields.DateTime(format='timestamp'), {'type': 'number', 'minimum': 0, 'x-unit': 'seconds'}),
        (fields.DateTime(format='%d.%m.%Y'), {'type': 'string'}),
        (fields.TimeDelta(), {'type': 'number', 'x-unit': 'seconds'}),
        (fields.Email(), {'type': 'string', 'format': 'email'}),
        (fields.Url(), {'type': 'string', 'format': 'uri'}),
        (fields.Url(relative=True), {'type': 'string', 'format': 'uri-reference'}),
        (fields.IPv4(), {'type': 'string', 'format': 'ipv4'}),
        (fields.IP(), {'type': 'string', 'anyOf': [{'format': 'ipv4'}, {'format': 'ipv6'}]}),
        (fields.Raw(), {}),
        (fields.Constant(4), {'const': 4}),
        (fields.File(), {'type': 'string', 'format': 'binary', 'writeOnly': True}),
        (fields.Enum(Color), {'type': 'string', 'enum': ['RED', 'BLUE']}),
        (fields.Enum(Color, by_value=True), {'type': ['integer', 'string'], 'enum': [1, 'blue']}),
        (fields.List(fields.Integer()), {'type': 'array', 'items': {'type': 'integer'}}),
        (
            fields.Dict(values=fields.Date()),
            {'type': 'object', 'additionalProperties': {'type': 'string', 'format': 'date'}},
        ),
        (fields.Nested(Named), {'$ref': '#/Named'}),
        (fields.Pluck(Named, 'id', many=True), {'type': 'array', 'items': {'type': 'integer'}}),
        (
            fields.Tuple((fields.Integer(), fields.String())),
            {'type': 'array', 'prefixItems': [{'type': 'integer'}, {'type': 'string'}], 'minItems': 2, 'maxItems': 2},
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, fields.Field) else '',
)
def test_a_field_is_described_by_its_type(field, expected):
    assert described(field) == expected


@pytest.mark.parametrize('field', [fields.Decimal(), fields.Decimal(as_string=True)])
def test_a_decimal_is_answered_as_a_string(field):
    assert described(field) == {'type': 'string', 'format': 'decimal'}


def test_a_decimal_is_taken_as_a_string_or_a_number():
    sent = described(fields.Decimal(as_string=True), 'request')
    assert (sent['type'], sent['format'], sent['examples']) == (['string', 'number'], 'decimal', ['12.50'])
    for text in ('1', '-1.50', '+.5', '1e-3'):
        assert re.search(sent['pattern'], text)
    for text in ('', 'x', 'NaN', '1,5', '--1'):
        assert not re.search(sent['pattern'], text)


def test_a_validator_knows_better_which_decimals_are_taken():
    class Cents(validate.Validator):
        def json_schema(self, direction):
            return {'pattern': '^[0-9]+[.][0-9]{2}$', 'examples': ['1.00']}

        def __call__(self, value):
            return value

    sent = described(fields.Decimal(validate=Cents()), 'request')
    assert sent == {
        'type': ['string', 'number'],
        'format': 'decimal',
        'pattern': '^[0-9]+[.][0-9]{2}$',
        'examples': ['1.00'],
    }


def test_the_example_of_a_decimal_fits_its_range():
    between = fields.Decimal(validate=validate.Range(0, 1))
    assert described(between, 'request')['examples'] == ['0.5']
    assert described(fields.Decimal(validate=validate.Range(min=100)), 'request')['examples'] == ['100']


@pytest.mark.parametrize('text', ['12:30', '23:59:59', '12:30:00.5', '12:30Z', '12:30+02:00'])
def test_a_time_of_day_is_known_by_its_pattern(text):
    assert re.search(described(fields.Time())['pattern'], text)


def test_null_is_one_more_type():
    assert described(fields.Integer(allow_none=True)) == {'type': ['integer', 'null']}


def test_null_is_one_more_choice():
    field = fields.String(allow_none=True, validate=validate.OneOf(['a', 'b']))
    assert described(field) == {'type': ['string', 'null'], 'enum': ['a', 'b', None]}


def test_null_stands_beside_a_reference():
    assert described(fields.Nested(Named, allow_none=True)) == {'anyOf': [{'$ref': '#/Named'}, {'type': 'null'}]}


def test_null_stands_beside_the_kinds_of_an_address():
    assert {'type': 'null'} in described(fields.IP(allow_none=True))['anyOf']


def test_bounds_are_kept_with_what_they_exclude():
    field = fields.Integer(validate=validate.And(validate.Range(1), validate.Range(max=9, max_inclusive=False)))
    assert described(field) == {'type': 'integer', 'minimum': 1, 'exclusiveMaximum': 9}


def test_an_integer_that_fits_a_column_is_shown_by_a_small_one():
    assert described(fields.Integer(validate=validate.Range(-(2**31), 2**31 - 1)))['examples'] == [1]


def test_bounds_of_what_travels_as_a_string_are_an_extension():
    field = fields.Date(validate=validate.Range(min=dt.date(2026, 1, 31)))
    assert described(field) == {'type': 'string', 'format': 'date', 'x-minimum': '2026-01-31'}


def test_lengths_count_characters_items_or_properties():
    size = validate.Length(1, 3)
    assert described(fields.String(validate=size)) == {'type': 'string', 'minLength': 1, 'maxLength': 3}
    assert described(fields.List(fields.Raw(), validate=size)) == {
        'type': 'array',
        'items': {},
        'minItems': 1,
        'maxItems': 3,
    }
    assert described(fields.Dict(validate=size)) == {'type': 'object', 'minProperties': 1, 'maxProperties': 3}
    assert described(fields.String(validate=validate.Length(equal=2)))['minLength'] == 2


def test_the_narrowest_of_several_lengths_counts():
    field = fields.String(validate=[validate.Length(max=9), validate.Length(min=2, max=5)])
    assert described(field) == {'type': 'string', 'minLength': 2, 'maxLength': 5}


def test_choices_and_what_is_refused():
    assert described(fields.String(validate=validate.OneOf(['a', 'b'])))['enum'] == ['a', 'b']
    assert described(fields.String(validate=validate.Equal('a')))['enum'] == ['a']
    assert described(fields.String(validate=validate.NoneOf(['a'])))['not'] == {'enum': ['a']}


def test_choices_of_the_items_of_a_list():
    field = fields.List(fields.String(), validate=validate.ContainsOnly(['a', 'b']))
    assert described(field) == {'type': 'array', 'items': {'type': 'string', 'enum': ['a', 'b']}}


@pytest.mark.parametrize(
    ('pattern', 'expected'),
    [
        (r'[a-z]+$', '^[a-z]+$'),
        (r'^[a-z]+\Z', '^[a-z]+$'),
        (r'a|b', '^(?:a|b)'),
        (r'(?P<year>\d{4})', r'^(?<year>\d{4})'),
        (r'(?i)abc', None),
        (r'(?P<q>x)(?P=q)', None),
    ],
)
def test_a_pattern_is_translated_where_javascript_can_say_the_same(pattern, expected):
    assert ecma_pattern(re.compile(pattern)) == expected


def test_two_patterns_must_both_fit():
    field = fields.String(validate=[validate.Regexp('a'), validate.Regexp('b')])
    assert described(field)['allOf'] == [{'pattern': '^a'}, {'pattern': '^b'}]


def test_a_default_is_told_of_a_request_only():
    field = fields.Date(load_default=dt.date(2026, 1, 31))
    assert described(field, 'request')['default'] == '2026-01-31'
    assert 'default' not in described(field)
    assert 'default' not in described(fields.List(fields.Raw(), load_default=list), 'request')


def test_null_can_be_a_default():
    assert described(fields.Integer(load_default=None), 'request')['default'] is None


def test_what_is_only_sent_or_only_got_is_marked():
    assert described(fields.String(load_only=True), 'request') == {'type': 'string', 'writeOnly': True}
    assert described(fields.String(dump_only=True)) == {'type': 'string', 'readOnly': True}


def test_metadata_has_the_last_word():
    field = fields.Raw(metadata={'type': 'object', 'description': 'A tree.', 'x_kind': 'tree', 'mine': 1})
    assert described(field) == {'type': 'object', 'description': 'A tree.', 'x-kind': 'tree'}


def test_a_field_may_describe_itself():
    class Point(fields.Field):
        def json_schema(self, direction):
            return {'type': 'array', 'description': direction}

    sent = {'type': ['array', 'null'], 'description': 'request', 'writeOnly': True}
    assert described(Point(load_only=True, allow_none=True), 'request') == sent


def test_a_field_may_be_described_as_another():
    class Reference(fields.Field):
        described_as = fields.UUID()

    assert described(Reference(dump_only=True)) == {'type': 'string', 'format': 'uuid', 'readOnly': True}


def test_a_validator_may_describe_itself():
    class Even(validate.Validator):
        def json_schema(self, direction):
            return {'multipleOf': 2}

        def __call__(self, value):
            return value

    assert described(fields.Integer(validate=Even())) == {'type': 'integer', 'multipleOf': 2}
    both = described(fields.Integer(validate=[Even(), Even()]))
    assert both == {'type': 'integer', 'multipleOf': 2, 'allOf': [{'multipleOf': 2}]}
