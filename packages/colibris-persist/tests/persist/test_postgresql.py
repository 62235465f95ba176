"""Statements that a connection has prepared already, run in fewer steps than asyncpg takes: with the same results."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from colibris.persist import errors, get_connection
from colibris.persist.database import opened
from colibris.persist.postgresql import PostgreSQLBackend

ROWS = 'SELECT * FROM things WHERE id < $1'


@pytest.fixture
async def client(server: Callable[[str, str], dict[str, Any]]) -> AsyncIterator[Any]:
    """One connection, which has prepared the statement."""
    options = server('postgresql', 'prepared')
    direct = PostgreSQLBackend(**options)
    await direct.drop()
    await direct.create()
    try:
        async with opened({'default': PostgreSQLBackend(**options, max_connections=1)}, []):
            client: Any = get_connection()
            await client.execute_script('CREATE TYPE pair AS (a int, b int)')
            await client.execute_script('CREATE TABLE things (id int, both_of pair)')
            await client.execute_script('INSERT INTO things VALUES (1, (1, 2))')
            for _ in range(2):
                assert [tuple(row) for row in await client.fetch(ROWS, [5])] == [(1, (1, 2))]
            yield client
    finally:
        await direct.drop()


@pytest.fixture
async def other(client: Any) -> AsyncIterator[Any]:
    """A connection beside the pool, as that of a migration is."""
    connection = await asyncpg.connect(**client.backend.connect_options())
    yield connection
    await connection.close()


async def test_a_table_that_changed_is_read_as_it_is(client: Any, other: Any) -> None:
    await other.execute('ALTER TABLE things ADD name text')
    assert [tuple(row) for row in await client.fetch(ROWS, [5])] == [(1, (1, 2), None)]


async def test_a_type_that_changed_costs_one_failure(client: Any, other: Any) -> None:
    await other.execute('ALTER TYPE pair ADD ATTRIBUTE c int')
    with pytest.raises(errors.OperationalError):
        await client.fetch(ROWS, [5])
    assert [tuple(row) for row in await client.fetch(ROWS, [5])] == [(1, (1, 2, None))]


async def test_values_that_do_not_fit_are_told(client: Any) -> None:
    with pytest.raises(errors.InvalidValue):
        await client.fetch(ROWS, ['five'])
    assert len(await client.fetch(ROWS, [5])) == 1


async def test_a_statement_that_was_given_up_leaves_the_connection_of_use(client: Any, other: Any) -> None:
    async with other.transaction():
        await other.execute('LOCK TABLE things IN ACCESS EXCLUSIVE MODE')
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.fetch(ROWS, [5])
    assert len(await client.fetch(ROWS, [5])) == 1


async def test_what_is_put_around_asyncpg_sees_each_statement(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    fetch = asyncpg.Connection.fetch

    async def noting(self: Any, query: str, *values: Any) -> Any:
        seen.append(query)
        return await fetch(self, query, *values)

    monkeypatch.setattr(asyncpg.Connection, 'fetch', noting)
    await client.fetch(ROWS, [5])
    assert seen == [ROWS]


async def test_query_loggers_see_each_statement(client: Any) -> None:
    seen: list[str] = []
    raw = await client.checkout()
    await client.checkin(raw)
    with raw.query_logger(lambda record: seen.append(record.query)):
        await client.fetch(ROWS, [5])
        await asyncio.sleep(0)  # they are called by the event loop
    assert seen == [ROWS]
