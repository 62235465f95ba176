"""A transaction on SQLite's one connection in which tables can be changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper
from tortoise.connection import get_connections
from tortoise.exceptions import OperationalError

from colibris.persist.migrations.errors import MigrationError
from colibris.persist.migrations.script import split

if TYPE_CHECKING:
    import aiosqlite


_DROP_TABLE = re.compile(r'DROP TABLE "((?:[^"]|"")+)"')


class _Transaction(SqliteTransactionWrapper):
    """A client within the transaction.

    A script does not end it, as sqlite3's own ``executescript`` would. Triggers and indexes that somebody has made by
    hand for a table outlive its rebuild.
    """

    def __init__(self, client: SqliteClient, raw: aiosqlite.Connection) -> None:
        super().__init__(client)
        self._connection = raw
        self._parts: dict[str, tuple[str, str]] = {}

    async def execute_script(self, query: str) -> None:
        for statement in split(query, 'sqlite'):
            if match := _DROP_TABLE.fullmatch(statement):
                self._parts.update(await self._parts_of(match[1].replace('""', '"')))
            await self.execute_query(statement)

    async def _parts_of(self, table: str) -> dict[str, tuple[str, str]]:
        """Return the indexes and triggers of *table*: by name, the table and the SQL."""
        rows = await self.execute_query_dict(
            "SELECT name, tbl_name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
            ' AND tbl_name = ? COLLATE NOCASE',
            [table],
        )
        return {row['name']: (row['tbl_name'], row['sql']) for row in rows}

    async def restore_parts(self) -> None:
        """Make again what went with a table that is there again; an index over a column that is gone stays gone."""
        rows = await self.execute_query_dict('SELECT name FROM sqlite_master')
        names = {row['name'].lower() for row in rows}
        for name, (table, sql) in self._parts.items():
            if name.lower() not in names and table.lower() in names:
                try:
                    await self.execute_query(sql)
                except OperationalError as exc:
                    if 'no such column' not in str(exc):
                        raise


@asynccontextmanager
async def sqlite_transaction(client: SqliteClient, *, rebuilds: bool) -> AsyncIterator[SqliteTransactionWrapper]:
    """Run the block in a transaction; nobody else uses the connection meanwhile.

    With *rebuilds* foreign keys are off in it, so that a table can be replaced by another one without its rows being
    missed. Before the commit every reference is checked: MigrationError if one leads nowhere now that did not before.
    """
    async with client.acquire_connection() as raw:
        if raw.in_transaction:
            raise MigrationError('migrations cannot run within a transaction; migrate before it begins')
        enforced = await _pragma(raw, 'foreign_keys')
        try:
            if rebuilds:
                await _execute(raw, 'PRAGMA foreign_keys = OFF')
            await _execute(raw, 'BEGIN IMMEDIATE')
            try:
                before = await _broken(raw) if rebuilds else Counter[tuple[str, str]]()
                transaction = _Transaction(client, raw)
                token = get_connections().set(client.connection_name, transaction)
                try:
                    yield transaction
                    await transaction.restore_parts()
                finally:
                    get_connections().reset(token)
                if rebuilds:
                    _check(await _broken(raw) - before)
            except BaseException:
                await raw.rollback()
                raise
            await raw.commit()
        finally:
            if rebuilds and enforced:
                await _execute(raw, 'PRAGMA foreign_keys = ON')


async def _execute(raw: aiosqlite.Connection, statement: str) -> None:
    await (await raw.execute(statement)).close()


async def _pragma(raw: aiosqlite.Connection, name: str) -> int:
    rows = list(await raw.execute_fetchall(f'PRAGMA {name}'))
    return int(rows[0][0])


async def _broken(raw: aiosqlite.Connection) -> Counter[tuple[str, str]]:
    """Count the references that lead nowhere, by the table they are in and the one they point at."""
    rows = cast('list[Any]', await raw.execute_fetchall('PRAGMA foreign_key_check'))
    return Counter((str(row[0]), str(row[2])) for row in rows)


def _check(broken: Counter[tuple[str, str]]) -> None:
    for (table, target), count in broken.items():
        raise MigrationError(
            f'{count} row(s) of {table} would refer to rows of {target} that do not exist; nothing was changed'
        )
