"""A cache on Redis."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, Literal, TypeVar

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis

from colibris.cache.base import CacheBackend
from colibris.cache.errors import CacheUnavailable, NotANumber

logger = logging.getLogger(__name__)

T = TypeVar('T')

_AWAY = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.BusyLoadingError, OSError)
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_EXTEND = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"

#: How often an outage is logged at the most, in seconds.
_LOG_INTERVAL = 60.0


class RedisBackend(CacheBackend):
    """Keeps values on a Redis server, which all processes share.

    The server is given by *url* (``redis://``, ``rediss://`` for TLS, ``unix://``) or by *host*, *port*, *db*,
    *username*, *password* and *tls*. At most *max_connections* are open; *timeout* limits each wait, in seconds. While
    the server is away, ``on_error='raise'`` raises CacheUnavailable and ``on_error='miss'`` finds and keeps nothing.
    """

    shared: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: str | None = None,
        host: str = '127.0.0.1',
        port: int = 6379,
        db: int = 0,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        max_connections: int = 50,
        timeout: float = 5.0,
        on_error: Literal['raise', 'miss'] = 'raise',
        lock_timeout: float = 10.0,
        default_lifetime: float = 300,
        prefix: str | None = None,
        version: int = 1,
        allow_pickle: bool = False,
    ) -> None:
        super().__init__(default_lifetime=default_lifetime, prefix=prefix, version=version, allow_pickle=allow_pickle)
        if on_error not in ('raise', 'miss'):
            raise ValueError(f"on_error must be 'raise' or 'miss', not {on_error!r}")
        self._on_error = on_error
        self._lock_timeout = lock_timeout
        self._logged = -_LOG_INTERVAL
        scheme = 'rediss' if tls else 'redis'
        pool = BlockingConnectionPool.from_url(
            url or f'{scheme}://{f"[{host}]" if ":" in host else host}:{port}/{db}',
            max_connections=max_connections,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            health_check_interval=0,
            **({'username': username, 'password': password} if password is not None else {}),
        )
        self._redis: Redis = Redis.from_pool(pool)

    def _if_away(self, exc: BaseException, absent: T) -> T:
        """Return what there is while Redis cannot be reached, or raise CacheUnavailable, as configured."""
        if self._on_error == 'raise':
            raise CacheUnavailable(f'the cache on Redis cannot be reached: {exc}') from exc
        now = time.monotonic()
        if now - self._logged >= _LOG_INTERVAL:
            self._logged = now
            logger.error('the cache on Redis cannot be reached, nothing is cached meanwhile: %s', exc)
        return absent

    async def open(self) -> None:
        if self._on_error == 'raise':
            await self.check_health()

    async def close(self) -> None:
        await self._redis.aclose()

    async def check_health(self) -> None:
        try:
            await self._redis.ping()
        except _AWAY as exc:
            self._if_away(exc, None)

    async def read(self, key: bytes) -> bytes | None:
        try:
            data: bytes | None = await self._redis.get(key)  # type: ignore[assignment]  # decoding is off
            return data
        except _AWAY as exc:
            return self._if_away(exc, None)

    async def write(self, key: bytes, data: bytes, lifetime: float | None) -> None:
        try:
            await self._redis.set(key, data, px=_milliseconds(lifetime))
        except _AWAY as exc:
            self._if_away(exc, None)

    async def write_new(self, key: bytes, data: bytes, lifetime: float | None) -> bool:
        try:
            return bool(await self._redis.set(key, data, px=_milliseconds(lifetime), nx=True))
        except _AWAY as exc:
            return self._if_away(exc, False)

    async def remove_many(self, keys: Sequence[bytes]) -> int:
        try:
            return int(await self._redis.unlink(*keys))
        except _AWAY as exc:
            return self._if_away(exc, 0)

    async def extend(self, key: bytes, lifetime: float | None) -> bool:
        milliseconds = _milliseconds(lifetime)
        try:
            if milliseconds is not None:
                return bool(await self._redis.pexpire(key, milliseconds))
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.persist(key)
                pipe.exists(key)
                _, exists = await pipe.execute()
                return bool(exists)
        except _AWAY as exc:
            return self._if_away(exc, False)

    async def change(self, key: bytes, delta: int, lifetime: float | None) -> int:
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(key, 0, px=_milliseconds(lifetime), nx=True)
                pipe.incrby(key, delta)
                _, number = await pipe.execute()
                return int(number)
        except _AWAY as exc:
            return self._if_away(exc, delta)
        except exceptions.ResponseError as exc:
            raise NotANumber(f'the value under this key cannot be counted with: {exc}') from exc

    async def remove_all(self, prefix: bytes) -> None:
        escaped = b''.join(b'\\%c' % byte if byte in b'*?[]^-\\' else b'%c' % byte for byte in prefix)
        try:
            found: list[bytes] = []
            async for key in self._redis.scan_iter(match=escaped + b'*', count=1000):
                found.append(key)
                if len(found) == 1000:
                    await self._redis.unlink(*found)
                    found.clear()
            if found:
                await self._redis.unlink(*found)
        except _AWAY as exc:
            self._if_away(exc, None)

    async def read_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        try:
            found: list[bytes | None] = await self._redis.mget(keys)  # type: ignore[assignment]  # decoding is off
            return found
        except _AWAY as exc:
            return self._if_away(exc, [None] * len(keys))

    async def write_many(self, items: Mapping[bytes, bytes], lifetime: float | None) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for key, data in items.items():
                    pipe.set(key, data, px=_milliseconds(lifetime))
                await pipe.execute()
        except _AWAY as exc:
            self._if_away(exc, None)

    @asynccontextmanager
    async def lock(self, key: bytes) -> AsyncIterator[bool]:
        """Hold the lock *key*; it is renewed while it is held, and falls to others when its holder dies."""
        token = secrets.token_bytes(16)
        try:
            mine = bool(await self._redis.set(key, token, px=_milliseconds(self._lock_timeout), nx=True))
        except _AWAY as exc:
            self._if_away(exc, None)
            yield True
            return
        if not mine:
            yield False
            return
        renewal = asyncio.create_task(self._renew_lock(key, token))
        try:
            yield True
        finally:
            renewal.cancel()
            try:
                await self._redis.eval(_RELEASE, 1, key, token)
            except _AWAY:
                logger.warning('a lock on Redis was not released; it falls free within %s s', self._lock_timeout)

    async def _renew_lock(self, key: bytes, token: bytes) -> None:
        while True:
            await asyncio.sleep(self._lock_timeout / 3)
            try:
                await self._redis.eval(_EXTEND, 1, key, token, str(_milliseconds(self._lock_timeout)))
            except _AWAY as exc:
                logger.warning('a lock on Redis could not be renewed: %s', exc)


def _milliseconds(lifetime: float | None) -> int | None:
    return None if lifetime is None else max(1, round(lifetime * 1000))
