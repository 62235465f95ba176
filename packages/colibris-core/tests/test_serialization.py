"""Values as bytes: what goes in comes out; what cannot is refused with its place."""

import contextlib
import enum
import struct
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colibris.serialization import MAX_EXTENSIONS, InvalidData, dumps, loads

ZONES = st.one_of(
    st.none(),
    st.sampled_from([UTC, ZoneInfo('Europe/Bucharest'), ZoneInfo('UTC'), timezone(timedelta(hours=2), 'EET')]),
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone),
)
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.dates(),
    st.times(timezones=ZONES),
    st.datetimes(timezones=ZONES),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
)
KEYS = st.one_of(HASHABLE, st.tuples(HASHABLE, HASHABLE), st.frozensets(HASHABLE, max_size=3))
VALUES = st.recursive(
    st.one_of(KEYS, st.sets(HASHABLE, max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=4),
    ),
    max_leaves=20,
)


def same(left, right):
    """Tell whether two values are equal, with equal types at every depth and the same time zones."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        pairs = zip(left.items(), right.items(), strict=True)
        return len(left) == len(right) and all(same(a, b) and same(x, y) for (a, x), (b, y) in pairs)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, set | frozenset):
        return left == right and sorted(map(repr, left)) == sorted(map(repr, right))
    return left == right and repr(left) == repr(right)


@given(VALUES)
def test_what_goes_in_comes_out(value):
    assert same(loads(dumps(value)), value)


@pytest.mark.parametrize(
    'value',
    [
        2**63,
        2**64,
        -(2**63) - 1,
        10**100,
        datetime(2026, 10, 25, 3, 30, fold=1, tzinfo=ZoneInfo('Europe/Bucharest')),
        time(12, fold=1),
        datetime.max,
        timedelta.min,
        Decimal('-0'),
        Decimal('1E+400'),
        Decimal('Infinity'),
        (),
        {(1, 2): {frozenset({3}): (4,)}},
    ],
    ids=repr,
)
def test_edges_of_types_survive(value):
    result = loads(dumps(value))
    assert same(result, value)
    assert getattr(result, 'fold', 0) == getattr(value, 'fold', 0)


def test_the_order_of_a_dictionary_survives():
    assert list(loads(dumps({'b': 1, 'a': 2, 'c': 3}))) == ['b', 'a', 'c']


def test_nan_survives():
    assert str(loads(dumps([float('nan'), Decimal('sNaN')]))) == "[nan, Decimal('sNaN')]"


def test_stored_bytes_are_read_by_every_later_version():
    stored = bytes.fromhex('83a174c70302920102a164c70a06323032362d30312d3032a169c70901010000000000000000')
    assert loads(stored) == {'t': (1, 2), 'd': date(2026, 1, 2), 'i': 2**64}
    assert dumps({'t': (1, 2), 'd': date(2026, 1, 2), 'i': 2**64}) == stored


class Colour(enum.Enum):
    RED = 'red'


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    pass


class Odd(tzinfo):
    def utcoffset(self, moment):
        return timedelta(0)


class Thing:
    pass


Point = namedtuple('Point', 'x y')


@pytest.mark.parametrize(
    ('value', 'place', 'reason'),
    [
        (Thing(), 'the value cannot', 'Thing'),
        ({'a': [0, 1, 2, Thing()]}, "at ['a'][3] ", 'none of those that can travel'),
        ([{'x': (1, {'y': Thing()})}], "at [0]['x'][1]['y'] ", 'Thing'),
        ({'a': Colour.RED}, "at ['a'] ", 'send its .value'),
        ([Level.LOW], 'at [0] ', 'send its .value'),
        ([Name('x')], 'at [0] ', 'subclass of str'),
        ({Name('x'): 1}, "at key 'x' ", 'subclass of str'),
        ([OrderedDict()], 'at [0] ', 'subclass of dict'),
        ([Point(1, 2)], 'at [0] ', 'subclass of tuple'),
        ({(1, Colour.RED): 1}, 'at key tuple[1] ', 'enum'),
        ([bytearray(b'x')], 'at [0] ', 'bytes(…)'),
        ([bytearray()], 'at [0] ', 'bytes(…)'),
        ([b'x', {memoryview(b'x'): 1}], 'at [1], key memoryview ', 'bytes(…)'),
        (([b'x', bytearray(b'x')],), 'at [0][1] ', 'bytes(…)'),
        (['\ud800'], 'at [0] ', 'Unicode'),
        ([datetime(2026, 1, 1, tzinfo=Odd())], 'at [0] ', 'time zone'),
        (len, 'the value cannot', 'builtin_function'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_what_cannot_travel_is_named_with_its_place(value, place, reason):
    with pytest.raises(TypeError) as caught:
        dumps(value)
    assert place in str(caught.value)
    assert reason in str(caught.value)


def test_bytes_that_hold_a_buffer_mark_are_no_buffer():
    assert loads(dumps([b'\xc4', 196, 'Ġ', 1.5])) == [b'\xc4', 196, 'Ġ', 1.5]


@pytest.mark.parametrize('kind', [list, tuple])
def test_a_value_that_contains_itself_is_refused(kind):
    inner = []
    value = kind([inner])
    inner.append(value)
    with pytest.raises(TypeError, match='nested too deep, or contains itself'):
        dumps(value)


def test_tuples_nest_to_the_limit_and_not_beyond():
    value = ()
    for _ in range(MAX_EXTENSIONS - 1):
        value = (value,)
    assert loads(dumps(value)) == value
    with pytest.raises(TypeError, match='nested too deep'):
        dumps((value,))


def extension(code, data):
    return b'\xc9' + struct.pack('>Ib', len(data), code) + data


def nested(levels):
    data = b'\x90'
    for _ in range(levels):
        data = extension(2, b'\x91' + data)
    return data


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'\xc1',
        b'\x01\x01',
        b'\x92\x01',
        b'\xa1\xff',
        b'\xdd\xff\xff\xff\xff',
        b'\x81\x90\x01',
        b'\x91' * 5000 + b'\xc0',
        nested(MAX_EXTENSIONS + 1),
        nested(2000),
        extension(99, b''),
        extension(2, b'\x01'),
        extension(3, msgpack.packb([[]])),
        extension(5, msgpack.packb([1, 2, 3])),
        extension(5, msgpack.packb(['2026-01-01', 7, None])),
        extension(5, msgpack.packb(['2026-01-01', 0, '../../etc/passwd'])),
        extension(5, msgpack.packb(['2026-01-01', 0, 'Europe'])),
        extension(5, msgpack.packb(['2026-01-01', 0, [2**62, 0, 0, None]])),
        extension(6, b'\xff'),
        extension(8, msgpack.packb([1, 2, None])),
        extension(9, b'ten'),
        extension(10, b'short'),
        extension(-1, b'x'),
    ],
    ids=repr,
)
def test_bytes_of_a_stranger_are_refused(data):
    with pytest.raises(InvalidData, match='no serialized value'):
        loads(data)


@given(st.binary(max_size=40), st.integers(-1, 12))
def test_no_bytes_cause_another_error(data, code):
    for candidate in (data, extension(code, data)):
        with contextlib.suppress(InvalidData):
            loads(candidate)


def test_what_is_not_bytes_is_a_type_error():
    with pytest.raises(TypeError):
        loads('text')


def test_uuid_travels_in_sixteen_bytes():
    value = uuid4()
    assert isinstance(value, UUID)
    assert len(dumps(value)) == 18
