"""The façade: what a project imports."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colibris import persist
from colibris.persist import fields
from colibris.persist.models import database_of
from colibris.persist.testing.models import ContractShelf
from colibris.subsystems import NotConfigured

TYPED = """
from colibris import persist
from colibris.persist import CharField, F, ForeignKeyField, ForeignKeyRelation, Model, Q, fields


class Author(Model):
    id = fields.IntField(primary_key=True)
    name = CharField(max_length=20, unique=True)

    class Meta:
        table = 'author'
        database = 'default'


class Book(Model):
    title = CharField(max_length=20)
    author: ForeignKeyRelation[Author] = ForeignKeyField('models.Author')


async def work() -> str:
    async with persist.transaction():
        author = await Author.create(name='a')
        await Author.filter(Q(name='a') | Q(id=1)).update(id=F('id') + 1)
        persist.on_commit(lambda: None)
    healthy: bool = await persist.connectivity_check()
    await persist.get_database().drop()
    backend = persist.SQLiteBackend(name='a.db')
    return author.name if healthy else backend.name
"""


def test_everything_that_is_exported_is_there() -> None:
    for name in persist.__all__:
        assert getattr(persist, name) is not None
    assert persist.CharField is fields.CharField


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match='NoSQLBackend'):
        _ = persist.NoSQLBackend


def test_database_of_a_model() -> None:
    class Base(persist.Model):
        class Meta:
            abstract = True
            database = 'reports'

    class Inherits(Base):
        pass

    class Moves(Base):
        class Meta:
            database = 'other'

    class Extends(Base):
        class Meta:
            table = 'extends'

    assert [database_of(model) for model in (ContractShelf, Inherits, Moves, Extends)] == [
        'default',
        'reports',
        'other',
        'reports',
    ]


async def test_models_are_typed(tmp_path: Path) -> None:
    (tmp_path / 'models.py').write_text(TYPED)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, '-m', 'mypy', '--strict', '--no-error-summary', f'--cache-dir={tmp_path}/cache', 'models.py'),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert (process.returncode, output.decode()) == (0, '')


async def test_a_model_that_is_used_while_no_database_is_open_says_what_to_do() -> None:
    uses: list[Callable[[], Any]] = [
        Unopened.all,
        Unopened.first,
        lambda: Unopened.filter(id=1).count(),
        lambda: Unopened(id=1).save(),
    ]
    for use in uses:
        with pytest.raises(
            NotConfigured, match=r'persist is used before the settings are loaded: call colibris\.conf\.setup'
        ):
            await use()


class Unopened(persist.Model):
    id = fields.IntField(primary_key=True)
