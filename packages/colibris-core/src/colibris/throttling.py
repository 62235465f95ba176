"""How often a view may be used: so many times in a sliding window, by each account or address.

Requests are counted in windows of fixed length, and the window before counts for the part of it that the sliding one
still covers: with 100 a minute, 20 s into a minute in which 30 came, after one in which 60 came, 30 + 60 * 40/60 = 70
count. What is refused does not count. The counts are in the cache where CACHE is set, so that all processes share
them, and in the memory of the process otherwise, and as long as the cache is away.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from aiohttp import web

from colibris import api, responses, security, subsystems
from colibris.conf import ImproperlyConfigured, settings

logger = logging.getLogger(__name__)

#: How many counts are kept in memory; the ones that were not used for longest make room.
MAX_COUNTS = 50_000

#: How long a cache may take to count a request, and how long it is left alone if it failed, in seconds.
CACHE_LIMIT = 0.5
CACHE_PAUSE = 5.0

#: What a view says that does not say how often it may be used: as often as THROTTLE says.
DEFAULT = 'default'

#: What floating-point numbers may lack.
_EPSILON = 1e-6

_UNITS = {'second': 1, 'minute': 60, 'hour': 3600, 'day': 86_400}
_UNITS |= {unit[0]: seconds for unit, seconds in _UNITS.items()}
_RATE = re.compile(r'\s*([1-9][0-9]{0,8})\s*/\s*([1-9][0-9]{0,3})?\s*([a-z]+?)s?\s*\Z')


class TooManyRequests(api.APIException):
    """Raised when a view was used too often; ``Retry-After`` says in how many seconds it may be again."""

    status = 429
    default_code = 'too_many_requests'
    default_message = 'there were too many requests; try again later'


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    limit: int
    seconds: int

    @classmethod
    def parse(cls, text: object) -> Rate:
        """Return the rate that *text* says, such as ``100/minute``, ``5/s`` or ``20/30s``. Raises ValueError."""
        match = _RATE.match(text.lower()) if isinstance(text, str) else None
        unit = None if match is None else _UNITS.get(match[3])
        if match is None or unit is None:
            raise ValueError(f"{text!r} is no rate: write a number, '/' and a time, such as '100/minute' or '20/30s'")
        return cls(int(match[1]), int(match[2] or 1) * unit)


@dataclass(frozen=True, slots=True)
class Window:
    """One moment of a sliding window."""

    rate: Rate
    index: int
    #: The part of the fixed window that has passed, from 0 to 1.
    passed: float

    @classmethod
    def at(cls, rate: Rate, now: float) -> Window:
        return cls(rate, int(now // rate.seconds), now % rate.seconds / rate.seconds)

    def room(self, before: int, current: int) -> int:
        """Return how many more requests there is room for, if so many came in the window before and in this one."""
        return math.floor(self.rate.limit - before * (1 - self.passed) - current + _EPSILON)

    def wait(self, before: int, current: int) -> int:
        """Return in how many seconds, at least 1, there is room for one more."""
        allowed = self.rate.limit - 1
        if current <= allowed:
            part = 1 - (allowed - current) / before - self.passed if before else 0.0
        else:
            part = 1 - self.passed + 1 - allowed / current
        return max(math.ceil(part * self.rate.seconds - _EPSILON), 1)

    def reset(self) -> int:
        """Return when this window ends, in seconds."""
        return math.ceil((1 - self.passed) * self.rate.seconds)


class MemoryCounts:
    """Counts by key: of one window, and of the one before it."""

    def __init__(self, limit: int = MAX_COUNTS) -> None:
        self._limit = limit
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    async def take(self, key: str, window: Window) -> tuple[bool, int, int]:
        """Count one request under *key* if there is room; return whether there was, and both counts then."""
        index, before, current = self._counts.pop(key, (window.index, 0, 0))
        if index != window.index:
            before, current = (current if index == window.index - 1 else 0), 0
        taken = window.room(before, current) >= 1
        current += taken
        self._counts[key] = (window.index, before, current)
        while len(self._counts) > self._limit:
            self._counts.popitem(last=False)
        return taken, before, current

    async def give_back(self, key: str, window: Window) -> None:
        """Take back what was counted under *key*."""
        index, before, current = self._counts.get(key, (0, 0, 0))
        if index == window.index:
            self._counts[key] = (index, before, current - 1)


class SharedCounts:
    """Counts in a cache that processes share."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    async def take(self, key: str, window: Window) -> tuple[bool, int, int]:
        """Count one request under *key* if there is room; return whether there was, and both counts then."""
        old, new = self._key(key, window.index - 1), self._key(key, window.index)
        known = await self._cache.get_many([old, new])
        before, current = known.get(old, 0), known.get(new, 0)
        if window.room(before, current) < 1:
            return False, before, current
        current = await self._cache.incr(new, 1, 2 * window.rate.seconds + 1)
        if window.room(before, current) >= 0:
            return True, before, current
        await self.give_back(key, window)  # others came in between
        return False, before, current - 1

    async def give_back(self, key: str, window: Window) -> None:
        """Take back what was counted under *key*."""
        await self._cache.decr(self._key(key, window.index), 1, 2 * window.rate.seconds + 1)

    @staticmethod
    def _key(key: str, index: int) -> str:
        digest = hashlib.blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()
        return f'{_PREFIX}{digest}.{index}'


