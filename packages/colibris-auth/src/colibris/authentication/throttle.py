"""How often somebody may try: guessing becomes slow, and nobody is locked out.

Attempts are counted for each account and address together, for the account, and for the address. Beyond a few, an
address has to pause before it tries the same account again; the account's owner, elsewhere, need not. What comes from
many addresses to one account, or from one address to many, is answered late. Counts are kept in the cache where there
is one, so that all processes share them, and in the memory of the process besides, for when the cache is away.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from colibris import api, subsystems

logger = logging.getLogger(__name__)

#: How many attempts an address has for one account before it has to pause, and how long they count, in seconds.
FREE_ATTEMPTS = 5
WINDOW = 900.0

#: The pause doubles with each further attempt, up to this many seconds.
MAX_PAUSE = 60.0

#: From how many attempts in an hour on an account, or an address, is answered late, and how late at most, in seconds.
FREE_OF_ACCOUNT = 30
FREE_OF_ADDRESS = 100
LONG_WINDOW = 3600.0
MAX_DELAY = 2.0

#: How many may wait for a late answer.
MAX_WAITING = 1000

#: How many counts are kept in memory.
MAX_COUNTS = 20_000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TooManyAttempts(api.APIException):
    """Raised when somebody has to pause before the next attempt; ``Retry-After`` says how many seconds."""

    status = 429
    default_code = 'too_many_attempts'
    default_message = 'there were too many attempts; try again later'


class MemoryCounts:
    """Counts that are forgotten after a while, at most *limit* of them: the oldest make room."""

    def __init__(self, limit: int = MAX_COUNTS) -> None:
        self._limit = limit
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: str, lifetime: float) -> int:
        """Count one more under *key* and return the count; its *lifetime* begins with the first."""
        now = time.monotonic()
        count, end = self._counts.pop(key, (0, 0.0))
        if end <= now:
            count, end = 0, now + lifetime
        self._counts[key] = (count + 1, end)
        while len(self._counts) > self._limit:
            self._counts.popitem(last=False)
        return count + 1

    def remove(self, keys: Sequence[str]) -> None:
        """Forget the counts under *keys*."""
        for key in keys:
            self._counts.pop(key, None)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was let through."""

    throttle: Throttle
    keys: tuple[str, ...]

    async def succeeded(self) -> None:
        """Forget the attempts that came before, as they were the owner's."""
        await self.throttle.forget(self.keys)


class Throttle:
    """Counts attempts and slows down who makes too many."""

    def __init__(self) -> None:
        self._memory = MemoryCounts()
        self._waiting = 0
        self._logged = -float('inf')

    async def attempt(self, account: str, address: str) -> Attempt:
        """Count an attempt to be *account* from *address*, and wait if there were many.

        Raises TooManyAttempts. It makes no difference whether there is such an account.
        """
        who, where = _digest(normalised(account)), _digest(address)
        pair, gate = f'pair.{who}.{where}', f'gate.{who}.{where}'
        beyond = await self._count(pair, WINDOW) - FREE_ATTEMPTS
        if beyond > 0:
            pause = min(2.0 ** min(beyond - 1, 10), MAX_PAUSE)
            if await self._count(gate, pause) > 1:
                raise TooManyAttempts(headers={'Retry-After': str(round(pause))})
        late = max(
            await self._count(f'account.{who}', LONG_WINDOW) - FREE_OF_ACCOUNT,
            await self._count(f'address.{where}', LONG_WINDOW) - FREE_OF_ADDRESS,
        )
        if late > 0:
            await self._wait(min(0.1 * late, MAX_DELAY))
        return Attempt(self, (pair, gate))

    async def _wait(self, seconds: float) -> None:
        if self._waiting >= MAX_WAITING:
            raise TooManyAttempts(headers={'Retry-After': '5'})
        self._waiting += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._waiting -= 1

    async def _count(self, key: str, lifetime: float) -> int:
        """Return the larger of both counts, so that a cache that is away, or was, cannot make it smaller."""
        return max(self._memory.add(key, lifetime), await self._shared(key, lifetime))

    async def _shared(self, key: str, lifetime: float) -> int:
        cache = _cache()
        if cache is None:
            return 0
        try:
            return int(await cache.incr(_PREFIX + key, 1, lifetime))
        except Exception as exc:
            self._log(exc)
            return 0

    async def forget(self, keys: Sequence[str]) -> None:
        """Begin to count anew under *keys*."""
        self._memory.remove(keys)
        if (cache := _cache()) is not None:
            try:
                await cache.delete_many([_PREFIX + key for key in keys])
            except Exception as exc:
                self._log(exc)

    def _log(self, error: Exception) -> None:
        if time.monotonic() - self._logged > 60:
            self._logged = time.monotonic()
            logger.warning('attempts are counted in memory only, as the cache is away: %s', error)


_PREFIX = 'colibris.authentication.attempts.'


def _cache() -> Any:
    """Return the open cache, if there is one; it is a distribution of its own."""
    return next((subsystem.backend for subsystem in subsystems.opened() if subsystem.name == 'cache'), None)


def normalised(name: str) -> str:
    """Return one spelling for names that a database, or a person, may take for equal."""
    return unicodedata.normalize('NFKC', name).casefold().strip()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]


def networks(given: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks that *given* names. Raises ValueError for what is none."""
    if isinstance(given, str):
        raise ValueError(f'trusted_proxies has to be a list of addresses or networks, not {given!r}')
    return tuple(ipaddress.ip_network(text) for text in given)


def address_of(request: web.Request, trusted: Sequence[Network] = ()) -> str:
    """Return the address that *request* came from; of IPv6 the /64 network, which one person has all of.

    ``X-Forwarded-For`` is believed as far as *trusted* proxies have written it.
    """
    address = _parse(request.remote or '')
    forwarded = ','.join(request.headers.getall('X-Forwarded-For', []))
    for text in reversed(forwarded.split(',') if forwarded else []):
        if address is None or not any(address in network for network in trusted):
            break
        address = _parse(text.strip())
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, 'ipv4_mapped', None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else address
