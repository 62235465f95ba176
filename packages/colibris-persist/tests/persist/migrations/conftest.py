"""What the tests of migrations share: models made of source text, folders of migrations, and real databases."""

import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from textwrap import dedent
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from servers import database_server
from tortoise.context import TortoiseContext

from colibris import plugins
from colibris.persist.base import DatabaseBackend, ServerBackend
from colibris.persist.database import opened
from colibris.persist.migrations import maker, state
from colibris.persist.migrations.files import Folder
from colibris.persist.migrations.maker import Made
from colibris.persist.migrations.questions import Answers, Ask
from colibris.persist.migrations.runner import Runner
from colibris.persist.migrations.values import NOW

HEADER = """
import datetime, decimal, enum, uuid
from tortoise import fields
from tortoise.fields import CASCADE, RESTRICT, SET_NULL
from tortoise.fields.db_defaults import Now, SqlDefault
from tortoise.indexes import Index, PartialIndex
from colibris.persist.models import Model
"""

_numbers = count()


@pytest.fixture
def module() -> Iterator[Callable[[str], ModuleType]]:
    """Make a module of models from source text."""
    made: list[str] = []

    def make(source: str) -> ModuleType:
        found = ModuleType(f'migrated_models_{next(_numbers)}')
        sys.modules[found.__name__] = found
        made.append(found.__name__)
        exec(HEADER + dedent(source), found.__dict__)
        return found

    yield make
    for name in made:
        del sys.modules[name]


@dataclass
class History:
    """A folder of migrations, and the models that it leads to."""

    folder: Folder
    module: Callable[[str], ModuleType]
    models: ModuleType = field(default_factory=lambda: ModuleType('nothing'))

    def make(
        self,
        source: str,
        name: str | None = None,
        *,
        renames: Sequence[str] = (),
        no_rename: bool = False,
        defaults: Sequence[str] = (),
        ask: Ask | None = None,
    ) -> Made | None:
        """Change the models to *source* and make the migration that leads there."""
        self.models = self.module(source)
        answers = Answers(renames=renames, no_rename=no_rename, defaults=defaults, ask=ask)
        return maker.make(self.folder, state.find_models([self.models]), name, answers)

    def differences(self, source: str) -> list[str]:
        return maker.differences(self.folder, state.find_models([self.module(source)]))

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.path.glob('0*.py'))


@pytest.fixture
def history(tmp_path: Path, module: Callable[[str], ModuleType]) -> History:
    return History(Folder(tmp_path / 'migrations'), module)


def backend_for(alias: str, folder: Path, name: str) -> DatabaseBackend:
    options = {'backend': alias, **({} if alias == 'sqlite' else database_server(alias))}
    options['name'] = str(folder / f'{name}.db') if alias == 'sqlite' else f'col_mig_{os.getpid()}_{name}'
    return plugins.build('the test database', options, 'colibris.persist', DatabaseBackend)


