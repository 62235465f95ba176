"""Where a Redis server is, as options say it, and connections to it for event loops and for threads."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.retry import Retry

#: What a server answers, or what happens, while it cannot do its work: it is away, loads, runs over, is a replica.
AWAY = (
    *(exceptions.ConnectionError, exceptions.TimeoutError, OSError),
    *(exceptions.ReadOnlyError, exceptions.OutOfMemoryError, exceptions.MasterDownError, exceptions.TryAgainError),
)


class RedisServer:
    """A Redis server: *url*, or *host*, *port*, *db* and *tls*; *username* and *password* go with either.

    *ca_file* names authorities of one's own. *timeout* limits each wait for an answer, in seconds.
    """

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
        timeout: float = 5.0,
    ) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
            raise ValueError(f'timeout must be a positive number of seconds, not {timeout!r}')
        self._timeout = timeout
        place = {'host': host, 'port': port, 'db': db, 'tls': tls or None}
        self._tls = tls
        if url:
            self._options = _from_url(url, place)
            self._tls = urlsplit(url).scheme == 'rediss'
        else:
            self._options = _from_place(host or '127.0.0.1', port, db)
        self._options |= _credentials(self._options, username, password)
        if ca_file:
            self._options |= self._authorities(ca_file)
        try:
            self.connect_thread().connection_pool.make_connection()  # which does not connect
        except TypeError as exc:
            raise ValueError(f'url has a parameter that Redis does not know: {exc}') from exc

    def __str__(self) -> str:
        if 'path' in self._options:
            return str(self._options['path'])
        return f'{self._options.get("host", "127.0.0.1")}:{self._options.get("port", 6379)}'

    def _authorities(self, ca_file: str) -> dict[str, str]:
        if not self._tls:
            raise ValueError("ca_file is for TLS: set 'tls': True, or give a url that begins with rediss://")
        try:
            ssl.create_default_context(cafile=ca_file)
        except OSError as exc:
            raise ValueError(f'ca_file: {ca_file!r} cannot be read as a file of certificates: {exc}') from exc
        return {'ssl_ca_certs': ca_file}

    def connect(self) -> redis.asyncio.Redis:
        """Return a client for an event loop; nothing is connected before it is used."""
        from redis.asyncio import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection

        kind: Any = self._choose(Connection, SSLConnection, UnixDomainSocketConnection)
        again = AsyncRetry(NoBackoff(), 1)
        pool = ConnectionPool(connection_class=kind, **self._options, **self._waits(), retry=again)
        return redis.asyncio.Redis.from_pool(pool)

    def connect_thread(self) -> redis.Redis:
        """Return a client for threads; nothing is connected before it is used."""
        from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection

        kind: Any = self._choose(Connection, SSLConnection, UnixDomainSocketConnection)
        again = Retry(NoBackoff(), 1)
        return redis.Redis.from_pool(
            ConnectionPool(connection_class=kind, **self._options, **self._waits(), retry=again)
        )

    def _choose(self, plain: type, tls: type, unix: type) -> type:
        return unix if 'path' in self._options else tls if self._tls else plain

    def _waits(self) -> dict[str, Any]:
        waits: dict[str, Any] = {'socket_timeout': self._timeout, 'socket_connect_timeout': self._timeout}
        return waits if 'path' in self._options else {**waits, 'socket_keepalive': True}


def _from_place(host: str, port: int | None, db: int | None) -> dict[str, Any]:
    for name, value, most in (('port', port, 65535), ('db', db, 2**31)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most):
            raise ValueError(f'{name} must be an integer from 0 to {most}, not {value!r}')
    return {'host': host, 'port': 6379 if port is None else port, 'db': db or 0}


#: What of a connection is not for a URL to say.
_TAKEN = frozenset({'decode_responses', 'socket_connect_timeout', 'socket_keepalive', 'socket_timeout'})


def _from_url(url: str, place: Mapping[str, object]) -> dict[str, Any]:
    given = ', '.join(name for name, value in place.items() if value is not None)
    if given:
        raise ValueError(f'url says where the server is; do not give {given} beside it')
    try:
        options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
        urlsplit(url).port  # noqa: B018  # checks it
    except Exception:  # its text may hold a part of the password
        raise ValueError(
            'url is not one of a Redis server: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss:// for TLS or '
            'unix:///PATH; in a password, write characters other than letters and digits as %XX'
        ) from None
    options.pop('connection_class', None)
    if taken := ', '.join(sorted(_TAKEN & options.keys())):
        raise ValueError(f'url must not say {taken}: the option timeout limits each wait, and messages are bytes')
    return options


def _credentials(server: Mapping[str, Any], username: str | None, password: str | None) -> dict[str, str]:
    chosen = {name: value for name, value in (('username', username), ('password', password)) if value}
    twice = ', '.join(name for name in chosen if name in server)
    if twice:
        raise ValueError(f'{twice} is given twice: within url and beside it')
    return chosen
