"""What is known of a database of a MySQL server: where it is, how it is made and dropped."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import methodcaller
from ssl import SSLContext
from typing import Any

import asyncmy
from asyncmy import errors as driver
from asyncmy.constants import CLIENT

from colibris.persist.base import ServerBackend, one_of
from colibris.persist.mysql.client import MySQLClient, ended_by_cancelling
from colibris.persist.mysql.errors import translate

__all__ = ['MySQLBackend']

_ISOLATION_LEVELS = ('read uncommitted', 'read committed', 'repeatable read', 'serializable')
_STRICT = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_IN_DATE,NO_ZERO_DATE,NO_ENGINE_SUBSTITUTION'


class MySQLBackend(ServerBackend):
    """A database of a MySQL or MariaDB server; utf8mb4, strict, in UTC.

    - *name*, *host* (or the path of a Unix socket), *port*, *username*, *password*.
    - *min_connections*, *max_connections*: bounds of the pool. *pool_timeout*: seconds to wait for a free connection.
    - *connect_timeout*, *command_timeout*: seconds for connecting and for one statement (None: no limit).
    - *ssl*: see `colibris.persist.base.tls`; by itself asyncmy does not encrypt.
    - *isolation_level*: of all transactions; ``read committed`` by itself, as on PostgreSQL, since the server's own
      default locks the rows, and gaps between rows, that an UPDATE merely looks at.
    """

    dialect = 'mysql'
    client_class = MySQLClient
    title = 'MySQL'
    default_port = 3306
    default_username = 'root'
    max_name_length = 64

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
        isolation_level: str = 'read committed',
    ) -> None:
        super().__init__(
            name=name,
            host=host,
            port=port,
            username=username,
            password=password,
            min_connections=min_connections,
            max_connections=max_connections,
            pool_timeout=pool_timeout,
            connect_timeout=connect_timeout,
            command_timeout=command_timeout,
            ssl=ssl,
        )
        self.isolation_level = one_of('isolation_level', isolation_level, _ISOLATION_LEVELS)

    def connect_options(self) -> dict[str, Any]:
        """Return the arguments of ``asyncmy.connect``."""
        address: dict[str, Any] = {'host': self.host, 'port': self.port}
        if self.host.startswith('/'):
            address = {'unix_socket': self.host}
        return {
            **address,
            'user': self.username,
            'password': (self.password or '').encode(),  # asyncmy itself would take it for Latin-1
            'database': self.name,
            'charset': 'utf8mb4',
            'autocommit': True,
            'connect_timeout': self.connect_timeout,
            'ssl': self.ssl or None,
            # Count the rows that an UPDATE finds, as the other databases do, not those that it changes.
            'client_flag': CLIENT.FOUND_ROWS,
            'init_command': (
                f"SET time_zone = '+00:00', sql_mode = '{_STRICT}'; "
                f'SET SESSION TRANSACTION ISOLATION LEVEL {self.isolation_level.upper()}'
            ),
        }

    def connections(self) -> tuple[int, int] | None:
        pool = self._client._pool if isinstance(self._client, MySQLClient) else None
        return None if pool is None else (pool.size - pool.freesize, pool.freesize)

    def create_command(self) -> str:
        statement = f'CREATE DATABASE {_quoted(self.name)} CHARACTER SET utf8mb4'
        return f'mysql -h {self.host} -P {self.port} -u {self.username} -p -e {shlex.quote(statement)}'

    async def exists(self) -> bool:
        async with self._connection(database=None) as connection:
            rows = await _fetch(
                connection, 'SELECT 1 FROM information_schema.schemata WHERE schema_name = %s', (self.name,)
            )
        return bool(rows)

    async def create(self) -> None:
        async with self._connection(database=None) as connection:
            await connection.query(f'CREATE DATABASE {_quoted(self.name)} CHARACTER SET utf8mb4')

    async def drop(self) -> None:
        if isinstance(self._client, MySQLClient):
            await self._client.unwrap()
            self._client.abandon()
        async with self._connection(database=None) as connection:
            await connection.query(f'DROP DATABASE IF EXISTS {_quoted(self.name)}')

    @asynccontextmanager
    async def _connection(self, **changes: object) -> AsyncIterator[Any]:
        try:
            async with asyncio.timeout(self.connect_timeout):
                connecting = asyncmy.connect(**{**self.connect_options(), **changes})
                connection = await ended_by_cancelling(connecting, methodcaller('close'))
        except Exception as exc:
            raise translate(exc, self) or exc from exc
        try:
            yield connection
        except driver.MySQLError as exc:
            raise translate(exc, self) or exc from exc
        finally:
            connection.close()

    @asynccontextmanager
    async def lock(self, *, timeout: float = 60) -> AsyncIterator[None]:  # noqa: ASYNC109
        """Hold a lock of the server on a connection of its own; the server lets go of it if the process dies."""
        key = f'colibris:{self.lock_key.hex()}'
        async with self._connection(database=None) as connection:
            rows = await _fetch(connection, 'SELECT GET_LOCK(%s, %s)', (key, timeout))
            if rows[0][0] != 1:
                raise self.lock_timeout(timeout)
            yield


async def _fetch(connection: Any, query: str, values: tuple[object, ...]) -> Any:
    async with connection.cursor() as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


def _quoted(name: str) -> str:
    return '`' + name.replace('`', '``') + '`'
