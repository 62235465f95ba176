"""The contract of a database backend."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import ClassVar, TypeVar

from colibris.persist.connections import Client
from colibris.persist.errors import AccessDenied, DatabaseUnavailable, MissingDatabase, TransactionConflict
from colibris.subsystems import Backend

__all__ = ['DatabaseBackend', 'LockTimeout', 'ServerBackend']

#: What is prepended to the name of a database to name the one that tests use.
TEST_PREFIX = 'test_'

N = TypeVar('N', int, float)


class LockTimeout(TransactionConflict):
    """Raised when another process has held the lock of `DatabaseBackend.lock` for too long."""


class DatabaseBackend(Backend):
    """One database: how it is reached, made, dropped and locked.

    A backend is made from options and does not know the settings. It hands Tortoise a client (see
    `colibris.persist.connections.Client`); while the backend is open, *client* is that object.
    """

    #: The dialect of SQL, by Tortoise's name for it: sqlite, postgres or mysql.
    dialect: ClassVar[str]
    client_class: ClassVar[type[Client]]

    #: Seconds to wait for a connection that is free.
    pool_timeout: float
    #: The directory from which a relative file name starts; set by the subsystem.
    base_dir: Path | None = None
    #: The name under which models ask for this database; set when it is opened.
    alias: str = 'default'
    #: Somebody has dropped or made the database since tests were given it.
    emptied: bool = False

    def __init__(self, *, name: str, pool_timeout: float = 30) -> None:
        if not isinstance(name, str | Path) or not str(name):
            raise ValueError(f'name must be the name of a database, not {name!r}')
        if '\0' in str(name):
            raise ValueError('name must not contain NUL')
        self.name = str(name)
        self.pool_timeout = seconds('pool_timeout', pool_timeout)
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """Tortoise's client for this database."""
        if self._client is None:
            raise RuntimeError(f'{self.describe()} is not open')
        return self._client

    @client.setter
    def client(self, client: Client) -> None:
        self._client = client

    @property
    def opened_client(self) -> Client | None:
        """Tortoise's client, or None while the database is not open."""
        return self._client

    def describe(self) -> str:
        """Return what tells this database from others, in words and without secrets."""
        return f'the {self.dialect} database {self.name!r}'

    def identity(self) -> tuple[object, ...]:
        """Return what is equal for two backends if they are about the same database."""
        return (self.dialect, self.name)

    @classmethod
    def test_name(cls, name: str, suffix: str = '') -> str:
        """Return the name of the database that stands in for *name* in tests; *suffix* tells parallel workers apart."""
        return f'{TEST_PREFIX}{name}{suffix}'

    @classmethod
    def with_suffix(cls, name: str, suffix: str) -> str:
        """Return *name* with *suffix* at the end."""
        return f'{name}{suffix}'

    async def open(self) -> None:
        """Connect for the first time. Raises DatabaseUnavailable, saying what to do, if that cannot be done."""
        await self.check_health()

    async def close(self) -> None:
        """Close all connections, waiting for those in use for some seconds."""
        if self._client is not None:
            await self._client.close()

    def connections(self) -> tuple[int, int] | None:
        """Return how many connections are in use and how many idle; None where there is no pool."""
        return None

    async def check_health(self) -> None:
        """Raise DatabaseUnavailable if the database does not answer."""
        await self.client.execute_query('SELECT 1')

    @abstractmethod
    async def exists(self) -> bool:
        """Return whether the database is there."""

    @abstractmethod
    async def create(self) -> None:
        """Make the database, empty."""

    @abstractmethod
    async def drop(self) -> None:
        """Remove the database and all that is in it, whoever uses it; nothing happens if it is not there."""

    @abstractmethod
    def lock(self, *, timeout: float = 60) -> AbstractAsyncContextManager[None]:
        """Keep other processes from entering the same block on this database; used while migrations run.

        It holds no transaction and no connection of the pool. Raises LockTimeout after *timeout* seconds.
        """

    def lock_timeout(self, timeout: float) -> LockTimeout:
        """Return the error for a lock that was not free within *timeout* seconds."""
        return LockTimeout(
            f'another process has been migrating {self.describe()} for {timeout:g} s; wait until it is done, '
            'or end it if it hangs'
        )


