"""PostgreSQL, through asyncpg."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper

from colibris.persist.base import ServerBackend, integer, text
from colibris.persist.connections import Client, Statement, Transaction, raise_translated, resolve
from colibris.persist.errors import (
    CheckViolation,
    InvalidValue,
    MissingReference,
    NotNullViolation,
    OperationalError,
    StillReferenced,
    TransactionConflict,
    TransactionManagementError,
    UniqueViolation,
    Violation,
)
from colibris.persist.pool import Pool, PoolClosed
from colibris.persist.sessions import may_change_session

__all__ = ['PostgreSQLBackend']

logger = logging.getLogger(__name__)

_CLOSE_TIMEOUT = 10  # seconds for the connections in use to come back


class _Statements:
    """Runs statements, and notes on which connections they may have changed the session."""

    log: Any

    def _statement(self, query: str) -> Any:
        return Statement(self, changes_session=may_change_session(query))  # type: ignore[arg-type]

    async def execute_insert(self, query: str, values: list[Any]) -> Any:
        async with self._statement(query) as connection:
            self.log.debug('%s: %s', query, values)
            return await connection.fetchrow(query, *values)

    async def execute_query(self, query: str, values: list[Any] | None = None) -> tuple[int, list[Any]]:
        async with self._statement(query) as connection:
            self.log.debug('%s: %s', query, values)
            if query.lstrip()[:6].upper() in ('UPDATE', 'DELETE', 'INSERT'):
                done = (await connection.execute(query, *(values or ()))).split(' ')
                return int(done[1]) if len(done) > 1 and done[1].isdigit() else 0, []
            rows = await connection.fetch(query, *(values or ()))
            return len(rows), rows

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        async with self._statement(query) as connection:
            self.log.debug('%s: %s', query, values)
            await connection.executemany(query, values)  # all or nothing

    async def execute_query_dict(self, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.fetch(query, values or [])]

    async def fetch(self, query: str, values: list[Any]) -> list[Any]:
        async with self._statement(query) as connection:
            self.log.debug('%s: %s', query, values)
            rows: list[Any] = await connection.fetch(query, *values)
            return rows


class PostgreSQLClient(Client, _Statements, AsyncpgDBClient):
    """A pool of connections of asyncpg's."""

    aborts_on_error = True
    returns_rows = True
    backend: PostgreSQLBackend
    _pool: Pool | None

    def __init__(self, backend: PostgreSQLBackend, connection_name: str) -> None:
        super().__init__(
            user=backend.username,
            database=backend.name,
            host=backend.host,
            port=backend.port,
            schema=backend.schema,
            connection_name=connection_name,
        )
        self.backend = backend
        #: The connections in use on which something may have changed the session.
        self._changed: set[Any] = set()

    def _check_loop(self) -> bool:
        if not super()._check_loop():
            self.abandon()
        return True

    def abandon(self) -> None:
        """Cut all connections at once."""
        pool, self._pool = self._pool, None
        self._bound_loop = None
        self._pool_init_lock = asyncio.Lock()
        self._changed.clear()
        if pool is not None:
            with suppress(Exception):  # of a loop that is closed
                pool.terminate()

    async def create_connection(self, with_db: bool) -> None:
        options = self.backend.connect_options()
        pool = Pool(
            lambda: asyncpg.connect(**options),
            minimum=self.backend.min_connections,
            maximum=self.backend.max_connections,
        )
        try:
            await pool.fill()
        except BaseException:
            pool.terminate()
            raise
        self._pool = pool
        await self._post_connect()

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None and super()._check_loop():
            try:
                await asyncio.wait_for(pool.close(), _CLOSE_TIMEOUT)
            except TimeoutError:
                pool.terminate()
        self._bound_loop = None

    async def _get_pool(self) -> Pool:
        if self._pool is None:
            async with self._pool_init_lock:
                if self._pool is None:
                    await self.create_connection(with_db=True)
        pool: Pool = self._pool  # type: ignore[assignment]
        return pool

    async def checkout(self) -> Any:
        self._check_loop()
        if self._pool is not None and (idle := self._pool.take()) is not None:
            return idle
        try:
            async with self.waiting():
                return await (await self._get_pool()).acquire(self.backend.pool_timeout)
        except TimeoutError as exc:
            if self._pool is not None and self._pool.is_full:
                raise self.exhausted() from exc
            raise self.backend.slow() from exc
        except Exception as exc:
            if isinstance(exc, OSError):
                raise self.backend.unreachable(exc) from exc
            if (translated := self.translate(exc)) is not None:
                raise translated from exc
            raise

    async def checkin(self, raw: Any, *, broken: bool = False) -> None:
        pool = self._pool
        if pool is None or not pool.owns(raw):  # of a pool that was given up
            self._changed.discard(raw)
            raw.terminate()
        elif broken:
            self._changed.discard(raw)
            pool.discard(raw)
        elif raw in self._changed:
            await asyncio.shield(asyncio.ensure_future(self._reset(raw, pool)))
        else:
            pool.release(raw)

    async def _reset(self, raw: Any, pool: Pool) -> None:
        """Give *raw* back as if it were new; that waits for what still runs on it."""
        self._changed.discard(raw)
        try:
            await raw.reset(timeout=_CLOSE_TIMEOUT)
        except Exception as exc:  # the statement itself is done
            logger.debug('a connection to %s is lost: %s', self.backend.describe(), exc)
            pool.discard(raw)
        except BaseException:
            pool.discard(raw)
            raise
        else:
            pool.release(raw)

    def note_change(self, raw: Any) -> None:
        self._changed.add(raw)

    async def fetch(self, query: str, values: list[Any]) -> list[Any]:
        """Run one statement, as the mixin does, with fewer steps where a connection is idle and no transaction open."""
        pool = self._pool
        if (
            pool is None
            or pool.loop is not asyncio.get_running_loop()
            or resolve(self) is not self
            or may_change_session(query)
            or (idle := pool.take() or await self._given(pool)) is None
        ):
            fetched: list[Any] = await super().fetch(query, values)
            return fetched
        raw: Any = idle
        self.log.debug('%s: %s', query, values)
        try:
            rows = await _fetch(raw, query, values)
        except BaseException as exc:
            self.note_change(raw)
            await self.checkin(raw)
            raise_translated(self, exc)
            raise
        if self._pool is pool:
            pool.release(raw)
        else:
            await self.checkin(raw)
        return rows

    async def _given(self, pool: Pool) -> Any:
        """Wait for a connection in use, if no more may be made; None if one may."""
        if not pool.is_full:
            return None
        try:
            return await pool.wait(self.backend.pool_timeout)
        except TimeoutError as exc:
            raise self.exhausted() from exc

    async def run(self, raw: Any, statement: str) -> None:
        done = await raw.execute(statement)
        if statement == 'COMMIT' and done == 'ROLLBACK':
            raise TransactionManagementError(
                'nothing was committed: a statement in the transaction had failed, and its error was not let through; '
                'put what may fail into a transaction() of its own'
            )

    def in_block(self, raw: Any) -> bool:
        return not raw.is_closed() and bool(raw.is_in_transaction())

    def translate(self, error: BaseException) -> Exception | None:
        return translate(error, self.backend)

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        return await func(self, *args, **kwargs)


