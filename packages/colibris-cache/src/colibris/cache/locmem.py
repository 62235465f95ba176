"""A cache in the memory of the process."""

from __future__ import annotations

import heapq
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from colibris.cache.base import CacheBackend
from colibris.cache.errors import NotANumber

logger = logging.getLogger(__name__)

#: What an entry takes beside its key and its data, in bytes, roughly.
_OVERHEAD = 250


class _Entry(NamedTuple):
    data: bytes
    expires: float | None


class LocMemBackend(CacheBackend):
    """Keeps values in the memory of this process; each process has its own.

    It holds at most *max_entries* values and *max_bytes* bytes; what has expired goes first, then what was used
    longest ago.
    """

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 * 1024 * 1024,
        default_lifetime: float = 300,
        prefix: str | None = None,
        version: int = 1,
        allow_pickle: bool = False,
    ) -> None:
        super().__init__(default_lifetime=default_lifetime, prefix=prefix, version=version, allow_pickle=allow_pickle)
        for name, value in (('max_entries', max_entries), ('max_bytes', max_bytes)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f'{name} must be an integer, not {value!r}')
            if value < 1:
                raise ValueError(f'{name} must be at least 1, not {value}')
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._expiries: list[tuple[float, bytes]] = []  # a heap; an entry that is gone or changed may still be in it

    async def close(self) -> None:
        self._entries.clear()
        self._expiries.clear()
        self._bytes = 0

    async def read(self, key: bytes) -> bytes | None:
        entry = self._live(key)
        return None if entry is None else entry.data

    async def write(self, key: bytes, data: bytes, lifetime: float | None) -> None:
        self._remove(key)
        size = _size(key, data)
        if size > self._max_bytes:
            logger.warning('a value of %d bytes is not cached: it is larger than max_bytes', len(data))
            return
        self._put(key, data, lifetime)
        self._bytes += size
        if self._too_much():
            self._make_room()

    async def write_new(self, key: bytes, data: bytes, lifetime: float | None) -> bool:
        if self._live(key) is not None:
            return False
        await self.write(key, data, lifetime)
        return True

    async def remove_many(self, keys: Sequence[bytes]) -> int:
        return sum(self._live(key) is not None and self._remove(key) for key in keys)

    async def extend(self, key: bytes, lifetime: float | None) -> bool:
        entry = self._live(key)
        if entry is None:
            return False
        self._put(key, entry.data, lifetime)
        return True

    async def change(self, key: bytes, delta: int, lifetime: float | None) -> int:
        entry = self._live(key)
        try:
            number = int(entry.data) + delta if entry is not None else delta
        except ValueError:
            raise NotANumber('the value under this key is no integer that can be counted with') from None
        if not -(2**63) <= number < 2**63:
            raise NotANumber('the sum does not fit into 64 bits')
        data = b'%d' % number
        if entry is None:
            await self.write(key, data, lifetime)
        else:
            self._bytes += len(data) - len(entry.data)
            self._entries[key] = entry._replace(data=data)
        return number

    async def remove_all(self, prefix: bytes) -> None:
        for key in [key for key in self._entries if key.startswith(prefix)]:
            self._remove(key)

    def clock(self) -> float:
        return time.monotonic()

    def _live(self, key: bytes) -> _Entry | None:
        """Return the entry under *key*, as the one that was used last; remove it if its lifetime has passed."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires is not None and entry.expires <= time.monotonic():
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def _put(self, key: bytes, data: bytes, lifetime: float | None) -> None:
        if lifetime is None:
            self._entries[key] = _Entry(data, None)
            return
        expires = time.monotonic() + lifetime
        self._entries[key] = _Entry(data, expires)
        heapq.heappush(self._expiries, (expires, key))
        if len(self._expiries) > 2 * len(self._entries) + 100:
            self._expiries = [(entry.expires, key) for key, entry in self._entries.items() if entry.expires is not None]
            heapq.heapify(self._expiries)

    def _remove(self, key: bytes) -> bool:
        entry = self._entries.pop(key, None)
        if entry is None:
            return False
        self._bytes -= _size(key, entry.data)
        return True

    def _too_much(self) -> bool:
        return self._bytes > self._max_bytes or len(self._entries) > self._max_entries

    def _make_room(self) -> None:
        now = time.monotonic()
        while self._expiries and self._expiries[0][0] <= now:
            expires, key = heapq.heappop(self._expiries)
            entry = self._entries.get(key)
            if entry is not None and entry.expires == expires:
                self._remove(key)
        while self._too_much():
            self._remove(next(iter(self._entries)))


def _size(key: bytes, data: bytes) -> int:
    return len(key) + len(data) + _OVERHEAD
