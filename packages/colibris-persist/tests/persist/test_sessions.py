"""Connections to PostgreSQL are reset where something may have changed their session, and only there."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from colibris.persist import errors, get_connection, transaction
from colibris.persist.database import opened
from colibris.persist.postgresql import PostgreSQLBackend
from colibris.persist.sessions import may_change_session
from colibris.persist.testing.models import ContractShelf

HARMLESS = [
    'SELECT "a"."id","name" FROM "a" WHERE "name"=$1 AND "id" IN ($2,$3) ORDER BY "id" ASC LIMIT $4 OFFSET $5',
    'SELECT "id",(SELECT COUNT(*) FROM "t") "n" FROM "t"',
    'INSERT INTO "t" ("a","b") VALUES ($1,$2) RETURNING "id"',
    'INSERT INTO "s"."t" ("a") VALUES ($1) ON CONFLICT ("a") DO NOTHING',
    'UPDATE "t" SET "a"=$1 WHERE "id"=$2',
    'DELETE FROM "t" WHERE "id"=$1',
    'select lower("a") from "t" where "a" like \'%(x)%\'',
]
SUSPECT = [
    'SET search_path = x',
    'SELECT set_config($1, $2, false)',
    'SELECT pg_advisory_lock(1)',
    "SELECT \"set_config\"('a.b', 'c', false)",
    "SELECT pg_catalog.set_config('a.b', 'c', false)",
    "SELECT pg_catalog . \"set_config\" ('a.b', 'c', false)",
    'SELECT * INTO TEMP x FROM t',
    'SELECT 1; SET x = 1',
    'SELECT/**/set_config(1)',
    "SELECT E'\\' || set_config('a', 'b', false) || ''",
    'SELECT $$ $$ || f(1)',
    'LISTEN channel',
    'CREATE TEMP TABLE x (a int)',
    "WITH x AS (SELECT set_config('a', 'b', false)) SELECT * FROM x",
    'INSERT INTO t (a) VALUES (f($1))',
    'INSERT INTO t SELECT f(1)',
    'PREPARE x AS SELECT 1',
    '',
]


@pytest.mark.parametrize('statement', HARMLESS)
def test_statements_of_the_orm_are_harmless(statement: str) -> None:
    assert not may_change_session(statement)


@pytest.mark.parametrize('statement', SUSPECT)
def test_what_may_change_a_session_is_suspect(statement: str) -> None:
    assert may_change_session(statement)


@pytest.fixture
async def client(server: Callable[[str, str], dict[str, Any]]) -> AsyncIterator[Any]:
    options = server('postgresql', 'sessions')
    direct = PostgreSQLBackend(**options)
    await direct.drop()
    await direct.create()
    try:
        backend = PostgreSQLBackend(**options, max_connections=1, pool_timeout=2)
        async with opened({'default': backend}, ['colibris.persist.testing.models']) as databases:
            await databases.create_tables()
            yield get_connection()
    finally:
        await direct.drop()


@pytest.fixture
def resets(client: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    reset = client._reset

    async def noting(raw: Any, pool: Any) -> None:
        made.append(raw)
        await reset(raw, pool)

    monkeypatch.setattr(client, '_reset', noting)
    return made


async def setting(client: Any) -> str:
    rows = await client.execute_query_dict("SELECT current_setting('statement_timeout') AS it")
    return str(rows[0]['it'])


async def test_what_the_orm_does_needs_no_reset(client: Any, resets: list[Any]) -> None:
    shelf = await ContractShelf.create(name='a')
    shelf.name = 'b'
    await shelf.save()
    assert await ContractShelf.filter(name='b').count() == 1
    async with transaction():
        await ContractShelf.create(name='c')
    await shelf.delete()
    await ContractShelf.bulk_create([ContractShelf(name=name) for name in 'xyz'])
    assert resets == []


@pytest.mark.parametrize(
    'statement', ["SET statement_timeout = '7s'", "SELECT set_config('statement_timeout', '7s', false)"]
)
async def test_what_a_statement_sets_is_not_there_for_the_next(client: Any, statement: str) -> None:
    before = await setting(client)
    await client.execute_query(statement)
    assert await setting(client) == before
    await client.execute_script(statement)
    assert await setting(client) == before


async def test_what_is_set_within_a_transaction_ends_with_the_connection_given_back(client: Any) -> None:
    before = await setting(client)
    async with transaction() as block:
        await block.execute_query("SET statement_timeout = '7s'")
        assert await setting(client) == '7s'
    assert await setting(client) == before


async def test_a_connection_that_was_handed_out_is_reset(client: Any, resets: list[Any]) -> None:
    before = await setting(client)
    async with client.acquire_connection() as raw:
        await raw.execute("SET statement_timeout = '7s'; SELECT pg_advisory_lock(17)")
    assert resets
    assert await setting(client) == before
    rows = await client.execute_query_dict("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'")
    assert rows[0]['n'] == 0


async def test_a_refused_statement_leaves_the_connection_of_use(client: Any) -> None:
    await ContractShelf.create(name='a')
    for _ in range(3):
        with pytest.raises(errors.UniqueViolation):
            await ContractShelf.create(name='a')
    assert await ContractShelf.all().count() == 1
