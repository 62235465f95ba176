"""What is known of a database of a PostgreSQL server: where it is, how it is made and dropped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from colibris.persist.base import ServerBackend, integer, text
from colibris.persist.postgresql.client import CLOSE_TIMEOUT, PostgreSQLClient
from colibris.persist.postgresql.errors import translate

__all__ = ['PostgreSQLBackend']


class PostgreSQLBackend(ServerBackend):
    """A database of a PostgreSQL server.

    - *name*, *host* (or the directory of a Unix socket), *port*, *username*, *password*.
    - *min_connections*, *max_connections*: bounds of the pool. *pool_timeout*: seconds to wait for a free connection.
    - *connect_timeout*, *command_timeout*: seconds for connecting and for one statement (None: no limit).
    - *ssl*: see `colibris.persist.base.tls`; by itself asyncpg encrypts if the server offers it, unverified.
    - *schema*: the schema of all tables; *application_name*: what the server lists the connections as.
    - *statement_cache_size*: prepared statements kept a connection; 0 behind a PgBouncer that pools transactions.
    - *maintenance_database*: where to connect to in order to create and drop the database.
    """

    dialect = 'postgres'
    client_class = PostgreSQLClient
    title = 'PostgreSQL'
    default_port = 5432
    default_username = 'postgres'
    max_name_length = 63

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
        schema: str | None = None,
        application_name: str = 'colibris',
        statement_cache_size: int = 100,
        maintenance_database: str = 'postgres',
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
        self.schema = None if schema is None else text('schema', schema)
        self.application_name = text('application_name', application_name)
        self.statement_cache_size = integer('statement_cache_size', statement_cache_size, 0)
        self.maintenance_database = text('maintenance_database', maintenance_database)

    def connect_options(self) -> dict[str, Any]:
        """Return the arguments of ``asyncpg.connect``."""
        server_settings = {'timezone': 'UTC', 'application_name': self.application_name}
        if self.schema is not None:
            server_settings['search_path'] = _quoted(self.schema)
        return {
            'host': self.host,
            'port': self.port,
            'user': self.username,
            'password': self.password,
            'database': self.name,
            'timeout': self.connect_timeout,
            'command_timeout': self.command_timeout,
            'ssl': self.ssl,
            'statement_cache_size': self.statement_cache_size,
            'server_settings': server_settings,
        }

    def connections(self) -> tuple[int, int] | None:
        pool = self._client._pool if isinstance(self._client, PostgreSQLClient) else None
        return None if pool is None else (pool.size - pool.idle, pool.idle)

    def create_command(self) -> str:
        return f'createdb -h {self.host} -p {self.port} -U {self.username} {self.name}'

    async def exists(self) -> bool:
        async with self._administrator() as connection:
            found = await connection.fetchval('SELECT 1 FROM pg_database WHERE datname = $1', self.name)
        return found is not None

    async def create(self) -> None:
        async with self._administrator() as connection:
            # template0 is never in use, which template1 must not be either while it is copied.
            await connection.execute(f"CREATE DATABASE {_quoted(self.name)} ENCODING 'UTF8' TEMPLATE template0")

    async def drop(self) -> None:
        if isinstance(self._client, PostgreSQLClient):
            await self._client.unwrap()
            self._client.abandon()
        async with self._administrator() as connection:
            try:
                await connection.execute(f'DROP DATABASE IF EXISTS {_quoted(self.name)} WITH (FORCE)')
            except asyncpg.PostgresSyntaxError:  # before PostgreSQL 13
                await connection.execute(
                    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', self.name
                )
                await connection.execute(f'DROP DATABASE IF EXISTS {_quoted(self.name)}')

    @asynccontextmanager
    async def _administrator(self) -> AsyncIterator[Any]:
        """Connect to the server without using the database."""
        async with self._connection(database=self.maintenance_database) as connection:
            yield connection

    @asynccontextmanager
    async def _connection(self, **changes: object) -> AsyncIterator[Any]:
        try:
            connection = await asyncpg.connect(**{**self.connect_options(), **changes})
        except Exception as exc:
            raise self._why(exc) from exc
        try:
            yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
            raise translate(exc, self) or exc from exc
        finally:
            await connection.close(timeout=CLOSE_TIMEOUT)

    def _why(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            return self.slow()
        if isinstance(error, OSError):
            return self.unreachable(error)
        return translate(error, self) or error

    @asynccontextmanager
    async def lock(self, *, timeout: float = 60) -> AsyncIterator[None]:  # noqa: ASYNC109
        """Hold an advisory lock on a connection of its own; the server lets go of it if the process dies."""
        key = int.from_bytes(self.lock_key, signed=True)
        async with self._connection(command_timeout=None) as connection:
            await connection.execute(f'SET lock_timeout = {max(1, round(timeout * 1000))}')
            try:
                await connection.execute(f'SELECT pg_advisory_lock({key})')
            except asyncpg.LockNotAvailableError as exc:
                raise self.lock_timeout(timeout) from exc
            yield


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
