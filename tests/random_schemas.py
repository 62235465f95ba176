"""Random schemas, inputs and objects, to compare what is compiled with marshmallow itself.

All is made by a `random.Random`, so that Hypothesis can steer and a seed can repeat it. A schema is made twice from
one `Spec`: from `marshmallow.Schema`, and from the class that is to be compared with it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

import marshmallow
from marshmallow import EXCLUDE, INCLUDE, RAISE, fields, validate
from random_code import HOOKS, Custom, Shouting, is_even
from random_values import NAMES, NUMBERS, TEXTS, Colour, Level, Size, junk

from colibris.schemas import fields as own_fields

ZONE = dt.timezone(dt.timedelta(hours=5, minutes=30))


@dataclass
class Member:
    """A field of a random schema: how to make it, and values for it."""

    make: Callable[[type[marshmallow.Schema]], fields.Field[Any]]
    given: Callable[[Random], Any]
    held: Callable[[Random], Any]
    data_key: str | None = None
    attribute: str | None = None


@dataclass
class Spec:
    """A random schema."""

    members: dict[str, Member]
    options: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def schema_class(self, base: type[marshmallow.Schema]) -> type[marshmallow.Schema]:
        """Make the class from *base*."""
        meta = type('Meta', (), {'register': False, 'include': {}, **self.meta})
        made = {name: member.make(base) for name, member in self.members.items()}
        meta.include = made  # type: ignore[attr-defined]  # names that are no identifiers
        return type('Random', (base,), {'Meta': meta, **self.body})

    def schema(self, base: type[marshmallow.Schema]) -> marshmallow.Schema:
        """Make an instance of the class from *base*."""
        return self.schema_class(base)(**self.options)

    def given(self, random: Random) -> Any:
        """Return data to load, most often good."""
        if random.random() < 0.03:
            return junk(random)
        data = {}
        for name, member in self.members.items():
            chance = random.random()
            if chance < 0.1:
                continue
            key = name if member.data_key is None else member.data_key
            data[key] = member.given(random) if chance < 0.93 else junk(random)
        if random.random() < 0.1:
            data[random.choice(['unknown', 'a', 'id', 'other'])] = junk(random)
        if random.random() < 0.3:
            pairs = list(data.items())
            random.shuffle(pairs)
            data = dict(pairs)
        if random.random() < 0.03:
            return OrderedDict(data)
        return data

    def held(self, random: Random) -> Any:
        """Return an object to dump, most often good."""
        if random.random() < 0.03:
            return junk(random)
        data: dict[str, Any] = {}
        for name, member in self.members.items():
            chance = random.random()
            if chance < 0.07:
                continue
            attribute = name if member.attribute is None else member.attribute
            value = member.held(random) if chance < 0.93 else junk(random)
            if '.' in attribute:
                first, second = attribute.split('.')
                data[first] = {second: value} if random.random() < 0.5 else SimpleNamespace(**{second: value})
            else:
                data[attribute] = value
        if random.random() < 0.5:
            return data
        return SimpleNamespace(**data)


def _validators(random: Random, kind: str) -> Any:
    numbers = [validate.Range(min=1), validate.Range(0, 100, max_inclusive=False), validate.Equal(1), is_even]
    texts = [
        *(validate.Length(max=8), validate.Length(1, 20), validate.Length(equal=3), validate.Regexp('[a-z]+$')),
        *(validate.OneOf(['abc', 'r', 'small', '1']), validate.NoneOf(('a', 'é')), validate.Email(), validate.URL()),
        validate.And(validate.Length(min=1), validate.OneOf(('abc', 'RED'))),
        validate.Predicate('isalpha'),
        validate.Email(error='{input} is no address'),
    ]
    lists = [validate.Length(max=2), validate.ContainsOnly(['a', 'abc', 1]), validate.ContainsNoneOf([2, 'é'])]
    pool = {'number': numbers, 'text': texts, 'list': lists}.get(kind, [])
    count = random.choice([0, 0, 0, 1, 1, 2])
    return random.sample(pool, count) if pool and count else None


def _common(random: Random, *, defaults: list[Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    chance = random.random()
    if chance < 0.3:
        options['required'] = True
    elif chance < 0.45:
        options['load_default'] = random.choice([None, list, lambda: 'made', *defaults])
    if random.random() < 0.2:
        options['allow_none'] = random.choice([True, False])
    if random.random() < 0.1:
        options['dump_default'] = random.choice([None, lambda: 'made', *defaults])
    if random.random() < 0.1:
        options[random.choice(['load_only', 'dump_only'])] = True
    if random.random() < 0.03:
        options[random.choice(['pre_load', 'post_load'])] = lambda value: value
    if random.random() < 0.1:
        options['error_messages'] = {'required': 'Give it.', 'null': 'Not null.', 'invalid': 'Wrong.'}
    return options


def _text(random: Random) -> Any:
    return random.choice(TEXTS)


def _number(random: Random) -> Any:
    return random.choice(NUMBERS) if random.random() < 0.7 else random.choice(['1', '2', '1.5', ' 7 ', '1e3', 'x'])


def _moment(random: Random) -> dt.datetime:
    zone = random.choice([None, dt.UTC, ZONE, dt.timezone(dt.timedelta(seconds=3661)), dt.UTC])
    micro = random.choice([0, 5, 123456])
    return dt.datetime(random.choice([1, 999, 2026]), 1, 15, 10, 30, random.randrange(60), micro, tzinfo=zone)


def _dated(random: Random) -> Any:
    moment = _moment(random)
    return random.choice([moment.isoformat(), moment.isoformat(' '), moment.date().isoformat(), 1700000000, 1.5, '1'])


def _clock(random: Random) -> str:
    return _moment(random).timetz().isoformat()


def _simple(
    cls: Any,
    given: Callable[[Random], Any],
    held: Callable[[Random], Any],
    extra: Callable[[Random], dict[str, Any]] = lambda random: {},
    defaults: tuple[Any, ...] = (),
    validated: str = '',
) -> Callable[[Random, int], Member]:
    def make(random: Random, depth: int) -> Member:
        options = {**_common(random, defaults=list(defaults)), **extra(random)}
        options['validate'] = _validators(random, validated)
        return Member(lambda base: cls(**options), given, held)

    return make


def _flag(name: str, *values: Any, chance: float = 0.3) -> Callable[[Random], dict[str, Any]]:
    return lambda random: {name: random.choice(values)} if random.random() < chance else {}


def _both(*parts: Callable[[Random], dict[str, Any]]) -> Callable[[Random], dict[str, Any]]:
    return lambda random: {key: value for part in parts for key, value in part(random).items()}


def _list(random: Random, depth: int) -> Member:
    inner = member(random, depth - 1)
    options = {**_common(random, defaults=[[1]]), 'validate': _validators(random, 'list')}

    def many(one: Callable[[Random], Any]) -> Callable[[Random], Any]:
        def values(random: Random) -> Any:
            found = [one(random) for _ in range(random.choice([0, 1, 2, 3]))]
            return tuple(found) if random.random() < 0.1 else found

        return values

    def make(base: type[marshmallow.Schema]) -> fields.Field[Any]:
        return fields.List(inner.make(base), **options)

    return Member(make, many(inner.given), many(inner.held))


def _tuple(random: Random, depth: int) -> Member:
    inner = [member(random, depth - 1) for _ in range(random.randrange(3))]
    options = _common(random, defaults=[(1,)])

    def each(kind: str) -> Callable[[Random], Any]:
        return lambda random: [getattr(one, kind)(random) for one in inner][: random.choice([9, 9, 9, 1])]

    return Member(
        lambda base: fields.Tuple(tuple(one.make(base) for one in inner), **options), each('given'), each('held')
    )


def _dict(random: Random, depth: int) -> Member:
    keys = member(random, 0) if random.random() < 0.3 else None
    values = member(random, depth - 1) if random.random() < 0.6 else None
    options = _common(random, defaults=[{}])

    def items(kind: str) -> Callable[[Random], Any]:
        def made(random: Random) -> Any:
            names = [random.choice(TEXTS) for _ in range(random.randrange(3))]
            return {name: getattr(values, kind)(random) if values else junk(random, 1) for name in names}

        return made

    return Member(
        lambda base: fields.Dict(keys and keys.make(base), values and values.make(base), **options),
        items('given'),
        items('held'),
    )


def _nested(random: Random, depth: int) -> Member:
    inner = spec(random, depth - 1)
    options = {**_common(random, defaults=[{}]), **_flag('unknown', RAISE, EXCLUDE, INCLUDE)(random)}
    how = random.choice(['class', 'instance', 'function', 'pluck'])
    many = random.random() < 0.3
    plucked = random.choice([*inner.members]) if inner.members else None
    if how == 'pluck' and plucked is None:
        how = 'class'
    if how == 'class' and inner.members and random.random() < 0.2:
        options[random.choice(['only', 'exclude'])] = [random.choice([*inner.members])]

    def make(base: type[marshmallow.Schema]) -> fields.Field[Any]:
        if how == 'instance':
            return fields.Nested(inner.schema(base), many=many, **options)
        if how == 'function':
            return fields.Nested(lambda: inner.schema(base), many=many, **options)
        if how == 'pluck':
            return fields.Pluck(inner.schema_class(base), plucked, many=many, **options)
        return fields.Nested(inner.schema_class(base), many=many, **options)

    def values(kind: str) -> Callable[[Random], Any]:
        one: Any = getattr(inner.members[plucked], kind) if how == 'pluck' and kind == 'given' else getattr(inner, kind)
        return lambda random: [one(random) for _ in range(random.randrange(3))] if many else one(random)

    return Member(make, values('given'), values('held'))


def _enum(random: Random, depth: int) -> Member:
    chosen = random.choice([Colour, Size, Level])
    by_value = random.choice([False, True, fields.Raw, fields.String, fields.Integer])
    options = _common(random, defaults=[])

    def make(base: type[marshmallow.Schema]) -> fields.Field[Any]:
        try:
            return fields.Enum(chosen, by_value=by_value, **options)
        except (ValueError, TypeError):  # values that do not fit the field
            return fields.Enum(chosen, **options)

    return Member(
        make,
        lambda random: random.choice([*(each.name for each in chosen), *(each.value for each in chosen), 'x']),
        lambda random: random.choice([*chosen]),
    )


def _custom(random: Random, depth: int) -> Member:
    options = _common(random, defaults=[1])
    kind = random.choice(['custom', 'shouting', 'function', 'method', 'constant'])

    def make(base: type[marshmallow.Schema]) -> fields.Field[Any]:
        plain = {key: value for key, value in options.items() if key not in ('load_only', 'dump_only')}
        if kind == 'function':
            return fields.Function(lambda obj: type(obj).__name__, lambda value: [value], **plain)
        if kind == 'method':
            return fields.Method('shown', 'taken', **plain)
        if kind == 'constant':
            return fields.Constant(7, **{key: value for key, value in plain.items() if 'default' not in key})
        return (Custom if kind == 'custom' else Shouting)(**options)

    return Member(make, _text, _text)


_places = _both(_flag('places', 0, 2, 5), _flag('allow_nan', True), _flag('as_string', True, chance=0.5))
_formats = _flag('format', 'iso', 'rfc', 'timestamp', 'timestamp_ms', '%d/%m/%Y', chance=0.4)


def _decimals(random: Random) -> Any:
    return Decimal(random.choice(['1.50', '0', '-0.005', '1E+3', '123456789.123456789', 'NaN', '1e-30', '2']))


def _truth(random: Random) -> Any:
    return random.choice([True, False, 1, 0, 'yes', 'off', 'x', 1.0])


def _period(random: Random) -> dt.timedelta:
    return dt.timedelta(seconds=random.choice([0, 1, 0.5, 1e6, -3]))


_whole = _both(_flag('strict', True), _flag('as_string', True))
_float = _both(_flag('allow_nan', True), _flag('as_string', True))
_naive = _both(_formats, _flag('timezone', dt.UTC, ZONE))
_aware = _both(_formats, _flag('default_timezone', dt.UTC, ZONE))
_url = _both(_flag('relative', True), _flag('require_tld', False))
_precision = _flag('precision', 'days', 'milliseconds', 'microseconds')

SCALARS = [
    _simple(fields.String, _text, _text, validated='text', defaults=('x',)),
    _simple(fields.String, _text, _text, validated='text', defaults=('x',)),
    _simple(fields.Integer, _number, _number, _whole, (3,), 'number'),
    _simple(fields.Float, _number, _number, _float, (3.5,), 'number'),
    _simple(fields.Decimal, _number, _decimals, _places, (), 'number'),
    _simple(own_fields.Decimal, _number, _decimals, _places, (), 'number'),
    _simple(fields.Boolean, _truth, _truth, _flag('truthy', ['x', 1], [], chance=0.1)),
    _simple(fields.UUID, _text, lambda random: uuid.UUID(int=random.getrandbits(128))),
    _simple(fields.DateTime, _dated, _moment, _formats),
    _simple(fields.NaiveDateTime, _dated, _moment, _naive),
    _simple(fields.AwareDateTime, _dated, _moment, _aware),
    _simple(fields.Date, _dated, lambda random: _moment(random).date(), _flag('format', '%d/%m/%Y', 'iso8601')),
    _simple(fields.Time, _clock, lambda random: _moment(random).timetz(), _flag('format', '%H:%M')),
    _simple(fields.TimeDelta, _number, _period, _precision),
    _simple(fields.Email, _text, _text, validated='text'),
    _simple(fields.Url, _text, _text, _url, (), 'text'),
    _simple(fields.IP, _text, lambda random: ipaddress.ip_address('::1'), _flag('exploded', True)),
    _simple(fields.IPv4, _text, lambda random: ipaddress.ip_address('127.0.0.1')),
    _simple(fields.IPInterface, _text, lambda random: ipaddress.ip_interface('10.0.0.1/8')),
    _simple(fields.Raw, junk, junk),
]
CONTAINERS = [_list, _list, _tuple, _dict, _nested, _nested, _nested]


def member(random: Random, depth: int) -> Member:
    """Return a random field."""
    chance = random.random()
    if depth > 0 and chance < 0.3:
        return random.choice(CONTAINERS)(random, depth)
    if chance < 0.37:
        return _enum(random, depth)
    if chance < 0.42:
        return _custom(random, depth)
    return random.choice(SCALARS)(random, depth)


def spec(random: Random, depth: int = 2) -> Spec:
    """Return a random schema."""
    members: dict[str, Member] = {}
    for name in random.sample(NAMES, random.choice([0, 1, 2, 3, 4, 6])):
        one = member(random, depth)
        _rename(random, name, one)
        members[name] = one
    found = Spec(members, body={'shown': lambda self, obj: 'shown', 'taken': lambda self, value: ('taken', value)})
    if random.random() < 0.2:
        found.meta['unknown'] = random.choice([RAISE, EXCLUDE, INCLUDE])
    if random.random() < 0.1:
        found.meta['datetimeformat'] = random.choice(['rfc', 'timestamp'])
    if random.random() < 0.05:
        found.meta['index_errors'] = False
    for option, values in _OPTIONS.items():
        if random.random() < 0.07:
            found.options[option] = random.choice(values)
    if members and random.random() < 0.07:
        found.options[random.choice(['only', 'exclude'])] = [random.choice([*members])]
    if random.random() < 0.15:
        found.body.update(random.choice(HOOKS))
    return found


_OPTIONS: dict[str, list[Any]] = {
    'many': [True],
    'partial': [True, ('a', 'b', 'c.a'), ['id']],
    'unknown': [EXCLUDE, INCLUDE],
}


def _rename(random: Random, name: str, one: Member) -> None:
    if random.random() < 0.15:
        one.data_key = f'{name}-key'
    if random.random() < 0.15:
        one.attribute = random.choice([f'{name}_attribute', f'deep.{name}', f'{name}.deep'])
    make = one.make

    def renamed(base: type[marshmallow.Schema]) -> fields.Field[Any]:
        made = make(base)
        if one.data_key is not None:
            made.data_key = one.data_key
        if one.attribute is not None:
            made.attribute = one.attribute
        return made

    one.make = renamed