class ServerBackend(DatabaseBackend):
    """What databases behind a server have in common: its address, who connects, and the bounds of the pool."""

    title: ClassVar[str]
    default_port: ClassVar[int]
    default_username: ClassVar[str]
    #: Longer names are cut by the server without a word.
    max_name_length: ClassVar[int]

    def __init__(
        self,
        *,
        name: str,
        host: str = '127.0.0.1',
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        min_connections: int = 1,
        max_connections: int = 10,
        pool_timeout: float = 30,
        connect_timeout: float = 10,
        command_timeout: float | None = 60,
        ssl: bool | str | SSLContext | None = None,
    ) -> None:
        super().__init__(name=name, pool_timeout=pool_timeout)
        if len(self.name.encode()) > self.max_name_length:
            raise ValueError(f'name must have at most {self.max_name_length} bytes: {self.name!r}')
        self.host = text('host', host)
        self.port = integer('port', port if port is not None else self.default_port, 1, 65535)
        self.username = text('username', username or self.default_username)
        self.password = None if password is None else text('password', password, secret=True)
        self.min_connections = integer('min_connections', min_connections, 0)
        self.max_connections = integer('max_connections', max_connections, 1)
        if self.min_connections > self.max_connections:
            raise ValueError(
                f'min_connections ({self.min_connections}) must not be above max_connections ({self.max_connections})'
            )
        self.connect_timeout = seconds('connect_timeout', connect_timeout)
        self.command_timeout = None if command_timeout is None else seconds('command_timeout', command_timeout)
        self.ssl = tls(ssl)

    def describe(self) -> str:
        return f'{self.title} at {self.host}:{self.port}, database {self.name!r}, user {self.username!r}'

    def identity(self) -> tuple[object, ...]:
        return (self.dialect, self.host, self.port, self.name)

    def unreachable(self, reason: object) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f'{self.describe()} cannot be reached ({reason}); '
            'check that the server runs and that host and port are right'
        )

    def lost(self, reason: object) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f'{self.describe()} is not available ({reason}); it is tried again with each request'
        )

    def slow(self) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f'{self.describe()} did not answer in time (connect_timeout is {self.connect_timeout:g} s, '
            f'command_timeout {self.command_timeout or 0:g} s)'
        )

    def denied(self, reason: object) -> AccessDenied:
        return AccessDenied(
            f'{self.describe()}: the server does not let the user in ({reason}); check username and password'
        )

    def missing(self) -> MissingDatabase:
        return MissingDatabase(
            f'{self.describe()}: the server has no such database; check the name, or create it: {self.create_command()}'
        )

    def create_command(self) -> str:
        """Return the command by which a person creates the database."""
        raise NotImplementedError

    async def open(self) -> None:
        try:
            await self.check_health()
        except DatabaseUnavailable:
            raise
        except Exception as exc:
            raise DatabaseUnavailable(f'{self.describe()} cannot be used: {exc}') from exc

    @property
    def lock_key(self) -> bytes:
        """Eight bytes that stand for this database's lock."""
        return hashlib.blake2b(f'colibris:migrations:{self.name}'.encode(), digest_size=8).digest()


def text(option: str, value: object, *, secret: bool = False) -> str:
    """Return *value* if it is a string without NUL."""
    if not isinstance(value, str) or '\0' in value:
        raise ValueError(f'{option} must be a string without NUL' + ('' if secret else f', not {value!r}'))
    return value


def integer(option: str, value: object, least: int, most: int | None = None) -> int:
    """Return *value*, which may come from a URL as a string, as an integer within bounds."""
    number = _number(value, int)
    if number is None or number < least or (most is not None and number > most):
        bounds = f'from {least} to {most}' if most is not None else f'of at least {least}'
        raise ValueError(f'{option} must be an integer {bounds}, not {value!r}')
    return number


def seconds(option: str, value: object) -> float:
    """Return *value*, which may come from a URL as a string, as a number of seconds above 0."""
    number = _number(value, float)
    if number is None or not 0 < number < 10**9:
        raise ValueError(f'{option} must be a number of seconds above 0, not {value!r}')
    return number


def boolean(option: str, value: object) -> bool:
    """Return *value*, which may come from a URL as a string, as a truth value."""
    if isinstance(value, bool):
        return value
    words = {'true': True, 'yes': True, 'on': True, '1': True, 'false': False, 'no': False, 'off': False, '0': False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError(f'{option} must be true or false, not {value!r}')


def one_of(option: str, value: object, known: Sequence[str]) -> str:
    """Return *value*, in lower case, if it is one of the words that are *known*."""
    if not isinstance(value, str) or value.lower() not in known:
        raise ValueError(f'{option} must be one of {", ".join(known)}, not {value!r}')
    return value.lower()


def _number(value: object, kind: type[N]) -> N | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if kind is int and isinstance(value, float):
        return None
    try:
        return kind(value)
    except (ValueError, OverflowError):
        return None


def tls(value: object) -> SSLContext | bool | None:
    """Return how to encrypt, from the option *ssl*.

    None is as the driver does by itself, false not at all, true by the system's authorities, a path by those in that
    file, an SSLContext as it says.
    """
    if value is None or isinstance(value, SSLContext):
        return value
    if isinstance(value, str) and value.lower() not in ('true', 'yes', 'on', '1', 'false', 'no', 'off', '0'):
        try:
            return create_default_context(cafile=value)
        except OSError as exc:
            raise ValueError(
                f'ssl must be true, false, an SSLContext or the path of a file with CA certificates; {value!r}: {exc}'
            ) from exc
    return create_default_context() if boolean('ssl', value) else False
