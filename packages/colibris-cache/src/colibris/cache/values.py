"""Cached values as bytes.

Integers of 64 bits are kept as ASCII digits, so that a server can count with them. Everything else begins with a byte
that no number begins with, which tells how to read the rest.
"""

from __future__ import annotations

import pickle
import struct
import time
from typing import Any, NamedTuple

from colibris import serialization

_MESSAGEPACK, _PICKLE, _UNTIL = b'm', b'p', b'u'
_DIGITS = frozenset(b'-0123456789')
_UNTIL_HEADER = struct.Struct('>d')
_UNCHANGEABLE = (type(None), bool, int, float, str, bytes)


class Entry(NamedTuple):
    """A value, and whether it is not yet stale."""

    value: Any
    fresh: bool


class Codec:
    """Turns values into bytes and back."""

    def __init__(self, *, allow_pickle: bool = False) -> None:
        self._allow_pickle = allow_pickle

    def encode(self, value: Any) -> bytes:
        """Return *value* as bytes. Raises TypeError naming the path in the value of what cannot travel."""
        if type(value) is int and -(2**63) <= value < 2**63:
            return b'%d' % value
        try:
            return _MESSAGEPACK + serialization.dumps(value)
        except TypeError:
            if not self._allow_pickle:
                raise
            return _PICKLE + pickle.dumps(value)

    def encode_until(self, value: Any, until: float) -> bytes:
        """Return *value* as bytes that are stale from *until* on, in seconds since the epoch."""
        return _UNTIL + _UNTIL_HEADER.pack(until) + self.encode(value)

    def decode(self, data: bytes) -> Entry:
        """Return what `encode` or `encode_until` made into *data*."""
        if data[0] in _DIGITS:
            return Entry(int(data), True)
        kind = data[:1]
        if kind == _UNTIL:
            (until,) = _UNTIL_HEADER.unpack_from(data, 1)
            return Entry(self.decode(data[1 + _UNTIL_HEADER.size :]).value, time.time() < until)
        if kind == _MESSAGEPACK:
            return Entry(serialization.loads(data[1:]), True)
        if kind == _PICKLE and self._allow_pickle:
            return Entry(pickle.loads(data[1:]), True)
        raise ValueError(
            'a cached value is in a format that this cache does not read'
            + (': it is pickled, and allow_pickle is off' if kind == _PICKLE else '')
        )

    def copy(self, value: Any) -> Any:
        """Return a copy of *value* that shares nothing that can be changed."""
        return value if isinstance(value, _UNCHANGEABLE) else self.decode(self.encode(value)).value