class PostgreSQLTransaction(Transaction, _Statements, TransactionWrapper):
    """A transaction, or a savepoint in one."""

    async def _translate_exceptions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        return await func(self, *args, **kwargs)


PostgreSQLClient.transaction_class = PostgreSQLTransaction

_RECORD = asyncpg.Record
#: As it is while nobody has put something around it, such as what makes spans.
_PLAIN_FETCH = asyncpg.Connection.fetch


async def _fetch(raw: Any, query: str, values: list[Any]) -> list[Any]:
    """Do as ``raw.fetch(query, *values)``, in fewer steps for a statement that *raw* has prepared already."""
    rows: list[Any]
    prepared = raw._stmt_cache.get((query, _RECORD, False))
    if prepared is None or raw._query_loggers or type(raw).fetch is not _PLAIN_FETCH:
        rows = await raw.fetch(query, *values)
        return rows
    try:
        rows = await raw._protocol.bind_execute(prepared, values, '', 0, False, None)
    except asyncpg.InvalidCachedStatementError:  # the table has changed; nothing was done, and asyncpg prepares anew
        rows = await raw.fetch(query, *values)
    except asyncpg.OutdatedSchemaCacheError:  # a type has changed; the statement was done, but its rows are not read
        await raw.reload_schema_state()
        raise
    return rows


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
            await connection.close(timeout=_CLOSE_TIMEOUT)

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


