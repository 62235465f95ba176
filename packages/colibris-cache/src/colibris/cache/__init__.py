"""Keep values for a while, in memory or on Redis, as the setting ``CACHE`` says.

from colibris import cache

await cache.set('greeting', 'hello', lifetime=300)
await cache.get('greeting', default='nothing')
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from colibris.cache.base import FOREVER, CacheBackend
from colibris.cache.decorator import cached
from colibris.cache.errors import CacheError, CacheUnavailable, NotANumber
from colibris.cache.subsystem import subsystem

__all__ = [
    'FOREVER',
    'CacheBackend',
    'CacheError',
    'CacheUnavailable',
    'NotANumber',
    'add',
    'cached',
    'clear',
    'decr',
    'delete',
    'delete_many',
    'get',
    'get_many',
    'get_or_set',
    'has',
    'incr',
    'set',
    'set_many',
    'touch',
]


async def get(key: str, default: Any = None) -> Any:
    """Return the value under *key*, *default* if there is none."""
    return await subsystem.backend.get(key, default)


async def set(key: str, value: Any, lifetime: float | None = None) -> None:
    """Keep *value* under *key* for *lifetime* seconds.

    None is the default lifetime, 0 is gone at once, `FOREVER` has no end. Raises TypeError for what cannot travel,
    naming its path in the value, and ValueError for a negative lifetime.
    """
    await subsystem.backend.set(key, value, lifetime)


async def add(key: str, value: Any, lifetime: float | None = None) -> bool:
    """Keep *value* under *key* only if there is nothing yet; return whether it was kept."""
    return await subsystem.backend.add(key, value, lifetime)


async def delete(key: str) -> bool:
    """Remove what is under *key*; return whether there was something."""
    return await subsystem.backend.delete(key)


async def touch(key: str, lifetime: float | None = None) -> bool:
    """Begin the lifetime of *key* anew; return whether there is something."""
    return await subsystem.backend.touch(key, lifetime)


async def has(key: str) -> bool:
    """Tell whether there is a value under *key*."""
    return await subsystem.backend.has(key)


async def incr(key: str, delta: int = 1, lifetime: float | None = None) -> int:
    """Add *delta* to the integer under *key*, atomically, and return the sum; what is not there counts as 0.

    The lifetime begins when the number is new and is not changed after. Raises NotANumber.
    """
    return await subsystem.backend.incr(key, delta, lifetime)


async def decr(key: str, delta: int = 1, lifetime: float | None = None) -> int:
    """Subtract *delta* from the integer under *key*, as `incr` adds."""
    return await subsystem.backend.decr(key, delta, lifetime)


async def get_many(keys: Iterable[str]) -> dict[str, Any]:
    """Return the values under those of *keys* that have one; one round trip to a server."""
    return await subsystem.backend.get_many(keys)


async def set_many(items: Mapping[str, Any], lifetime: float | None = None) -> None:
    """Keep each value of *items* under its key; one round trip to a server."""
    await subsystem.backend.set_many(items, lifetime)


async def delete_many(keys: Iterable[str]) -> int:
    """Remove what is under *keys*; return how many there were. One round trip to a server."""
    return await subsystem.backend.delete_many(keys)


async def clear() -> None:
    """Remove all values of this application and version, and nothing else."""
    await subsystem.backend.clear()


async def get_or_set(
    key: str, factory: Callable[[], Awaitable[Any] | Any], lifetime: float | None = None, *, stale: float = 0
) -> Any:
    """Return the value under *key*; compute it by *factory* (sync or async) if there is none.

    However many ask at once, one computation runs, across processes too on a shared cache; the others wait for it.
    With *stale*, a value is kept for so many seconds more, and given to those who ask while one renews it. An error
    of the factory reaches all who wait, and nothing is kept.
    """
    return await subsystem.backend.get_or_set(key, factory, lifetime, stale=stale)
