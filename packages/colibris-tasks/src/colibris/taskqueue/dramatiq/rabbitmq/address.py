"""Where RabbitMQ is and how it is reached."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

import pika  # type: ignore[import-untyped]

#: Seconds between the signs of life by which both sides notice that the other is gone without a word.
HEARTBEAT = 15
CONNECT_TIMEOUT = 5.0  # seconds

_PORT, _TLS_PORT = 5672, 5671


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a RabbitMQ server, and who connects."""

    host: str = '127.0.0.1'
    port: int = _PORT
    username: str = 'guest'
    password: str = field(default='guest', repr=False)
    virtual_host: str = '/'
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return f'RabbitMQ at {self.host}:{self.port}, virtual host {self.virtual_host!r}, user {self.username!r}'

    def parameters(self, name: str) -> pika.ConnectionParameters:
        """Return what pika needs to connect; *name* is what the server lists the connection as."""
        return pika.ConnectionParameters(
            host=self.host,
            port=self.port,
            virtual_host=self.virtual_host,
            credentials=pika.PlainCredentials(self.username, self.password),
            ssl_options=None if self.tls is None else pika.SSLOptions(self.tls, self.host),
            heartbeat=HEARTBEAT,
            socket_timeout=CONNECT_TIMEOUT,
            stack_timeout=CONNECT_TIMEOUT * 2,
            connection_attempts=1,
            client_properties={'connection_name': name},
        )


def address_of(
    *,
    url: str | None = None,
    host: str | None = None,
    port: int | None = None,
    username: str | None = None,
    password: str | None = None,
    virtual_host: str | None = None,
    tls: bool = False,
    ca_file: str | None = None,
) -> Address:
    """Return the address that the options name: by *url* (``amqp://`` or ``amqps://``) or by its parts.

    *username* and *password* go with either. *ca_file* names authorities of one's own, for TLS. Raises ValueError.
    """
    parts = _Parts(host, port, username, password, virtual_host, tls)
    if url is not None:
        if given := [name for name in ('host', 'port', 'virtual_host', 'tls') if getattr(parts, name)]:
            raise ValueError(f'url says where RabbitMQ is, so {" and ".join(given)} must not be given beside it')
        parts = _parse(url, parts)
    if ca_file is not None and not parts.tls:
        raise ValueError('ca_file is for TLS only: set tls, or use a url that begins with amqps://')
    _check(parts)
    return Address(
        host=parts.host or '127.0.0.1',
        port=parts.port or (_TLS_PORT if parts.tls else _PORT),
        username=parts.username or 'guest',
        password='guest' if parts.password is None else parts.password,
        virtual_host=parts.virtual_host or '/',
        tls=_context(ca_file) if parts.tls else None,
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    host: str | None
    port: int | None
    username: str | None
    password: str | None
    virtual_host: str | None
    tls: bool


def _parse(url: str, beside: _Parts) -> _Parts:
    try:
        split = urlsplit(url)
        port = split.port
    except (ValueError, AttributeError, TypeError):  # its text may hold a part of the password
        raise ValueError(
            'url is not one of RabbitMQ: amqp://[USER:PASSWORD@]HOST[:PORT][/VIRTUAL_HOST], or amqps:// for TLS; '
            'in a password, write characters other than letters and digits as %XX'
        ) from None
    if split.scheme not in ('amqp', 'amqps'):
        raise ValueError(f'url must begin with amqp:// or amqps://, not {split.scheme!r}')
    if split.query or split.fragment:
        raise ValueError("url takes no parameters after '?'; give them as options of their own")
    username, password = _credentials(split, beside)
    virtual_host = unquote(split.path[1:]) or None
    return _Parts(split.hostname, port, username, password, virtual_host, split.scheme == 'amqps')


def _credentials(split: SplitResult, beside: _Parts) -> tuple[str | None, str | None]:
    username, password = beside.username, beside.password
    if username is None and split.username is not None:
        username = unquote(split.username)
    if password is None and split.password is not None:
        password = unquote(split.password)
    return username, password


def _check(parts: _Parts) -> None:
    for name in ('host', 'username', 'password', 'virtual_host'):
        value = getattr(parts, name)
        if value is not None and (not isinstance(value, str) or len(value.encode()) > 255):
            raise ValueError(f'{name} must be a string of at most 255 bytes')
    port = parts.port
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536):
        raise ValueError(f'port must be an integer from 1 to 65535, not {port!r}')


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as exc:
        raise ValueError(f'ca_file {ca_file!r} cannot be used: {exc}') from exc
