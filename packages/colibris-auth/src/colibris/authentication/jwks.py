"""The public keys of a provider, fetched from where it publishes them."""

from __future__ import annotations

import asyncio
import logging
import time

import aiohttp

from colibris.api import ServiceUnavailable
from colibris.authentication.publickeys import KeySet, PublicKey, parse_jwks

logger = logging.getLogger(__name__)

#: How long a fetch may take, in seconds; how much it may bring, in bytes.
TIME_LIMIT = 5.0
SIZE_LIMIT = 512 * 1024

#: How long keys are used before they are fetched again, and the shortest time between two fetches, in seconds.
LIFETIME = 3600.0
MINIMUM_INTERVAL = 60.0


class JWKSError(Exception):
    """Raised when keys cannot be fetched."""


class RemoteKeys:
    """The keys at a URL. They are fetched when they are needed first, when they are old, and for an unknown key.

    However many ask, one fetch runs, and none within a minute after the last one. Old keys stay in use while newer
    ones cannot be had.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._keys: KeySet | None = None
        self._fetched = self._tried = -float('inf')
        self._fetching: asyncio.Task[bool] | None = None

    async def find(self, algorithm: str, key_id: str | None) -> PublicKey | None:
        """Return the key for a token. Raises ServiceUnavailable while there are no keys at all."""
        if self._keys is None:
            await self.refresh()
        elif time.monotonic() - self._fetched > LIFETIME:
            self._start()
        if self._keys is None:
            raise ServiceUnavailable
        found = self._keys.find(algorithm, key_id)
        if found is None and await self.refresh():
            found = self._keys.find(algorithm, key_id)
        return found

    async def check_health(self) -> None:
        """Raise JWKSError if there are no keys."""
        if self._keys is None:
            await self.refresh()
        if self._keys is None:
            raise JWKSError(f'no keys could be fetched from {self.url}')

    async def refresh(self) -> bool:
        """Fetch the keys unless that was tried a moment ago; return whether there are new ones."""
        fetching = self._start()
        return False if fetching is None else await asyncio.shield(fetching)

    def _start(self) -> asyncio.Task[bool] | None:
        """Return the fetch that runs, started now if it may be; it does not end with the request that needed it."""
        if self._fetching is None and time.monotonic() - self._tried >= MINIMUM_INTERVAL:
            self._tried = time.monotonic()
            self._fetching = asyncio.create_task(self._fetch_once())
        return self._fetching

    async def _fetch_once(self) -> bool:
        try:
            self._keys = await self._fetch()
        except (aiohttp.ClientError, JWKSError, ValueError, OSError) as exc:  # TimeoutError is an OSError
            logger.error('the keys at %s cannot be fetched: %s', self.url, exc or type(exc).__name__)
            return False
        finally:
            self._fetching = None
        self._fetched = time.monotonic()
        return True

    async def close(self) -> None:
        """End a fetch that runs."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    async def _fetch(self) -> KeySet:
        timeout = aiohttp.ClientTimeout(total=TIME_LIMIT)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(self.url, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise JWKSError(f'the answer has the status {response.status}')
            data = bytearray()
            async for chunk in response.content.iter_any():
                data += chunk
                if len(data) > SIZE_LIMIT:
                    raise JWKSError(f'the answer has more than {SIZE_LIMIT} bytes')
        keys = parse_jwks(bytes(data))
        if not keys.keys:
            raise JWKSError('none of the keys there may verify signatures')
        return keys
