"""Values as bytes: what caches and tasks keep and send.

MessagePack carries None, booleans, integers, floats, text, bytes, lists and dictionaries; extension types carry tuples,
sets, frozensets, dates, times, time spans, decimals, UUIDs and integers beyond 64 bits. What comes out equals what went
in and is of the same type; what cannot be kept so, subclasses included, is refused. There is no pickle: bytes from a
stranger are only ever data.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack  # type: ignore[import-untyped]

#: How deep tuples, sets and frozensets may lie in one another: each level packs anew, up to msgpack's own depth, and
#: all levels together must fit the stack of a thread.
MAX_EXTENSIONS = 10

#: How deep lists and dictionaries may lie in one another at least; beyond it msgpack sets the limit.
MAX_NESTING = 500

_LEAVES = frozenset({type(None), bool, int, float, bytes, timedelta, Decimal, UUID, date})

#: The first bytes of binary data in MessagePack.
_BINARY = (b'\xc4', b'\xc5', b'\xc6')


class Code(IntEnum):
    """The extension types. Stored values hold these numbers: they never change."""

    INTEGER = 1
    TUPLE = 2
    SET = 3
    FROZENSET = 4
    DATETIME = 5
    DATE = 6
    TIME = 7
    TIMEDELTA = 8
    DECIMAL = 9
    UUID = 10


class InvalidData(ValueError):
    """Raised when bytes are not what `dumps` makes."""


def dumps(value: object) -> bytes:
    """Return *value* as bytes.

    Raises TypeError, naming the place in the value, for what cannot travel: other types, subclasses of those that can,
    text that is not valid Unicode, what is nested too deep or contains itself.
    """
    try:
        data = _pack(value, 0)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise TypeError(_fault(value) or f'this value cannot be serialized: {exc}') from exc
    return data


def loads(data: bytes) -> Any:
    """Return the value that `dumps` made *data* of.

    Raises InvalidData for any other bytes. Memory and time are bounded by the length of *data*.
    """
    try:
        return _unpack(data, 0)
    except InvalidData:
        raise
    except (ValueError, ArithmeticError, LookupError, OSError, RecursionError) as exc:
        raise InvalidData(f'these bytes are no serialized value: {_reason(exc)}') from exc
    except TypeError as exc:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise
        raise InvalidData(f'these bytes are no serialized value: {exc}') from exc


def _pack(value: object, depth: int) -> bytes:
    data: bytes = msgpack.packb(value, default=_ENCODERS[depth], strict_types=True)
    # msgpack writes bytearray and memoryview as bytes without asking; they are looked for where there are any bytes.
    if any(mark in data for mark in _BINARY) and _has_binary(data) and _has_buffer(value):
        raise TypeError
    return data


def _has_binary(data: bytes) -> bool:
    """Tell whether *data* may hold binary data, by reading it with none allowed; empty data passes that."""
    if b'\xc4\x00' in data:
        return True
    try:
        msgpack.unpackb(data, max_bin_len=0, strict_map_key=False)
    except ValueError:
        return True
    return False


def _has_buffer(root: object) -> bool:
    stack = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, bytearray | memoryview):
            return True
        if isinstance(value, dict):
            stack += value
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    return False


def _unpack(data: bytes, depth: int) -> Any:
    return msgpack.unpackb(data, ext_hook=_DECODERS[depth], strict_map_key=False, timestamp=3)


def _encode(value: Any, *, depth: int) -> msgpack.ExtType:
    """Return *value* as an extension type; msgpack asks for what it does not know."""
    encoder = _ENCODE.get(type(value))
    if encoder is None or depth >= MAX_EXTENSIONS:
        raise TypeError
    code, content = encoder
    return msgpack.ExtType(code, content(value, depth + 1))


def _decode(code: int, data: bytes, *, depth: int) -> Any:
    decoder = _DECODE.get(code)
    if decoder is None:
        raise InvalidData(f'these bytes are no serialized value: the extension type {code} is unknown')
    if depth >= MAX_EXTENSIONS:
        raise InvalidData(f'these bytes are no serialized value: nested deeper than {MAX_EXTENSIONS} levels')
    return decoder(data, depth + 1)


_ENCODERS = tuple(functools.partial(_encode, depth=depth) for depth in range(MAX_EXTENSIONS + 1))
_DECODERS = tuple(functools.partial(_decode, depth=depth) for depth in range(MAX_EXTENSIONS + 1))


def _pack_integer(value: int, depth: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, 'big', signed=True)


def _pack_items(value: tuple[Any, ...] | set[Any] | frozenset[Any], depth: int) -> bytes:
    return _pack(list(value), depth)


def _pack_moment(value: datetime | time, depth: int) -> bytes:
    plain = value.replace(tzinfo=None, fold=0)
    return _pack([plain.isoformat(), value.fold, _zone(value.tzinfo)], depth)


def _pack_timedelta(value: timedelta, depth: int) -> bytes:
    return _pack([value.days, value.seconds, value.microseconds], depth)


def _zone(zone: tzinfo | None) -> str | list[Any] | None:
    """Return a time zone as its name, or as its distance from UTC and, if it was given one, its name."""
    if zone is None:
        return None
    if type(zone) is ZoneInfo and zone.key is not None:
        return zone.key
    if type(zone) is not timezone:
        raise TypeError
    offset = zone.utcoffset(None)
    unnamed = zone.tzname(None) == timezone(offset).tzname(None)
    return [offset.days, offset.seconds, offset.microseconds, None if unnamed else zone.tzname(None)]


def _unpack_moment(kind: type[Any], data: bytes, depth: int) -> Any:
    text, fold, zone = _unpack(data, depth)
    return kind.fromisoformat(text).replace(fold=fold, tzinfo=_from_zone(zone))


def _from_zone(zone: str | list[Any] | None) -> tzinfo | None:
    if zone is None:
        return None
    if isinstance(zone, str):
        return ZoneInfo(zone)
    days, seconds, microseconds, name = zone
    offset = timedelta(days, seconds, microseconds)
    return timezone(offset) if name is None else timezone(offset, name)


def _unpack_list(data: bytes, depth: int) -> list[Any]:
    items = _unpack(data, depth)
    if not isinstance(items, list):
        raise InvalidData('these bytes are no serialized value: a list was expected')
    return items


_ENCODE: dict[type, tuple[Code, Callable[[Any, int], bytes]]] = {
    int: (Code.INTEGER, _pack_integer),
    tuple: (Code.TUPLE, _pack_items),
    set: (Code.SET, _pack_items),
    frozenset: (Code.FROZENSET, _pack_items),
    datetime: (Code.DATETIME, _pack_moment),
    date: (Code.DATE, lambda value, depth: value.isoformat().encode()),
    time: (Code.TIME, _pack_moment),
    timedelta: (Code.TIMEDELTA, _pack_timedelta),
    Decimal: (Code.DECIMAL, lambda value, depth: str(value).encode()),
    UUID: (Code.UUID, lambda value, depth: value.bytes),
}

_DECODE: dict[int, Callable[[bytes, int], Any]] = {
    Code.INTEGER: lambda data, depth: int.from_bytes(data, 'big', signed=True),
    Code.TUPLE: lambda data, depth: tuple(_unpack_list(data, depth)),
    Code.SET: lambda data, depth: set(_unpack_list(data, depth)),
    Code.FROZENSET: lambda data, depth: frozenset(_unpack_list(data, depth)),
    Code.DATETIME: lambda data, depth: _unpack_moment(datetime, data, depth),
    Code.DATE: lambda data, depth: date.fromisoformat(data.decode('ascii')),
    Code.TIME: lambda data, depth: _unpack_moment(time, data, depth),
    Code.TIMEDELTA: lambda data, depth: timedelta(*_unpack_list(data, depth)),
    Code.DECIMAL: lambda data, depth: Decimal(data.decode('ascii')),
    Code.UUID: lambda data, depth: UUID(bytes=data),
}


def _fault(root: object) -> str | None:
    """Say what in *root* cannot travel, and where it is; None if all of it can."""
    stack: list[tuple[object, str, int, int]] = [(root, '', 0, 0)]
    while stack:
        value, path, nesting, extensions = stack.pop()
        extended = isinstance(value, tuple | set | frozenset)
        reason = _refusal(value)
        if nesting > MAX_NESTING or (extended and extensions >= MAX_EXTENSIONS):
            reason = 'it is nested too deep, or contains itself'
        if reason is not None:
            return f'the value{_place(path)} cannot be serialized: {reason}'
        deeper = (0, extensions + 1) if extended else (nesting + 1, extensions)
        stack.extend((item, step, *deeper) for item, step in reversed(list(_parts(value, path))))
    return None


def _parts(value: object, path: str) -> Iterator[tuple[object, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, f'{path}, key {_short(key)}'
            yield item, f'{path}[{_short(key)}]'
    elif isinstance(value, list | tuple):
        yield from ((item, f'{path}[{index}]') for index, item in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((item, f'{path}{{{_short(item)}}}') for item in value)


def _refusal(value: object) -> str | None:
    """Say why *value* cannot travel, apart from what it contains."""
    kind = type(value)
    if kind in _LEAVES or kind in (list, tuple, dict, set, frozenset):
        return None
    name = f'{kind.__module__}.{kind.__qualname__}'.removeprefix('builtins.')
    if kind is str:
        return _refusal_of_text(str(value))
    if isinstance(value, datetime | time) and kind in (datetime, time):
        return _refusal_of_zone(value.tzinfo)
    if isinstance(value, Enum):
        return f'it is a member of the enum {name}; send its .value'
    if isinstance(value, bytearray | memoryview):
        return f'it is a {name}; send bytes(…) of it'
    for base in (*_LEAVES - {type(None)}, str, datetime, time, dict, list, tuple, set, frozenset):
        if isinstance(value, base):
            return f'its type {name} is a subclass of {base.__name__} and would come back as that; convert it first'
    return f'its type {name} is none of those that can travel; send the values that it is made of'


def _refusal_of_text(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return 'it is text with half of a surrogate pair, which is not valid Unicode'
    return None


def _refusal_of_zone(zone: tzinfo | None) -> str | None:
    try:
        _zone(zone)
    except TypeError:
        name = f'{type(zone).__module__}.{type(zone).__qualname__}'
        return f'its time zone is a {name}; convert it with .astimezone() to a zoneinfo.ZoneInfo or datetime.timezone'
    return None


def _place(path: str) -> str:
    if not path:
        return ''
    shown = path if len(path) <= 200 else f'{path[:100]}…{path[-60:]}'
    return f' at {shown.removeprefix(", ")}'


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float | bytes | type(None)) else type(value).__name__
    return text if len(text) <= 40 else f'{text[:37]}…'


def _reason(exc: Exception) -> str:
    return f'{type(exc).__name__}: {exc}'.rstrip(': ')