_KEY = re.compile(r'^[^(]*\((?P<columns>.+?)\)=\(')

_CONSTRAINTS: dict[str, type[Violation]] = {
    '23001': StillReferenced,
    '23502': NotNullViolation,
    '23503': MissingReference,
    '23505': UniqueViolation,
    '23514': CheckViolation,
    '23P01': UniqueViolation,  # an exclusion constraint
}


def translate(error: BaseException, backend: PostgreSQLBackend) -> Exception | None:
    """Return the exception that stands for what PostgreSQL (by its SQLSTATE) or asyncpg raised."""
    if isinstance(error, asyncpg.PostgresError):
        return _from_server(error, error.sqlstate or '', backend)
    if isinstance(error, asyncpg.InterfaceError):
        if isinstance(error, ValueError):  # asyncpg's own check of arguments
            return InvalidValue(f'PostgreSQL cannot store the value: {error}')
        if any(word in str(error) for word in ('closed', 'closing', 'terminated', 'released')):
            return backend.lost(error)
        return OperationalError(error)
    if isinstance(error, UnicodeError):
        return InvalidValue(f'PostgreSQL cannot store the value: {error}')
    if isinstance(error, TimeoutError):
        return backend.slow()
    if isinstance(error, OSError):
        return backend.lost(error)
    if isinstance(error, PoolClosed):
        return backend.lost(error)
    if isinstance(error, asyncpg.InternalClientError):
        return OperationalError(error)
    return None


def _from_server(error: Any, state: str, backend: PostgreSQLBackend) -> Exception:
    if state.startswith('23'):
        return _violation(error, _CONSTRAINTS.get(state, Violation))
    if state.startswith('22'):
        columns = [error.column_name] if error.column_name else []
        return InvalidValue(str(error), table=error.table_name, columns=columns)
    if state == '3D000':
        return backend.missing()
    if state.startswith('28'):
        return backend.denied(error)
    if state in ('40001', '40P01', '55P03'):
        return TransactionConflict(str(error))
    if state.startswith(('25', '2D', '3B')):
        return TransactionManagementError(str(error))
    if state.startswith(('08', '53', '57', '58')):
        return backend.lost(error)
    return OperationalError(error)


def _violation(error: Any, violation: type[Violation]) -> Violation:
    """The database names one column itself, several only in the detail: ``Key (a, b)=(1, 2) already exists.``"""
    match = _KEY.match(error.detail or '')
    columns = [name.strip('"') for name in match['columns'].split(', ')] if match else []
    if error.column_name:
        columns = [error.column_name]
    if violation is MissingReference and _is_referenced(error):
        violation, columns = StillReferenced, []
    message = str(error.args[0])
    return violation(
        f'{message}: {error.detail}' if error.detail else message,
        table=error.table_name,
        columns=columns,
        constraint=error.constraint_name,
    )


def _is_referenced(error: Any) -> bool:
    """Both sides of a foreign key have one SQLSTATE; the text tells which one it is, where it is English."""
    text = f'{error.args[0]} {error.detail}'
    if 'update or delete on' in text or 'still referenced' in text:
        return True
    return 'insert or update on' not in text and (error.query or '').lstrip()[:6].upper() == 'DELETE'
