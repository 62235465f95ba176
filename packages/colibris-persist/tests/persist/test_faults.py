"""Servers that go away and come back, and waits that end."""

# ruff: noqa: PT012  # a block is rolled back by what is raised in it

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from colibris.persist import connectivity_check, errors, get_connection, on_commit, transaction
from colibris.persist.database import opened
from colibris.persist.mysql import MySQLBackend
from colibris.persist.postgresql import PostgreSQLBackend
from colibris.persist.testing.models import ContractShelf, names

LIMITS: dict[str, Any] = {'max_connections': 3, 'pool_timeout': 2, 'connect_timeout': 1, 'command_timeout': 1}


@pytest.fixture(params=['postgresql', 'mysql'])
async def wire(
    request: pytest.FixtureRequest, server: Callable[[str, str], dict[str, Any]], wire_to: Callable[[Any], Any]
) -> AsyncIterator[Any]:
    """A database that is open through a wire."""
    kind: str = request.param
    backend = {'postgresql': PostgreSQLBackend, 'mysql': MySQLBackend}[kind]
    options = {'port': backend.default_port, **server(kind, 'faults')}
    direct = backend(**options)
    await direct.drop()
    await direct.create()
    wire, through = await wire_to(options)
    try:
        async with opened({'default': backend(**through, **LIMITS)}, ['colibris.persist.testing.models']) as databases:
            await databases.create_tables()
            yield wire
            await wire.mend()
    finally:
        await direct.drop()


async def fails() -> int | None:
    """Use the database in vain, and return the status of the answer that a request would get."""
    try:
        async with asyncio.timeout(10):
            await names()
    except errors.DatabaseUnavailable as exc:
        answer = errors.translate(exc)
        return answer.status if answer is not None else None
    return None


async def test_comes_back_after_the_server_was_down(wire: Any) -> None:
    await asyncio.gather(*(ContractShelf.create(name=name) for name in 'abc'))
    for _ in range(2):
        await wire.cut()
        assert await asyncio.gather(*(fails() for _ in range(20))) == [503] * 20
        assert await connectivity_check() is False
        await wire.mend()
        assert await connectivity_check() is True
        assert await asyncio.gather(*(names() for _ in range(20))) == [['a', 'b', 'c']] * 20


async def test_connections_lost_while_idle_cost_no_more_than_one_failure_each(wire: Any) -> None:
    await asyncio.gather(*(connectivity_check() for _ in range(3)))
    await wire.cut()
    await wire.mend()
    answers = [await fails() for _ in range(10)]
    assert answers[3:] == [None] * 7


async def test_connection_lost_within_a_transaction(wire: Any) -> None:
    called: list[str] = []
    for _ in range(5):  # more often than there are connections
        with pytest.raises(errors.DatabaseUnavailable):
            async with asyncio.timeout(10), transaction():
                await ContractShelf.create(name='lost')
                on_commit(lambda: called.append('committed'))
                await wire.cut()
                await ContractShelf.create(name='lost too')
        await wire.mend()
    assert await names() == []
    assert called == []


async def test_connection_lost_at_the_commit(wire: Any) -> None:
    called: list[str] = []
    with pytest.raises(errors.DatabaseUnavailable):
        async with asyncio.timeout(10), transaction():
            await ContractShelf.create(name='lost')
            on_commit(lambda: called.append('committed'))
            await wire.cut()
    await wire.mend()
    assert called == []
    assert await names() == []


async def test_connection_lost_within_a_nested_block(wire: Any) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(errors.TransactionManagementError, match='rolled this transaction back'):
            async with transaction():
                await ContractShelf.create(name='lost')
                with pytest.raises(errors.DatabaseUnavailable):
                    async with transaction():
                        await wire.cut()
                        await ContractShelf.create(name='lost too')
                await wire.mend()
                await ContractShelf.create(name='elsewhere')
        assert await names() == []


async def test_server_that_says_nothing_more(wire: Any) -> None:
    await connectivity_check()
    wire.flowing.clear()
    before = asyncio.get_running_loop().time()
    assert await asyncio.gather(*(fails() for _ in range(6))) == [503] * 6
    assert asyncio.get_running_loop().time() - before < 8
    wire.flowing.set()
    await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        assert await names() == []


async def test_slow_statement_is_ended_and_its_connection_is_not_used_again(wire: Any) -> None:
    client = get_connection()
    sleep = 'SELECT pg_sleep(3)' if client.capabilities.dialect == 'postgres' else 'SELECT SLEEP(3)'
    for _ in range(4):
        with pytest.raises(errors.DatabaseUnavailable, match='did not answer in time'):
            await client.execute_query(sleep)
    with pytest.raises(errors.DatabaseUnavailable, match='did not answer in time'):
        async with transaction():
            await client.execute_query(sleep)
    rows = await client.execute_query_dict('SELECT 42 AS answer')
    assert [dict(row) for row in rows] == [{'answer': 42}]


async def test_waiting_for_a_free_connection_has_a_limit(wire: Any) -> None:
    done = asyncio.Event()

    async def hold() -> None:
        async with transaction():
            await done.wait()

    holding = [asyncio.create_task(hold()) for _ in range(3)]
    await asyncio.sleep(0.3)
    with pytest.raises(errors.DatabaseUnavailable, match='became free within 2 s'):
        await names()
    done.set()
    await asyncio.gather(*holding)
    assert await names() == []


async def test_pool_keeps_its_bounds(wire: Any) -> None:
    client = get_connection()
    dialect = client.capabilities.dialect
    count = {
        'postgres': 'SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()',
        'mysql': 'SELECT count(*) AS n FROM information_schema.processlist WHERE db = DATABASE()',
    }[dialect]
    nap = 'SELECT pg_sleep(0.02)' if dialect == 'postgres' else 'SELECT SLEEP(0.02)'
    tasks = [asyncio.create_task(client.execute_query(nap)) for _ in range(30)]
    await asyncio.sleep(0.1)
    most = (await client.execute_query_dict(count))[0]['n']
    await asyncio.gather(*tasks)
    assert 1 <= most <= 3


async def test_every_connection_is_in_utc_and_strict(wire: Any) -> None:
    client = get_connection()
    if client.capabilities.dialect == 'postgres':
        query, expected = "SELECT current_setting('TimeZone') AS zone", {'zone': 'UTC'}
    else:
        query = (
            'SELECT @@time_zone AS zone, @@character_set_connection AS charset, '
            "@@sql_mode LIKE '%STRICT_ALL_TABLES%' AS strict, @@autocommit AS autocommit"
        )
        expected: dict[str, Any] = {'zone': '+00:00', 'charset': 'utf8mb4', 'strict': 1, 'autocommit': 1}  # type: ignore[no-redef]

    async def ask() -> Any:
        async with transaction():
            await asyncio.sleep(0.05)  # so that each of the connections is asked
            return dict((await client.execute_query_dict(query))[0])

    assert await asyncio.gather(*(ask() for _ in range(3))) == [expected] * 3
