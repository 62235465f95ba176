"""Values that orjson encodes to the same bytes as `colibris.api.encode_json`, which is msgspec's encoder."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec
import orjson

_SAME = frozenset({str, int, bool, type(None)})


class _Encoded:
    """JSON that msgspec made of a value; orjson takes the fragment, msgspec the raw text."""

    __slots__ = ('raw',)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


class _Unencodable:
    """A value that cannot be encoded; the error comes when all is dumped, as it would otherwise."""

    __slots__ = ('value',)

    def __init__(self, value: Any) -> None:
        self.value = value


def safe(value: Any) -> Any:
    """Return *value* if both encoders write it alike, else what stands for it."""
    cls = type(value)
    if cls in _SAME or (cls is float and -1e16 < value < 1e16):
        return value
    try:
        return _Encoded(_encode_json(value))
    except Exception:
        return _Unencodable(value)


def fragment(value: Any) -> orjson.Fragment:
    """Return what stands for *value* in what orjson encodes; raises TypeError for what it does not know."""
    if type(value) is _Encoded:
        return orjson.Fragment(value.raw)
    raise TypeError


def encode(data: Any) -> bytes:
    """Encode, as `colibris.api.encode_json` does, *data* that is made for orjson but that orjson does not take."""
    return _encode_json(_plain(data))


def _encode_json(data: Any) -> bytes:
    from colibris.api import encode_json  # which needs aiohttp, unlike all else here

    return encode_json(data)


def _plain(data: Any) -> Any:
    """Return *data* as the schema dumps it if not to JSON."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(value) for value in data]
    if isinstance(data, (dt.date, dt.time)):
        return data.isoformat()
    if isinstance(data, uuid.UUID):
        return str(data)
    if isinstance(data, _Encoded):
        return msgspec.Raw(data.raw)
    return data.value if isinstance(data, _Unencodable) else data