_PREFIX = 'colibris.throttle.'
_memory = MemoryCounts()
_warned = -math.inf
_away_until = -math.inf


def forget() -> None:
    """Begin to count anew in memory; for tests."""
    global _memory, _away_until
    _memory, _away_until = MemoryCounts(), -math.inf


Counts = MemoryCounts | SharedCounts


def _counts() -> Counts:
    """Return where requests are counted: in the cache, unless it failed just now."""
    if time.monotonic() < _away_until:
        return _memory
    cache = next((subsystem.backend for subsystem in subsystems.opened() if subsystem.name == 'cache'), None)
    return _memory if cache is None else SharedCounts(cache)


def _leave_alone(error: Exception) -> None:
    """Count in memory for a while, as each request would wait for a cache that does not answer."""
    global _warned, _away_until
    _away_until = time.monotonic() + CACHE_PAUSE
    if time.monotonic() - _warned > 60:
        _warned = time.monotonic()
        logger.warning('requests are counted in memory only, as the cache is away: %r', error)


@dataclass(frozen=True, slots=True)
class Throttle:
    """How often one view, or all that share a *scope*, may be used."""

    scope: str
    rates: tuple[Rate, ...]
    #: Count by address, even where there is an account.
    by_address: bool = False

    async def admit(self, request: web.Request, account: object) -> None:
        """Count *request*, which *account* makes. Raises TooManyRequests."""
        key = None if self.by_address else security.account_key(account)
        who = address_key(request.remote) if key is None else f'account.{key}'
        counts = _counts()
        try:
            async with asyncio.timeout(None if counts is _memory else CACHE_LIMIT):
                await self._count(request, who, counts)
        except TooManyRequests:
            raise
        except Exception as exc:
            if counts is _memory:
                raise
            _leave_alone(exc)
            await self._count(request, who, _memory)

    async def _count(self, request: web.Request, who: str, counts: Counts) -> None:
        """Count *request* for each rate; what one of them refuses does not count for the others."""
        now = time.time()
        counted: list[tuple[str, Window]] = []
        rooms: list[tuple[int, Window]] = []
        for rate in self.rates:
            window = Window.at(rate, now)
            key = f'{self.scope}.{rate.limit}-{rate.seconds}.{who}'
            taken, before, current = await counts.take(key, window)
            if not taken:
                for each in counted:
                    await counts.give_back(*each)
                self._tell(request, 0, window)
                raise TooManyRequests(headers={'Retry-After': str(window.wait(before, current))})
            counted.append((key, window))
            rooms.append((window.room(before, current), window))
        self._tell(request, *min(rooms, key=lambda room: room[0]))

    def _tell(self, request: web.Request, room: int, window: Window) -> None:
        """Add the headers of draft-ietf-httpapi-ratelimit-headers (revision 10)."""
        policies = ', '.join(f'"{_name(rate)}";q={rate.limit};w={rate.seconds}' for rate in self.rates)
        responses.add_header(request, 'RateLimit-Policy', policies)
        responses.add_header(request, 'RateLimit', f'"{_name(window.rate)}";r={room};t={window.reset()}')


def _name(rate: Rate) -> str:
    return f'{rate.limit}-in-{rate.seconds}s'


def throttle_of(said: Callable[[str, Any], Any], name: str) -> Throttle | None:
    """Return how often the view or handler *name* may be used; *said* gives what it says of itself.

    ``throttle`` is a rate, several, None for no limit; ``throttle_by`` is ``'account'`` (the address, where there is no
    account) or ``'address'``. Raises TypeError.
    """
    rates = said('throttle', DEFAULT)
    scope = name
    if isinstance(rates, str) and rates == DEFAULT:
        scope, rates = DEFAULT, settings.THROTTLE if settings.is_set('THROTTLE') else None
    if rates is None:
        return None
    by = said('throttle_by', 'account')
    if by not in ('account', 'address'):
        raise TypeError(f"{name}: throttle_by must be 'account' or 'address', not {by!r}")
    try:
        return Throttle(scope, _parsed(rates), by_address=by == 'address')
    except ValueError as exc:
        if scope == DEFAULT:
            raise ImproperlyConfigured(f'THROTTLE ({settings.source("THROTTLE")}): {exc}', setting='THROTTLE') from exc
        raise TypeError(f'{name}: throttle: {exc}') from exc


def _parsed(rates: object) -> tuple[Rate, ...]:
    if isinstance(rates, Sequence) and not isinstance(rates, str):
        return tuple(Rate.parse(rate) for rate in rates) or (Rate.parse(''),)
    return (Rate.parse(rates),)


def address_key(remote: str | None) -> str:
    """Return what stands for an address: of IPv6 the /64 network, which one person has all of."""
    try:
        address = ip_address(remote or '')
    except ValueError:
        return f'address.{remote}'
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return f'address.{address.ipv4_mapped}'
        return f'address.{ip_network((address, 64), strict=False)}'
    return f'address.{address}'
