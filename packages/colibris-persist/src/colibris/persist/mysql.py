"""MySQL and MariaDB, through asyncmy."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from ssl import SSLContext
from typing import Any

import asyncmy
from asyncmy import errors as driver
from asyncmy.constants import CLIENT
from tortoise.backends.mysql.client import MySQLClient as TortoiseMySQLClient
from tortoise.backends.mysql.client import TransactionWrapper

from colibris import tracing
from colibris.persist.base import ServerBackend, one_of
from colibris.persist.connections import Client, Transaction
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

__all__ = ['MySQLBackend']

_CLOSE_TIMEOUT = 10  # seconds for the connections in use to come back
_ISOLATION_LEVELS = ('read uncommitted', 'read committed', 'repeatable read', 'serializable')
_STRICT = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_IN_DATE,NO_ZERO_DATE,NO_ENGINE_SUBSTITUTION'


class _Statements:
    """Runs statements whose rows are wanted as they are."""

    log: Any

    async def fetch(self, query: str, values: list[Any]) -> Any:
        async with self.acquire_connection() as connection:  # type: ignore[attr-defined]
            self.log.debug('%s: %s', query, values)
            async with connection.cursor() as cursor:
                await cursor.execute(query, values)
                return await cursor.fetchall()


class MySQLClient(Client, _Statements, TortoiseMySQLClient):
    """A pool of asyncmy's."""

    backend: MySQLBackend

    def __init__(self, backend: MySQLBackend, connection_name: str) -> None:
        super().__init__(
            user=backend.username,
            password='',
            database=backend.name,
            host=backend.host,
            port=backend.port,
            connection_name=connection_name,
        )
        self.backend = backend
        # asyncmy's own limit makes a task of each read.
        self.statement_timeout = backend.command_timeout

    def _check_loop(self) -> bool:
        if not super()._check_loop():
            self.refuse_beside()
            self.abandon()
        return True

    def abandon(self) -> None:
        """Cut all connections at once."""
        pool, self._pool = self._pool, None
        self._bound_loop = None
        self._pool_init_lock = asyncio.Lock()
        if pool is not None:
            _cut(pool)

    async def create_connection(self, with_db: bool) -> None:
        self._pool = await asyncmy.create_pool(
            **self.backend.connect_options(),
            **self._tracing_options(),
            minsize=self.backend.min_connections,
            maxsize=self.backend.max_connections,
        )
        await self._post_connect()

    def _tracing_options(self) -> Mapping[str, Any]:
        if not tracing.is_on():
            return {}
        from colibris.persist import spans

        return spans.mysql_options(self.backend.name)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None and super()._check_loop():
            pool.close()
            try:
                await asyncio.wait_for(pool.wait_closed(), _CLOSE_TIMEOUT)
            except TimeoutError:
                _cut(pool)
        self._bound_loop = None

    async def checkout(self) -> Any:
        self._check_loop()
        task = asyncio.current_task()
        cancelled = task.cancelling() if task is not None else 0
        raw = await self._acquire()
        if task is not None and task.cancelling() > cancelled:
            # Up to Python 3.11 wait_for, by which asyncmy connects, may swallow a cancellation.
            await self.checkin(raw)
            raise asyncio.CancelledError
        return raw

    async def _acquire(self) -> Any:
        try:
            async with self.waiting():
                if self._pool is None:
                    async with self._pool_init_lock:
                        if self._pool is None:
                            await self._first_connection()
                pool: Any = self._pool
                raw = await pool.acquire()
                self.returns_rows = _returns_rows(raw.get_server_info())
                return raw
        except TimeoutError as exc:
            if self._pool is not None and self._pool.size >= self.backend.max_connections:
                raise self.exhausted() from exc
            raise self.backend.slow() from exc
        except Exception as exc:
            if (translated := self.translate(exc)) is not None:
                raise translated from exc
            raise

    async def _first_connection(self) -> None:
        async with asyncio.timeout(self.backend.connect_timeout):
            await self.create_connection(with_db=True)

    async def checkin(self, raw: Any, *, broken: bool = False) -> None:
        if broken or self._pool is None:
            raw.close()
        if self._pool is not None:
            with suppress(KeyError):  # of a pool that has been cut
                self._pool.release(raw)

    async def run(self, raw: Any, statement: str) -> None:
        if not tracing.is_on():
            await self._run(raw, statement)
            return
        from colibris.persist import spans

        with spans.of_mysql(statement, self.backend.name):
            await self._run(raw, statement)

    async def _run(self, raw: Any, statement: str) -> None:
        async with asyncio.timeout(self.statement_timeout):
            await raw.query(statement)

    def in_block(self, raw: Any) -> bool:
        return bool(raw.connected and raw.get_transaction_status())

    def translate(self, error: BaseException) -> Exception | None:
        return translate(error, self.backend)


