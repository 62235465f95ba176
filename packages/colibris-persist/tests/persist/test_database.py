"""Databases by name, and what is forgotten to await."""

# ruff: noqa: PT012  # a block is rolled back by what is raised in it

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tortoise.exceptions import ConfigurationError

from colibris import persist, subsystems
from colibris.persist.database import opened
from colibris.persist.sqlite import SQLiteBackend
from colibris.persist.subsystem import subsystem
from colibris.subsystems import NotConfigured

TWO = """
    DATABASE = {
        'backend': 'sqlite',
        'name': 'main.db',
        'databases': {'reports': 'sqlite:///reports.db'},
    }
"""
MODELS = """
    from colibris.persist import Model, fields

    class Order(Model):
        id = fields.IntField(primary_key=True)
        number = fields.IntField()

    class Report(Model):
        id = fields.IntField(primary_key=True)
        text = fields.TextField()

        class Meta:
            database = 'reports'
"""


@pytest.fixture
async def database(tmp_path: Path) -> Any:
    async with opened({'default': SQLiteBackend(name=str(tmp_path / 'a.db'))}) as databases:
        yield databases


@pytest.mark.parametrize(
    'call',
    [
        lambda: persist.connectivity_check(),
        lambda: persist.get_database().exists(),
        lambda: persist.get_database().create(),
        lambda: persist.get_database().drop(),
        lambda: persist.get_database().create_tables(),
    ],
)
async def test_truth_of_what_is_not_awaited_is_an_error(database: Any, call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r'\w\(\) has to be awaited .*: await \w+\('):
        bool(call())
    assert await persist.connectivity_check() is True


async def test_not_awaiting_at_all_is_warned_about(database: Any) -> None:
    with pytest.warns(RuntimeWarning, match='never awaited'):
        persist.get_database().drop()
    assert await persist.get_database().exists()


async def test_result_may_be_awaited_as_a_task(database: Any) -> None:
    assert await asyncio.create_task(persist.connectivity_check()) is True
    assert await asyncio.wait_for(persist.connectivity_check(), 5) is True


async def test_a_database_cannot_be_dropped_within_a_transaction(database: Any) -> None:
    async with persist.transaction():
        with pytest.raises(persist.TransactionManagementError, match='leave the block first'):
            await persist.get_database().drop()
    assert await persist.connectivity_check() is True


async def test_before_the_settings_are_loaded_there_is_none() -> None:
    for use in (persist.get_connection, persist.get_database, persist.connectivity_check):
        with pytest.raises(NotConfigured, match='before the settings are loaded'):
            await use()  # type: ignore[operator]
    with pytest.raises(NotConfigured, match='before the settings are loaded'):
        async with persist.transaction():
            pass


async def test_configured_but_not_open(shop: Callable[..., None], tmp_path: Path) -> None:
    shop(settings="DATABASE = {'backend': 'sqlite', 'name': 'main.db'}")
    with pytest.raises(NotConfigured, match='not open'):
        persist.get_connection()
    database = persist.get_database()
    assert await database.exists() is False
    await database.create()
    assert (tmp_path / 'main.db').exists()
    await database.drop()
    assert not (tmp_path / 'main.db').exists()


async def test_models_live_in_the_database_that_they_name(shop: Callable[..., None], tmp_path: Path) -> None:
    shop(settings=TWO, models=MODELS)
    async with subsystems.running():
        models = sys.modules['shop.models']
        await persist.get_database().create_tables()
        await persist.get_database('reports').create_tables()
        await models.Order.create(number=1)
        await models.Report.create(text='a')
        for name, table in (('default', 'order'), ('reports', 'report')):
            rows = await persist.get_connection(name).execute_query_dict(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
            assert [row['name'] for row in rows] == [table]
        with pytest.raises(KeyError):
            async with persist.transaction('reports'):
                await models.Order.create(number=2)
                await models.Report.create(text='b')
                raise KeyError
        assert (await models.Order.all().count(), await models.Report.all().count()) == (2, 1)
    assert sorted(file.name for file in tmp_path.glob('*.db')) == ['main.db', 'reports.db']


async def test_callbacks_wait_for_the_outermost_block_of_any_database(shop: Callable[..., None]) -> None:
    shop(settings=TWO, models=MODELS)
    called: list[str] = []
    async with subsystems.running():
        async with persist.transaction():
            async with persist.transaction('reports'):
                persist.on_commit(lambda: called.append('reports'))
            assert called == []
        assert called == ['reports']


async def test_all_databases_are_asked_for_their_health(shop: Callable[..., None]) -> None:
    shop(settings=TWO, models=MODELS)
    async with subsystems.running():
        assert await persist.connectivity_check() is True
        await persist.get_database('reports').drop()
        assert await persist.connectivity_check() is False
        assert await persist.connectivity_check('default') is True
        with pytest.raises(persist.MissingDatabase):
            await subsystem.check_health()


async def test_unknown_database_is_named(shop: Callable[..., None]) -> None:
    shop(settings=TWO, models=MODELS.replace("'reports'", "'report'"))
    with pytest.raises(NotConfigured, match=r"no database 'nope' \(there are: default, reports\)"):
        persist.get_database('nope')
    with pytest.raises(ConfigurationError, match=r"Report.Meta.database is 'report'.*default, reports"):
        async with subsystems.running():
            pass


async def test_relations_across_databases_are_refused(shop: Callable[..., None]) -> None:
    models = MODELS + "\n        order = fields.ForeignKeyField('models.Order')\n"
    models = models.replace("            database = 'reports'\n\n", "            database = 'reports'\n")
    shop(
        settings=TWO,
        models=MODELS.replace('text = fields.TextField()', "order = fields.ForeignKeyField('models.Order')"),
    )
    with pytest.raises(ConfigurationError, match=r'Report\.order refers to Order, which lives in another database'):
        async with subsystems.running():
            pass


async def test_dialects_may_follow_one_another_under_one_name(
    tmp_path: Path, server: Callable[[str, str], dict[str, Any]]
) -> None:
    from colibris.persist.mysql import MySQLBackend
    from colibris.persist.postgresql import PostgreSQLBackend
    from colibris.persist.testing.models import ContractShelf, names

    backends: list[Any] = [
        SQLiteBackend(name=str(tmp_path / 'a.db')),
        PostgreSQLBackend(**server('postgresql', 'dialects')),
        MySQLBackend(**server('mysql', 'dialects')),
        SQLiteBackend(name=str(tmp_path / 'a.db')),
    ]
    for backend in backends:
        await backend.drop()
        await backend.create()
        try:
            async with opened({'default': backend}, ['colibris.persist.testing.models']) as databases:
                await databases.create_tables()
                shelf = await ContractShelf.create(name='a')
                await ContractShelf.filter(id=shelf.id).update(name='b')
                assert await names() == ['b']
                await shelf.delete()
        finally:
            await backend.drop()
