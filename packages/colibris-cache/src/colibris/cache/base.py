"""The contract of a cache backend, and what all of them share: keys, lifetimes, values and single computation."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from colibris.cache import values
from colibris.cache.errors import NotANumber, NotKept
from colibris.subsystems import Backend

logger = logging.getLogger(__name__)

#: A lifetime without end.
FOREVER = math.inf

#: Stands for "nothing there", as None is a value.
MISSING: Any = object()


class CacheBackend(Backend):
    """Keeps values under keys for a while.

    A backend stores bytes under bytes: it writes the abstract methods, and those of the ``…_many`` methods for which
    its server has something better than one call a key. Lifetimes reach it in seconds, None being without end.

    *default_lifetime* is in seconds; *prefix* and *version* keep the keys of one application apart from those of
    others, or of an earlier release; *allow_pickle* lets values travel that MessagePack cannot carry: whoever can
    write to the cache can then run code in this process.
    """

    #: Whether other processes see the same values, so that a computation has to be locked between them.
    shared: ClassVar[bool] = False

    def __init__(
        self,
        *,
        default_lifetime: float = 300,
        prefix: str | None = None,
        version: int = 1,
        allow_pickle: bool = False,
    ) -> None:
        if isinstance(default_lifetime, bool) or not isinstance(default_lifetime, (int, float)):
            raise TypeError(f'default_lifetime must be a number of seconds, not {default_lifetime!r}')
        if not default_lifetime > 0:
            raise ValueError(f'default_lifetime must be a positive number of seconds, not {default_lifetime}')
        if isinstance(version, bool) or not isinstance(version, int):
            raise TypeError(f'version must be an integer, not {version!r}')
        if prefix is not None and re.search(r':-?\d+(:|$)', prefix):
            raise ValueError(f'prefix: {prefix!r} has a part that looks like a version; keys could be taken for others')
        self.default_lifetime = default_lifetime
        self.prefix = prefix
        self.version = version
        self._codec = values.Codec(allow_pickle=allow_pickle)
        #: How many values were found, and how many were not.
        self.hits = 0
        self.misses = 0
        self._computing: dict[bytes, asyncio.Task[Any]] = {}

    # What a backend writes

    @abstractmethod
    async def read(self, key: bytes) -> bytes | None:
        """Return the data under *key*, None if there is none or its lifetime has passed."""

    @abstractmethod
    async def write(self, key: bytes, data: bytes, lifetime: float | None) -> None:
        """Keep *data* under *key*."""

    @abstractmethod
    async def write_new(self, key: bytes, data: bytes, lifetime: float | None) -> bool:
        """Keep *data* under *key* if there is nothing yet; atomic. Return whether it was kept."""

    @abstractmethod
    async def remove_many(self, keys: Sequence[bytes]) -> int:
        """Remove what is under *keys*; return how many there were."""

    @abstractmethod
    async def extend(self, key: bytes, lifetime: float | None) -> bool:
        """Begin the lifetime of *key* anew. Return whether there was something."""

    @abstractmethod
    async def change(self, key: bytes, delta: int, lifetime: float | None) -> int:
        """Add *delta* to the ASCII number under *key*, 0 if there is none; atomic.

        The lifetime counts for a new number only. Raises NotANumber.
        """

    @abstractmethod
    async def remove_all(self, prefix: bytes) -> None:
        """Remove all keys that begin with *prefix*."""

    async def read_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the data under each of *keys*."""
        return [await self.read(key) for key in keys]

    async def write_many(self, items: Mapping[bytes, bytes], lifetime: float | None) -> None:
        """Keep each of *items*."""
        for key, data in items.items():
            await self.write(key, data, lifetime)

    @asynccontextmanager
    async def lock(self, key: bytes) -> AsyncIterator[bool]:
        """Hold the lock *key* among all processes; yield False at once if another one holds it."""
        yield True

    def clock(self) -> float:
        """Return the time by which a value becomes stale, in seconds, on a clock that all who see the value share."""
        return time.time()

    # What applications use

    async def get(self, key: str, default: Any = None) -> Any:
        """Return the value under *key*, *default* if there is none."""
        data = await self.read(self._key(key))
        if data is None:
            self.misses += 1
            return default
        self.hits += 1
        return self._value(data, default)

    async def set(self, key: str, value: Any, lifetime: float | None = None) -> None:
        """Keep *value* under *key*. Raises TypeError for what cannot travel, naming its path in the value."""
        seconds = self._seconds(lifetime)
        full, data = self._key(key), self._codec.encode(value)
        if seconds == 0:
            await self.remove_many([full])
        else:
            await self.write(full, data, seconds)

    async def add(self, key: str, value: Any, lifetime: float | None = None) -> bool:
        """Keep *value* under *key* only if there is nothing yet; return whether it was kept."""
        seconds = self._seconds(lifetime)
        full, data = self._key(key), self._codec.encode(value)
        if seconds == 0:
            return not await self.has(key)
        return await self.write_new(full, data, seconds) or await self._replace_stale(full, data, seconds)

    async def delete(self, key: str) -> bool:
        """Remove what is under *key*; return whether there was something."""
        return await self.remove_many([self._key(key)]) > 0

    async def touch(self, key: str, lifetime: float | None = None) -> bool:
        """Begin the lifetime of *key* anew; return whether there is something."""
        seconds = self._seconds(lifetime)
        if seconds == 0:
            return await self.delete(key)
        full = self._key(key)
        entry = await self._entry(full)
        if entry is None or not entry.fresh:
            return False
        if not entry.stale:
            return await self.extend(full, seconds)
        await self._keep(full, entry.value, seconds, entry.stale)
        return True

    async def has(self, key: str) -> bool:
        """Tell whether there is a value under *key*."""
        return await self.get(key, MISSING) is not MISSING

    async def incr(self, key: str, delta: int = 1, lifetime: float | None = None) -> int:
        """Add *delta* to the integer under *key*, atomically, and return the sum; what is not there counts as 0.

        The lifetime begins when the number is new and is not changed after. Raises NotANumber for another value, or
        when the sum does not fit into 64 bits.
        """
        seconds = self._seconds(lifetime)
        if seconds == 0:
            return int(await self.get(key, 0)) + delta
        full = self._key(key)
        try:
            return await self.change(full, delta, seconds)
        except NotANumber:
            entry = await self._entry(full)
            if entry is None or entry.fresh:
                raise
        await self.remove_many([full])  # a stale value is nothing
        return await self.change(full, delta, seconds)

    async def decr(self, key: str, delta: int = 1, lifetime: float | None = None) -> int:
        """Subtract *delta* from the integer under *key*, as `incr` adds."""
        return await self.incr(key, -delta, lifetime)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values under those of *keys* that have one."""
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return {}
        found = zip(wanted, await self.read_many([self._key(key) for key in wanted]), strict=True)
        decoded = {key: self._value(data, MISSING) for key, data in found if data is not None}
        values = {key: value for key, value in decoded.items() if value is not MISSING}
        self.hits += len(values)
        self.misses += len(wanted) - len(values)
        return values

    async def set_many(self, items: Mapping[str, Any], lifetime: float | None = None) -> None:
        """Keep each value of *items* under its key."""
        seconds = self._seconds(lifetime)
        encoded = {self._key(key): self._codec.encode(value) for key, value in items.items()}
        if not encoded:
            return
        if seconds == 0:
            await self.remove_many(list(encoded))
        else:
            await self.write_many(encoded, seconds)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove what is under *keys*; return how many there were."""
        full = list(dict.fromkeys(self._key(key) for key in keys))
        return await self.remove_many(full) if full else 0

    async def clear(self) -> None:
        """Remove all values of this application and version, and nothing else."""
        await self.remove_all(self._key(''))

    async def get_or_set(
        self,
        key: str,
        factory: Callable[[], Awaitable[Any] | Any],
        lifetime: float | None = None,
        *,
        stale: float = 0,
    ) -> Any:
        """Return the value under *key*; compute it by *factory* (sync or async) if there is none.

        However many ask at once, one computation runs, across processes too on a shared cache; the others wait for
        it. With *stale*, a value is kept for so many seconds more, and given to those who ask while one renews it. An
        error of the factory reaches all who wait, and nothing is kept.
        """
        seconds = self._seconds(lifetime)
        if isinstance(stale, bool) or not isinstance(stale, (int, float)) or not 0 <= stale < FOREVER:
            raise ValueError(f'stale must be a number of seconds from 0 on, not {stale!r}')
        full = self._key(key)
        entry = await self._entry(full)
        if entry is not None and entry.fresh:
            self.hits += 1
            return entry.value
        self.misses += 1
        task = self._computing.get(full)
        if task is None:
            task = asyncio.create_task(self._compute(full, factory, seconds, stale, stale_entry=entry))
            self._computing[full] = task
            task.add_done_callback(lambda done: self._computed(full, done, in_background=entry is not None))
        if entry is not None and stale:
            return entry.value
        return self._codec.copy(await asyncio.shield(task))

    def _computed(self, key: bytes, task: asyncio.Task[Any], *, in_background: bool) -> None:
        del self._computing[key]
        if task.cancelled():
            return
        error = task.exception()  # it reaches those who wait; of what nobody waits for, the log tells
        if error is not None and in_background and not isinstance(error, NotKept):
            logger.error('the stale value under %r could not be renewed', key, exc_info=error)

    async def _compute(
        self,
        key: bytes,
        factory: Callable[[], Any],
        seconds: float | None,
        stale: float,
        stale_entry: values.Entry | None,
    ) -> Any:
        for pause in _pauses():
            async with self.lock(b'\xfflock:' + key) as mine:  # no key of a value has this byte
                if mine:
                    entry = await self._entry(key)
                    if entry is not None and entry.fresh:
                        return entry.value
                    value = factory()
                    if isinstance(value, Awaitable):
                        value = await value
                    await self._keep(key, value, seconds, stale)
                    return value
            if stale_entry is not None and stale:
                return stale_entry.value
            await asyncio.sleep(pause)
            entry = await self._entry(key)
            if entry is not None and (entry.fresh or stale):
                return entry.value
        raise AssertionError('unreachable')

    async def _keep(self, key: bytes, value: Any, seconds: float | None, stale: float) -> None:
        if seconds == 0:
            self._codec.encode(value)
        elif stale > 0 and seconds is not None:
            until = self.clock() + seconds
            await self.write(key, self._codec.encode_until(value, until, stale), seconds + stale)
        else:
            await self.write(key, self._codec.encode(value), seconds)

    async def _replace_stale(self, key: bytes, data: bytes, seconds: float | None) -> bool:
        """Keep *data* in place of a stale value, which counts as nothing; return whether it was kept."""
        entry = await self._entry(key)
        if entry is None:
            return await self.write_new(key, data, seconds)
        if entry.fresh:
            return False
        async with self.lock(b'\xfflock:' + key) as mine:
            entry = await self._entry(key) if mine else None
            if entry is None or entry.fresh:
                return False
            await self.write(key, data, seconds)
            return True

    async def _entry(self, key: bytes) -> values.Entry | None:
        data = await self.read(key)
        return None if data is None else self._codec.decode(data, self.clock)

    def _value(self, data: bytes, default: Any) -> Any:
        if not values.can_be_stale(data):
            return self._codec.value(data)
        entry = self._codec.decode(data, self.clock)
        return entry.value if entry.fresh else default

    def _key(self, key: str) -> bytes:
        if not isinstance(key, str):
            raise TypeError(f'the key of a cached value must be a string, not {type(key).__name__}')
        return f'{self.prefix or ""}:{self.version}:{key}'.encode('utf-8', 'surrogatepass')

    def _seconds(self, lifetime: float | None) -> float | None:
        """Return *lifetime* in seconds, None for one without end."""
        seconds = self.default_lifetime if lifetime is None else lifetime
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise TypeError(f'a lifetime must be a number of seconds, not {type(seconds).__name__}')
        if not seconds >= 0:
            raise ValueError(f'a lifetime must not be negative, but is {seconds}')
        return None if seconds == FOREVER else seconds


def _pauses() -> Iterable[float]:
    """Yield growing pauses, in seconds, between looks whether another process is done."""
    pause = 0.005
    while True:
        yield pause
        pause = min(pause * 1.5, 0.1)
