"""The conversions that the fields of columns declare, against the fields themselves."""

import datetime as dt
import enum
from decimal import Decimal
from random import Random
from types import SimpleNamespace

import marshmallow
import pytest
from random_values import NUMBERS, TEXTS, junk, outcome

from colibris.api import encode_json
from colibris.persist import columns, compiled  # noqa: F401  # declares
from colibris.schemas import Schema, fields, validate
from colibris.schemas.compiled import dumper, loader
from colibris.schemas.compiled.explaining import How, explain


class Size(enum.StrEnum):
    SMALL = 'small'
    LARGE = 'large'


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


ZONES = [None, dt.UTC, dt.timezone(dt.timedelta(hours=2))]
MOMENTS = [dt.datetime(2026, 1, 2, 3, 4, 5, micro, tzinfo=zone) for zone in ZONES for micro in (0, 500)]
MOMENTS += [dt.datetime.max.replace(tzinfo=ZONES[2]), dt.datetime.min.replace(tzinfo=ZONES[2])]
MEMBERS = [*Size, *Level, *(member.value for member in (*Size, *Level)), *(member.name for member in Size)]
DECIMALS = [Decimal('1.005'), Decimal('-0.001'), Decimal('1E+3'), Decimal('NaN'), Decimal('1e400')]
PERIODS = [dt.timedelta(days=1), dt.timedelta(microseconds=1), dt.timedelta.max]
IDS = [SimpleNamespace(id=5), SimpleNamespace(id='x'), [SimpleNamespace(id=5)], [1, '2', 2], []]
WORDS = ['aGVsbG8=', '+5', '1.50', '2026-01-15T10:30:00+00:00', '10:30', b'hello', {'a': [1, 'x', None]}, [[1]]]
VALUES = [None, True, *TEXTS, *NUMBERS, *WORDS, *MOMENTS, *MEMBERS, *DECIMALS, *PERIODS, *IDS]
VALUES += [*(moment.isoformat() for moment in MOMENTS), *(moment.time() for moment in MOMENTS)]

FIELDS = {
    'binary': lambda: columns.Binary(),
    'datetime': lambda: columns.DateTime(),
    'datetime_rfc': lambda: columns.DateTime(format='rfc'),
    'decimal': lambda: columns.Decimal(decimal_places=2, validate=columns.Digits(6, 2)),
    'float': lambda: columns.Float(),
    'integer': lambda: columns.Integer(validate=validate.Range(-5, 2**31)),
    'json': lambda: columns.JSON(),
    'level': lambda: columns.Enum(Level, numeric=True),
    'related_id': lambda: columns.RelatedId(columns.Integer(), id_attribute='id'),
    'related_ids': lambda: columns.RelatedIds(columns.Integer(), id_attribute='id'),
    'size': lambda: columns.Enum(Size, numeric=False, allow_none=True),
    'text': lambda: fields.String(validate=columns.Storable()),
    'time': lambda: columns.Time(),
    'timedelta': lambda: columns.TimeDelta(),
}


@pytest.mark.parametrize('name', FIELDS)
def test_columns_convert_as_their_fields_do(name):
    theirs = marshmallow.Schema.from_dict({'it': FIELDS[name]()})()
    ours = Schema.from_dict({'it': FIELDS[name](), 'all': fields.List(FIELDS[name]())})(partial=True)
    both = marshmallow.Schema.from_dict({'it': FIELDS[name](), 'all': fields.List(FIELDS[name]())})(partial=True)
    random = Random(name)
    for value in [*VALUES, *(junk(random) for _ in range(200))]:
        assert outcome(loader(theirs), {'it': value}) == outcome(theirs.load, {'it': value})
        data = {'it': value, 'all': [value, value]}
        assert outcome(loader(ours), data) == outcome(both.load, data)
        for obj in (data, SimpleNamespace(**data)):
            expected = outcome(both.dump, obj)
            assert outcome(dumper(ours), obj) == expected
            assert outcome(dumper(ours).json, obj) == outcome(encoded, both, obj)


def encoded(schema, obj):
    return encode_json(schema.dump(obj))


@pytest.mark.parametrize('name', sorted(FIELDS.keys() - {'datetime_rfc'}))
def test_columns_are_compiled(name):
    found = explain(Schema.from_dict({'it': FIELDS[name]()})())
    assert (found.load.how, found.dump.how) == (How.COMPILED, How.COMPILED)
    assert not any([*found.load.fields.values(), *found.dump.fields.values()])
