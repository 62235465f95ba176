"""Cached values as bytes.

Integers of 64 bits are kept as ASCII digits, so that a server can count with them. Everything else begins with a byte
that no number begins with, which tells how to read the rest.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from colibris import serialization

_MESSAGEPACK, _PICKLE, _UNTIL = b'm', b'p', b'u'
_DIGITS = frozenset({b'-', *(b'%d' % digit for digit in range(10))})
_UNTIL_HEADER = struct.Struct('>dd')
_UNCHANGEABLE = (type(None), bool, int, float, str, bytes)


class Entry(NamedTuple):
    """A value, whether it is not yet stale, and for how many seconds it is kept after that."""

    value: Any
    fresh: bool = True
    stale: float = 0


def can_be_stale(data: bytes) -> bool:
    """Tell whether *data* was made by `encode_until`."""
    return data.startswith(_UNTIL)


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
            try:
                return _PICKLE + pickle.dumps(value)
            except Exception as exc:  # pickle raises whatever the value's own methods raise
                raise TypeError(f'this value cannot be pickled: {exc}') from exc

    def encode_until(self, value: Any, until: float, stale: float) -> bytes:
        """Return *value* as bytes that are stale from *until* on, and kept for *stale* seconds more."""
        return _UNTIL + _UNTIL_HEADER.pack(until, stale) + self.encode(value)

    def decode(self, data: bytes, clock: Callable[[], float]) -> Entry:
        """Return what `encode` or `encode_until` made into *data*; *clock* tells whether it is stale."""
        if can_be_stale(data):
            until, stale = _UNTIL_HEADER.unpack_from(data, 1)
            return Entry(self.value(data[1 + _UNTIL_HEADER.size :]), clock() < until, stale)
        return Entry(self.value(data))

    def value(self, data: bytes) -> Any:
        """Return what `encode` made into *data*."""
        kind = data[:1]
        if kind == _MESSAGEPACK:
            return serialization.loads(data[1:])
        if kind in _DIGITS:
            return int(data)
        if kind == _PICKLE and self._allow_pickle:
            return pickle.loads(data[1:])
        raise ValueError(
            'a cached value is in a format that this cache does not read'
            + (': it is pickled, and allow_pickle is off' if kind == _PICKLE else '')
        )

    def copy(self, value: Any) -> Any:
        """Return a copy of *value* that shares nothing that can be changed."""
        return value if isinstance(value, _UNCHANGEABLE) else self.value(self.encode(value))