class Database:
    """An open database without any table at first."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend

    @property
    def client(self) -> Any:
        return self.backend.client

    def runner(self, folder: Folder, **options: Any) -> Runner:
        return Runner(folder, self.client, lock=self.backend.lock, **options)

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.client.execute_query_dict(self._quoted(sql))]

    async def run(self, *statements: str) -> None:
        for statement in statements:
            await self.client.execute_query(self._quoted(statement))

    def _quoted(self, sql: str) -> str:
        return sql.replace('"', '`') if self.backend.dialect == 'mysql' else sql

    async def counts(self) -> dict[str, int]:
        """Return the number of rows of each table, but for the one of the migrations."""
        return {name: (await self.rows(f'SELECT COUNT(*) AS n FROM "{name}"'))[0]['n'] for name in await self.tables()}

    async def tables(self) -> list[str]:
        statement = {
            'sqlite': "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            'postgres': "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
            'mysql': 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
        }[self.backend.dialect]
        return sorted(row['name'] for row in await self.client.execute_query_dict(statement) if row['name'] != 'aerich')

    async def schema(self) -> dict[str, Any]:
        """Return what the database knows about its tables, in a form that can be compared."""
        read = {'sqlite': self._sqlite, 'postgres': self._postgres, 'mysql': self._mysql}[self.backend.dialect]
        return {table: await read(table) for table in await self.tables()}

    async def _sqlite(self, table: str) -> dict[str, Any]:
        columns = await self.rows(f'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(\'{table}\')')
        for column in columns:  # ours writes the zone, too
            column['dflt_value'] = {NOW['sqlite']: 'CURRENT_TIMESTAMP'}.get(column['dflt_value'], column['dflt_value'])
        references = await self.rows(
            f'SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list(\'{table}\')'
        )
        indexes = []
        for index in await self.rows(f'SELECT name, "unique", origin, partial FROM pragma_index_list(\'{table}\')'):
            name = index.pop('name')
            parts = await self.rows(f"SELECT name FROM pragma_index_info('{name}') ORDER BY seqno")
            named = name if index['origin'] == 'c' else ''
            indexes.append((named, sorted(index.items()), [part['name'] for part in parts]))
        return {'columns': _sorted(columns), 'references': _sorted(references), 'indexes': sorted(indexes)}

    async def _postgres(self, table: str) -> dict[str, Any]:
        columns = await self.rows(
            f"""SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
            col_description(a.attrelid, a.attnum), pg_get_serial_sequence('"{table}"', a.attname)
            FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = '"{table}"'::regclass AND a.attnum > 0 AND NOT a.attisdropped"""
        )
        constraints = await self.rows(
            f'SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = \'"{table}"\'::regclass'
        )
        indexes = await self.rows(f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{table}'")
        comment = await self.rows(f'SELECT obj_description(\'"{table}"\'::regclass)')
        sequences = await self.rows(
            'SELECT c.relname, s.seqtypid::regtype::text AS t FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid'
        )
        return {
            'columns': _sorted(columns),
            'constraints': _sorted(constraints),
            'indexes': _sorted(indexes),
            'comment': comment,
            'sequences': _sorted([row for row in sequences if row['relname'] != 'aerich_id_seq']),
        }

    async def _mysql(self, table: str) -> dict[str, Any]:
        where = f"table_schema = DATABASE() AND table_name = '{table}'"
        columns = await self.rows(
            'SELECT column_name, column_type, is_nullable, column_default, extra, column_comment, character_set_name'
            f' FROM information_schema.columns WHERE {where}'
        )
        indexes = await self.rows(
            'SELECT index_name, non_unique, seq_in_index, column_name, index_type FROM information_schema.statistics'
            f' WHERE {where}'
        )
        references = await self.rows(
            'SELECT k.constraint_name, k.column_name, k.referenced_table_name, k.referenced_column_name, r.delete_rule'
            ' FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r'
            ' ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name'
            ' AND r.table_name = k.table_name'
            f" WHERE k.table_schema = DATABASE() AND k.table_name = '{table}' AND k.referenced_table_name IS NOT NULL"
        )
        comment = await self.rows(f'SELECT table_comment FROM information_schema.tables WHERE {where}')
        return {
            'columns': _sorted(columns),
            'indexes': _sorted(indexes),
            'references': _sorted(references),
            'comment': comment,
        }


def _sorted(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(re.sub(r'\s+', ' ', repr(row)) for row in rows)


def plain_config(backend: DatabaseBackend, *modules: ModuleType) -> dict[str, Any]:
    """Return the configuration of Tortoise for *backend* with Tortoise's own client."""
    if isinstance(backend, ServerBackend):
        engine = {'postgres': 'asyncpg', 'mysql': 'mysql'}[backend.dialect]
        connection = {
            'engine': f'tortoise.backends.{engine}',
            'credentials': {
                'host': backend.host,
                'port': backend.port,
                'user': backend.username,
                'password': backend.password or '',
                'database': backend.name,
            },
        }
    else:
        connection = {'engine': 'tortoise.backends.sqlite', 'credentials': {'file_path': backend.name}}
    return {
        'connections': {'default': connection},
        'apps': {'models': {'models': [module.__name__ for module in modules], 'default_connection': 'default'}},
    }


async def opened_database(alias: str, folder: Path, name: str, *modules: ModuleType) -> AsyncIterator[Database]:
    backend = backend_for(alias, folder, name)
    await backend.drop()
    await backend.create()
    try:
        async with opened({'default': backend}, modules):
            yield Database(backend)
    finally:
        await backend.drop()


@pytest.fixture
def new_backend(tmp_path: Path) -> Callable[[str, str], DatabaseBackend]:
    """Return the backend of a test database by its alias and a name; the database is not made yet."""
    return lambda alias, name: backend_for(alias, tmp_path, name)


@pytest.fixture
def tortoise_config() -> Callable[..., dict[str, Any]]:
    """Return the configuration by which Tortoise uses a backend's database with its own client."""
    return plain_config


@pytest.fixture(params=['sqlite', 'postgresql', 'mysql'])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of each kind."""
    async for database in opened_database(request.param, tmp_path, 'main'):
        yield database


@pytest.fixture
def generated(database: Database, tmp_path: Path) -> Callable[[ModuleType], Any]:
    """Return what a database knows about the tables that Tortoise itself makes of the models of a module."""

    async def schema(models: ModuleType) -> dict[str, Any]:
        aliases = {'sqlite': 'sqlite', 'postgres': 'postgresql', 'mysql': 'mysql'}
        backend = backend_for(aliases[database.backend.dialect], tmp_path, 'generated')
        await backend.drop()
        await backend.create()
        try:
            async with TortoiseContext() as context:
                await context.init(config=plain_config(backend, models))
                await context.generate_schemas()
                client = context.connections.get('default')
                return await Database(SimpleNamespace(client=client, dialect=backend.dialect)).schema()
        finally:
            await backend.drop()

    return schema
