"""Random values, and outcomes that can be compared: types, order of keys and signs of zero count."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

import marshmallow
from marshmallow import ValidationError

NAMES = ['a', 'b', 'c', 'id', 'items', 'class', 'x y', 'keys', 'é', '']
#: Of objects without a form of their own, which differ from one to the next.
_ADDRESS = re.compile('0x[0-9a-f]+')


class Colour(enum.Enum):
    RED = 'r'
    BLUE = 2
    NONE = None


class Size(enum.StrEnum):
    SMALL = 'small'
    LARGE = 'large'


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Text(str):
    """A string of a class of its own."""


class Whole(int):
    """An integer of a class of its own."""


TEXTS = [
    *('', 'a', 'abc', 'true', 'no', '1', '0', '-5', ' 7 ', '1_0', '1.5', '1e3', 'NaN', '-Infinity', 'é', '\0'),
    '1e999',
    *('ann@example.com', 'a.b+c@x-y.example.org', 'ann', 'a@b', '"q@"@x.com', 'a@localhost', 'A@EXAMPLE.COM'),
    'a@b.c-d',
    *('https://example.com/x', 'ftp://x', 'file:///x', '/rel', '127.0.0.1', '::1', '10.0.0.0/8', '::/64'),
    *('2026-01-15T10:30:00', '2026-01-15T10:30:00Z', '2026-01-15 10:30+05:30', '2026-01-15', '20260115', '10:30'),
    *('10:30:00.123456', '2026-W03-4', 'Thu, 15 Jan 2026 10:30:00 +0000', '15/01/2026', '24:00', '2026-02-30'),
    *('12345678-1234-5678-1234-567812345678', '12345678123456781234567812345678'),
    '{12345678-1234-5678-1234-567812345678}',
    *('RED', 'BLUE', 'r', 'small', 'SMALL', 'low', 'x' * 40, '\N{PILE OF POO}', 'unknown', 'A-1'),
]
NUMBERS = [0, 1, 2, -1, 7, 255, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30]
NUMBERS += [0.0, -0.0, 1.0, 1.5, -3.25, 1e16, 1e-7, 1.7e308, 5e-324, 0.1, 123456789.123456789]
ODD = [
    *(float('nan'), float('inf'), 10**400, complex(1, 2), Decimal('1.50'), Decimal('NaN'), Decimal('0E+3'), Whole(3)),
    *(Text('abc'), '\ud800', b'bytes', b'\xff', (1, 2), {1, 2}, OrderedDict(a=1), Colour.RED, Size.SMALL, Level.HIGH),
    *(dt.date(2026, 1, 2), dt.timedelta(hours=1), marshmallow.missing, object),
]


def junk(random: Random, depth: int = 2) -> Any:
    """Return any value, most often one that JSON can carry."""
    kind = random.randrange(12)
    if kind < 4:
        return random.choice(TEXTS)
    if kind < 7:
        return random.choice(NUMBERS)
    if kind == 7:
        return random.choice([None, True, False])
    if kind == 8 and depth:
        return [junk(random, depth - 1) for _ in range(random.randrange(3))]
    if kind == 9 and depth:
        return {random.choice(NAMES): junk(random, depth - 1) for _ in range(random.randrange(3))}
    if kind == 10:
        return random.choice(ODD)
    return random.choice(TEXTS)


def canonical(value: Any) -> Any:
    """Return what tells *value* from any other that is not the same: types, order of keys, signs of zero."""
    kind = type(value)
    if isinstance(value, dict):
        return kind, [(canonical(key), canonical(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return kind, [canonical(each) for each in value]
    if isinstance(value, (float, Decimal)):
        return kind, repr(value)
    if isinstance(value, dt.datetime):
        return kind, value.isoformat(), repr(value.tzinfo), value.fold
    if isinstance(value, SimpleNamespace):
        return kind, canonical(vars(value))
    if isinstance(value, (set, frozenset)):
        return kind, sorted(map(repr, value))
    return kind, _ADDRESS.sub('0x', repr(value))


def outcome(call: Callable[..., Any], *args: Any) -> Any:
    """Return what *call* returns or raises for *args*, so that it can be compared."""
    try:
        return 'returned', canonical(call(*args))
    except ValidationError as exc:
        parts = (exc.messages, exc.valid_data, exc.data, exc.field_name, exc.kwargs)
        return 'invalid', type(exc), *(canonical(part) for part in parts)
    except Exception as exc:
        return 'raised', type(exc), _ADDRESS.sub('0x', str(exc))
