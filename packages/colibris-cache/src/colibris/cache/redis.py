"""A cache on Redis."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection
from redis.asyncio.connection import parse_url

from colibris import tracing
from colibris.cache.base import CacheBackend
from colibris.cache.errors import CacheUnavailable, NotANumber

logger = logging.getLogger(__name__)

T = TypeVar('T')

#: What a server answers, or what happens, while it cannot do its work: it is away, loads, runs over, is a replica.
_AWAY = (
    *(exceptions.ConnectionError, exceptions.TimeoutError, OSError),
    *(exceptions.ReadOnlyError, exceptions.OutOfMemoryError, exceptions.MasterDownError, exceptions.TryAgainError),
)
_LATE = (exceptions.TimeoutError, TimeoutError)
_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_EXTEND = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"

#: The longest lifetime that Redis takes, in milliseconds; nobody will see its end.
_LONGEST = 2**62
#: How often an outage is logged at the most, in seconds.
_LOG_INTERVAL = 60.0
#: For how long a server that let a caller wait for too long is not asked again while its absence is a miss, in seconds.
_PAUSE = 1.0
#: How often a lock is renewed at the most: a computation that hangs must not hold up the other processes for ever.
_RENEWALS = 100


class RedisBackend(CacheBackend):
    """Keeps values on a Redis server, which all processes share.

    The server is given by *url* (``redis://``, ``rediss://`` for TLS, ``unix://``) or by *host* (127.0.0.1), *port*
    (6379), *db* (0) and *tls*; *username* and *password* go with either. *ca_file* names authorities of one's own. At
    most *max_connections* are open; *timeout* limits each wait, in seconds. While the server is away,
    ``on_error='raise'`` raises CacheUnavailable and ``on_error='miss'`` finds and keeps nothing. The lock on a
    computation falls to others *lock_timeout* seconds after its holder has died.
    """

    shared: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: str | None = None,
        host: str | None = None,
        port: int | None = None,
        db: int | None = None,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
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
        for name, value in (('max_connections', max_connections), ('timeout', timeout), ('lock_timeout', lock_timeout)):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise ValueError(f'{name} must be a positive number, not {value!r}')
        self._on_error = on_error
        self._lock_timeout = lock_timeout
        self._logged = -_LOG_INTERVAL
        self._paused_until = 0.0
        self._timeout = timeout
        place = {'host': host, 'port': port, 'db': db, 'tls': tls or None}
        server = _from_url(url, place) if url else _from_place(host or '127.0.0.1', port, db, tls=tls)
        server |= {**_credentials(server, username, password), **_authorities(server, ca_file)}
        pool = ConnectionPool(
            **server,
            max_connections=max_connections,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
        )
        try:
            pool.make_connection()  # type: ignore[no-untyped-call]
        except TypeError as exc:
            raise ValueError(f'url has a parameter that Redis does not know: {exc}') from exc
        self._redis: Redis = Redis.from_pool(pool)
        # Waits for a free connection, as BlockingConnectionPool does, in a tenth of its time.
        self._connections = asyncio.Semaphore(max_connections)

    def _if_away(self, exc: BaseException, absent: T) -> T:
        """Return what there is while Redis cannot be reached, or raise CacheUnavailable, as configured."""
        if self._on_error == 'raise':
            raise CacheUnavailable(f'the cache on Redis cannot be reached: {exc or type(exc).__name__}') from exc
        now = time.monotonic()
        if isinstance(exc, _LATE):
            self._paused_until = now + _PAUSE
        if now - self._logged >= _LOG_INTERVAL:
            self._logged = now
            logger.error(
                'the cache on Redis cannot be reached, nothing is cached meanwhile: %s', exc or type(exc).__name__
            )
        return absent

    async def _ask(self, question: Callable[[Redis], Awaitable[Any]], absent: T) -> Any:
        """Return the server's answer to *question*, *absent* while it is away and that is to be a miss."""
        if self._paused_until and time.monotonic() < self._paused_until:
            return absent
        try:
            await self._wait_for_connection()
            try:
                return await question(self._redis)
            finally:
                self._connections.release()
        except _AWAY as exc:
            return self._if_away(exc, absent)

    async def _wait_for_connection(self) -> None:
        if not self._connections.locked():
            await self._connections.acquire()  # at once
            return
        try:
            async with asyncio.timeout(self._timeout):
                await self._connections.acquire()
        except TimeoutError as exc:
            raise exceptions.ConnectionError(f'no connection became free within {self._timeout:g} s') from exc

    async def open(self) -> None:
        if tracing.is_on():
            from opentelemetry.instrumentation.redis import RedisInstrumentor

            RedisInstrumentor.instrument_client(self._redis, tracer_provider=tracing.provider())
        try:
            await self._redis.ping()
        except exceptions.AuthenticationError as exc:  # it will not go away by itself
            raise CacheUnavailable(f'Redis refuses the username or the password, or wants one: {exc}') from exc
        except _AWAY as exc:
            self._if_away(exc, None)

    async def close(self) -> None:
        await self._redis.aclose()

    async def check_health(self) -> None:
        """Ask the server; where its absence is a miss, the service is healthy without it."""
        await self._ask(lambda redis: redis.ping(), None)

    async def read(self, key: bytes) -> bytes | None:
        data: bytes | None = await self._ask(lambda redis: redis.get(key), None)
        return data

    async def write(self, key: bytes, data: bytes, lifetime: float | None) -> None:
        await self._ask(lambda redis: redis.set(key, data, px=_milliseconds(lifetime)), None)

    async def write_new(self, key: bytes, data: bytes, lifetime: float | None) -> bool:
        return bool(await self._ask(lambda redis: redis.set(key, data, px=_milliseconds(lifetime), nx=True), False))

    async def remove_many(self, keys: Sequence[bytes]) -> int:
        return int(await self._ask(lambda redis: redis.unlink(*keys), 0))

    async def extend(self, key: bytes, lifetime: float | None) -> bool:
        milliseconds = _milliseconds(lifetime)
        if milliseconds is not None:
            return bool(await self._ask(lambda redis: redis.pexpire(key, milliseconds), False))

        async def persist(redis: Redis) -> Any:
            async with redis.pipeline(transaction=True) as pipe:
                pipe.persist(key)
                pipe.exists(key)
                return await pipe.execute()

        _, exists = await self._ask(persist, (0, 0))
        return bool(exists)

    async def change(self, key: bytes, delta: int, lifetime: float | None) -> int:
        async def add(redis: Redis) -> Any:
            async with redis.pipeline(transaction=True) as pipe:
                pipe.set(key, 0, px=_milliseconds(lifetime), nx=True)
                pipe.incrby(key, delta)
                return await pipe.execute()

        try:
            _, number = await self._ask(add, (None, delta))
        except exceptions.ResponseError as exc:
            raise NotANumber(f'the value under this key cannot be counted with: {exc}') from exc
        return int(number)

    async def remove_all(self, prefix: bytes) -> None:
        escaped = b''.join(b'\\%c' % byte if byte in b'*?[]^-\\' else b'%c' % byte for byte in prefix)

        async def remove(redis: Redis) -> None:
            found: list[bytes] = []
            async for key in redis.scan_iter(match=escaped + b'*', count=1000):
                found.append(key)
                if len(found) == 1000:
                    await redis.unlink(*found)
                    found.clear()
            if found:
                await redis.unlink(*found)

        await self._ask(remove, None)

    async def read_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return list(await self._ask(lambda redis: redis.mget(keys), [None] * len(keys)))

    async def write_many(self, items: Mapping[bytes, bytes], lifetime: float | None) -> None:
        async def write(redis: Redis) -> None:
            async with redis.pipeline(transaction=False) as pipe:
                for key, data in items.items():
                    pipe.set(key, data, px=_milliseconds(lifetime))
                await pipe.execute()

        await self._ask(write, None)

    @asynccontextmanager
    async def lock(self, key: bytes) -> AsyncIterator[bool]:
        """Hold the lock *key*; it is renewed while it is held, and falls to others when its holder dies."""
        token = secrets.token_bytes(16)
        away = object()
        answer = await self._ask(
            lambda redis: redis.set(key, token, px=_milliseconds(self._lock_timeout), nx=True), away
        )
        if answer is away:
            yield True
            return
        mine = bool(answer)
        if not mine:
            yield False
            return
        renewal = asyncio.create_task(self._renew_lock(key, token))
        try:
            yield True
        finally:
            renewal.cancel()
            try:
                await self._run(_RELEASE, key, token)
            except _AWAY:
                logger.warning('a lock on Redis was not released; it falls free within %s s', self._lock_timeout)

    async def _run(self, script: str, key: bytes, *arguments: bytes | str) -> None:
        await self._wait_for_connection()
        try:
            await self._redis.eval(script, 1, key, *arguments)
        finally:
            self._connections.release()

    async def _renew_lock(self, key: bytes, token: bytes) -> None:
        for _ in range(_RENEWALS):
            await asyncio.sleep(self._lock_timeout / 3)
            try:
                await self._run(_EXTEND, key, token, str(_milliseconds(self._lock_timeout)))
            except _AWAY as exc:
                logger.warning('a lock on Redis could not be renewed: %s', exc)


def _from_place(host: str, port: int | None, db: int | None, *, tls: bool) -> dict[str, Any]:
    for name, value, most in (('port', port, 65535), ('db', db, 2**31)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most):
            raise ValueError(f'{name} must be an integer from 0 to {most}, not {value!r}')
    return {
        'connection_class': SSLConnection if tls else Connection,
        'host': host,
        'port': 6379 if port is None else port,
        'db': db or 0,
    }


#: What of a connection is not for a URL to say.
_TAKEN = frozenset({'decode_responses', 'max_connections', 'socket_connect_timeout', 'socket_timeout'})


def _from_url(url: str, place: Mapping[str, object]) -> dict[str, Any]:
    given = ', '.join(name for name, value in place.items() if value is not None)
    if given:
        raise ValueError(f'url says where the server is; do not give {given} beside it')
    try:
        options: dict[str, Any] = dict(parse_url(url))
        urlsplit(url).port  # noqa: B018  # checks it
    except Exception:  # its text may hold a part of the password
        raise ValueError(
            'url is not one of a Redis server: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// for TLS or '
            'unix:///PATH; in a password, write characters other than letters and digits as %XX'
        ) from None
    if taken := ', '.join(sorted(_TAKEN & options.keys())):
        raise ValueError(f'url must not say {taken}: see the options timeout and max_connections; values are bytes')
    return {'connection_class': Connection, **options}


def _credentials(server: Mapping[str, Any], username: str | None, password: str | None) -> dict[str, str]:
    given = {'username': username, 'password': password}
    chosen = {name: value for name, value in given.items() if value}
    twice = ', '.join(name for name in chosen if name in server)
    if twice:
        raise ValueError(f'{twice} is given twice: within url and beside it')
    return chosen


def _authorities(server: Mapping[str, Any], ca_file: str | None) -> dict[str, str]:
    if not ca_file:
        return {}
    if not issubclass(server['connection_class'], SSLConnection):
        raise ValueError("ca_file is for TLS: set 'tls': True, or give a url that begins with rediss://")
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError as exc:
        raise ValueError(f'ca_file: {ca_file!r} cannot be read as a file of certificates: {exc}') from exc
    return {'ssl_ca_certs': ca_file}


def _milliseconds(lifetime: float | None) -> int | None:
    return None if lifetime is None else min(max(1, round(lifetime * 1000)), _LONGEST)
