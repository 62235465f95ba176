"""SQL for the three dialects, and the clock of the database."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from tortoise import BaseDBAsyncClient

from colibris.persist import get_connection
from colibris.persist.errors import DatabaseUnavailable, Refusal, TransactionConflict
from colibris.taskqueue.errors import TaskQueueUnavailable

T = TypeVar('T')

#: The time in seconds since the epoch, by the clock of the database.
_NOW = {
    'sqlite': "((julianday('now') - 2440587.5) * 86400.0)",
    'postgres': 'CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)',
    'mysql': '(UNIX_TIMESTAMP(SYSDATE(6)) + 0.0)',
}
_PARAMETER = re.compile(r'\?')
#: For how many seconds a statement is tried again that another one keeps from running.
_PATIENCE = 2.0


class Statements:
    """Runs statements on the project's database, in the open transaction if there is one.

    They are written with ``?`` for parameters, ``{now}`` for the time and ``{exact}`` after a text that is to be
    compared letter by letter.
    """

    def __init__(self, connect: Callable[[], BaseDBAsyncClient] = get_connection) -> None:
        self._connect = connect
        self._translated: dict[tuple[str, str], str] = {}

    @property
    def dialect(self) -> str:
        """sqlite, postgres or mysql."""
        dialect: str = self._connect().capabilities.dialect
        return dialect

    async def run(self, statement: str, *values: Any) -> int:
        """Run a statement and return how many rows it has found."""
        connection = self._connect()
        text = self._translate(statement, connection.capabilities.dialect)
        with unavailable():
            count, _ = await _insist(lambda: connection.execute_query(text, list(values)))
        return count

    async def once(self, statement: str, *values: Any) -> int:
        """Run a statement of the transaction that is open: a conflict is for whoever began that to deal with."""
        connection = self._connect()
        text = self._translate(statement, connection.capabilities.dialect)
        try:
            count, _ = await connection.execute_query(text, list(values))
        except DatabaseUnavailable as exc:
            raise _away(exc) from exc
        return count

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        connection = self._connect()
        text = self._translate(statement, connection.capabilities.dialect)
        with unavailable():
            return await _insist(lambda: connection.execute_query_dict(text, list(values)))

    async def row(self, statement: str, *values: Any) -> dict[str, Any] | None:
        """Return the first row of a query, None if there is none."""
        rows = await self.rows(statement, *values)
        return rows[0] if rows else None

    def _translate(self, statement: str, dialect: str) -> str:
        found = self._translated.get((statement, dialect))
        if found is None:
            found = statement.replace('{now}', _NOW[dialect])
            found = found.replace('{exact}', 'COLLATE utf8mb4_bin' if dialect == 'mysql' else '')
            if dialect == 'mysql':
                found = found.replace('?', '%s')
            elif dialect == 'postgres':
                numbers: Iterator[int] = iter(range(1, 1000))
                found = _PARAMETER.sub(lambda _: f'${next(numbers)}', found)
            if len(self._translated) < 1000:  # lists of various lengths make statements of their own
                self._translated[statement, dialect] = found
        return found


def marks(count: int) -> str:
    """Return the parameters of an IN list."""
    return ', '.join(['?'] * count)


async def apart(function: Callable[[], Awaitable[T]]) -> T:
    """Await *function* outside of the transaction that the caller may have open.

    SQLite has one connection, which the transaction holds: there it runs within.
    """
    if Statements().dialect == 'sqlite':
        return await function()

    async def run() -> T:
        return await function()

    return await asyncio.create_task(run(), context=Context())


async def _insist(action: Callable[[], Awaitable[T]]) -> T:
    """Try a statement again that ran into another one."""
    deadline, pause = time.monotonic() + _PATIENCE, 0.01
    while True:
        try:
            return await action()
        except TransactionConflict:
            if time.monotonic() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause *= 2


@contextmanager
def unavailable() -> Iterator[None]:
    """Raise TaskQueueUnavailable for what says that the database cannot do its work at the moment."""
    try:
        yield
    except (DatabaseUnavailable, TransactionConflict) as exc:
        raise _away(exc) from exc


def _away(error: Exception) -> TaskQueueUnavailable:
    return TaskQueueUnavailable(f'what the task queue keeps in the database cannot be reached: {error}')


def is_missing_table(error: Exception) -> bool:
    """Tell whether a statement failed for want of its table."""
    return not isinstance(error, Refusal) and any(
        words in str(error) for words in ('no such table', 'does not exist', "doesn't exist")
    )