@lru_cache
def _returns_rows(version: str) -> bool:
    """Whether an INSERT can give back the row that it made: MariaDB's can from 10.5 on, MySQL's cannot."""
    match = re.search(r'(\d+)\.(\d+)\.\d+-MariaDB', version)
    return match is not None and (int(match[1]), int(match[2])) >= (10, 5)


def _cut(pool: Any) -> None:
    with suppress(Exception):  # of a loop that is closed
        for connection in [*pool._free, *pool._used]:
            connection.close()
        pool._free.clear()
        pool.terminate()


class MySQLTransaction(Transaction, _Statements, TransactionWrapper):
    """A transaction, or a savepoint in one."""

    @property
    def charset(self) -> str:
        charset: str = self.root.charset  # type: ignore[attr-defined]
        return charset


MySQLClient.transaction_class = MySQLTransaction


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
                connection = await asyncmy.connect(**{**self.connect_options(), **changes})
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


_CONSTRAINTS: dict[int, type[Violation]] = {
    1048: NotNullViolation,
    1062: UniqueViolation,
    1169: UniqueViolation,
    1216: MissingReference,
    1217: StillReferenced,
    1364: NotNullViolation,
    1451: StillReferenced,
    1452: MissingReference,
    1557: UniqueViolation,
    1586: UniqueViolation,
    1761: UniqueViolation,
    1762: UniqueViolation,
    3819: CheckViolation,
    4025: CheckViolation,
}
_VALUES = frozenset(
    {1153, 1230, 1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1425, 1426, 1427, 1439, 1441, 1690, 3140, 3141, 3156}
)
_CONFLICTS = frozenset({1205, 1213, 3572, 3058})
_UNAVAILABLE = frozenset(
    {1021, 1023, 1037, 1038, 1040, 1041, 1042, 1043, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1290}
    | {1317, 1836, 1927, 1969, 2002, 2003, 2005, 2006, 2013, 2014, 2055, 3024, 4031}
)
_DENIED = frozenset({1044, 1045, 1129, 1130, 1251, 1698, 1820, 1862, 2054, 2059, 3118, 3159})

_KEY = re.compile(r"for key '(?:(?P<table>[^'.]+)\.)?(?P<key>[^']+)'$")
_COLUMN = re.compile(r"(?:[Cc]olumn|Field) (?:`[^`]*`\.`(?P<table>[^`]+)`\.`(?P<quoted>[^`]+)`|'(?P<column>[^']+)')")
_FOREIGN_KEY = re.compile(
    r'\(`[^`]*`\.`(?P<table>[^`]+)`, CONSTRAINT `(?P<constraint>[^`]+)` FOREIGN KEY \((?P<columns>[^)]+)\)'
)


def translate(error: BaseException, backend: MySQLBackend) -> Exception | None:
    """Return the exception that stands for what MySQL (by its number) or asyncmy raised."""
    if isinstance(error, driver.MySQLError):
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        return _from_server(error, code, str(error.args[1]) if len(error.args) > 1 else str(error), backend)
    if isinstance(error, UnicodeError):
        return InvalidValue(f'MySQL cannot store the value: {error}')
    if isinstance(error, TimeoutError):
        return backend.slow()
    if isinstance(error, OSError | EOFError):
        return backend.lost(error)
    if isinstance(error, RuntimeError) and 'closing pool' in str(error):
        return backend.lost(error)
    return None


def _from_server(error: Exception, code: int, message: str, backend: MySQLBackend) -> Exception:
    if code in _CONSTRAINTS:
        return _violation(_CONSTRAINTS[code], message)
    if code in _VALUES:
        match = _last(_COLUMN, message)
        column = (match['quoted'] or match['column']) if match else None
        return InvalidValue(message, table=match['table'] if match else None, columns=[column] if column else [])
    if code == 1049:
        return backend.missing()
    if code in _DENIED:
        return backend.denied(message)
    if code in _CONFLICTS:
        return TransactionConflict(message)
    if code in (2002, 2003, 2005):
        return backend.unreachable(message)
    if code in _UNAVAILABLE or (isinstance(error, driver.InterfaceError) and code == 0):
        return backend.lost(message)
    if code in (1305, 1568, 1613):
        return TransactionManagementError(message)
    if isinstance(error, driver.IntegrityError):
        return Violation(message)
    return OperationalError(error)


def _last(pattern: re.Pattern[str], message: str) -> re.Match[str] | None:
    """Find the last place, as what comes before may be a value that somebody has sent."""
    return next(reversed(list(pattern.finditer(message))), None)


def _violation(violation: type[Violation], message: str) -> Violation:
    if match := _FOREIGN_KEY.search(message):
        columns = [name.strip(' `') for name in match['columns'].split(',')]
        if violation is StillReferenced:
            columns = []  # of the table that refers
        return violation(message, table=match['table'], columns=columns, constraint=match['constraint'])
    if match := _KEY.search(message):
        return violation(message, table=match['table'], constraint=match['key'])
    if match := _last(_COLUMN, message):
        column = match['quoted'] or match['column']
        return violation(message, table=match['table'], columns=[column])
    return violation(message)
