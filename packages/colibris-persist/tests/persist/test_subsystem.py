"""The setting DATABASE, and the tests' own databases."""

# a block is rolled back by what is raised in it

import asyncio
import shlex
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colibris import conf, persist, plugins, subsystems
from colibris.conf import ImproperlyConfigured, settings
from colibris.persist import checks
from colibris.persist.sqlite import SQLiteBackend
from colibris.persist.subsystem import PersistSubsystem, subsystem

SEED = {
    'colibris.persist.SQLiteBackend': 'SQLiteBackend',
    'colibris.persist.PostgreSQLBackend': 'PostgreSQLBackend',
    'colibris.persist.MySQLBackend': 'MySQLBackend',
    'sqlite': 'SQLiteBackend',
    'postgresql': 'PostgreSQLBackend',
    'mysql': 'MySQLBackend',
}
MODELS = """
    from colibris.persist import Model, fields

    class Item(Model):
        id = fields.IntField(primary_key=True)
        name = fields.CharField(max_length=20, unique=True)
"""


@pytest.mark.parametrize(('backend', 'name'), SEED.items())
def test_backends_by_alias_and_by_the_dotted_paths_of_old(shop: Callable[..., None], backend: str, name: str) -> None:
    shop(settings=f'DATABASE = {{"backend": "{backend}", "name": "shop"}}')
    assert type(subsystem.configure()).__name__ == name


def test_dictionary_form_of_old(shop: Callable[..., None]) -> None:
    shop(
        settings="""
            DATABASE = {
                'backend': 'colibris.persist.PostgreSQLBackend',
                'name': 'yourproject',
                'host': '127.0.0.1',
                'port': 5432,
                'username': 'username',
                'password': 'password'
            }
        """
    )
    assert subsystem.configure().describe() == ("PostgreSQL at 127.0.0.1:5432, database 'yourproject', user 'username'")


def test_url_and_keys_beside_a_url(shop: Callable[..., None]) -> None:
    shop(settings="DATABASE = 'mysql://u:p@h:3307/shop?max_connections=4'")
    assert subsystem.configure().describe() == "MySQL at h:3307, database 'shop', user 'u'"
    with settings.override(DATABASE={'url': 'mysql://u:p@h:3307/shop', 'name': 'other', 'max_connections': 3}):
        backend: Any = subsystem.configure()
        assert (backend.name, backend.max_connections) == ('shop', 3)


def test_relative_file_starts_at_the_root_of_the_project(
    shop: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(settings="DATABASE = 'sqlite:///data.db'")
    monkeypatch.chdir('/')
    backend = subsystem.configure()
    assert isinstance(backend, SQLiteBackend)
    assert backend.path == tmp_path / 'data.db'


@pytest.mark.parametrize(
    ('value', 'error', 'words'),
    [
        (5, ImproperlyConfigured, ['DATABASE', "'backend'"]),
        ({'name': 'x'}, ImproperlyConfigured, ['DATABASE', "'backend'"]),
        ({'backend': 'sqlit', 'name': 'x'}, plugins.UnknownPlugin, ["DATABASE['backend']", 'sqlite']),
        ({'backend': 'sqlite'}, plugins.InvalidOption, ['DATABASE', "'name'"]),
        ({'backend': 'sqlite', 'name': 'x', 'hots': 1}, plugins.InvalidOption, ["DATABASE['hots']"]),
        ({'backend': 'mysql', 'name': 'x', 'prot': 1}, plugins.InvalidOption, ["DATABASE['prot']", "'port'"]),
        ({'backend': 'mysql', 'name': 'x', 'port': 'y'}, plugins.InvalidOption, ['DATABASE', 'port', "'y'"]),
        ('postgresql:///x?colour=red', plugins.InvalidOption, ["DATABASE['colour']"]),
        ('nosql:///x', ImproperlyConfigured, ['DATABASE', "'nosql'"]),
        ({'url': 5}, ImproperlyConfigured, ["DATABASE['url']"]),
        ({'backend': 'sqlite', 'name': 'x', 'databases': ['y']}, ImproperlyConfigured, ["DATABASE['databases']"]),
        ({'backend': 'sqlite', 'name': 'x', 'databases': {'default': {}}}, ImproperlyConfigured, ["'default'"]),
        (
            {'backend': 'sqlite', 'name': 'x', 'databases': {'b': {'backend': 'sqlite', 'name': 'y', 'z': 1}}},
            plugins.InvalidOption,
            ["DATABASE['databases']['b']", "'z'"],
        ),
    ],
)
async def test_mistakes_are_named(
    shop: Callable[..., None], value: object, error: type[Exception], words: list[str]
) -> None:
    shop(settings="DATABASE = 'sqlite:///data.db'")
    with pytest.raises(error) as caught, settings.override(DATABASE=value):
        await subsystem.open()
    for word in words:
        assert word in str(caught.value)


def test_missing_driver_says_what_to_install(shop: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.partition('.')[0] == 'asyncpg' or name.startswith('colibris.persist.postgresql'):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, 'tortoise.backends.asyncpg.client', raising=False)
    monkeypatch.setitem(sys.modules, 'asyncpg', None)
    for backend in (
        'postgresql',
        'colibris.persist.PostgreSQLBackend',
        'colibris.persist.postgresql:PostgreSQLBackend',
    ):
        shop_settings = f'DATABASE = {{"backend": "{backend}", "name": "shop"}}'
        if not settings.loaded:
            shop(settings=shop_settings)
        with (
            settings.override(DATABASE={'backend': backend, 'name': 'shop'}),
            pytest.raises(plugins.MissingRequirement, match=r"asyncpg.*pip install 'colibris-persist\[postgresql\]'"),
        ):
            subsystem.configure()


async def test_only_the_chosen_driver_is_imported(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from colibris.persist import *
from colibris.persist.subsystem import subsystem
assert not {'aiosqlite', 'asyncpg', 'asyncmy'} & set(sys.modules)
from colibris.persist import SQLiteBackend
assert {'aiosqlite', 'asyncpg', 'asyncmy'} & set(sys.modules) == {'aiosqlite'}
"""
    process = await asyncio.create_subprocess_exec(sys.executable, '-c', code)
    assert await process.wait() == 0


@pytest.mark.parametrize('kind', ['postgresql', 'mysql'])
async def test_server_that_does_not_answer(shop: Callable[..., None], kind: str, unused_tcp_port: int) -> None:
    shop(settings=f"DATABASE = '{kind}://bob:secret@127.0.0.1:{unused_tcp_port}/shop'")
    with pytest.raises(ImproperlyConfigured) as caught:
        await subsystem.open()
    message = str(caught.value)
    for word in ('DATABASE', '127.0.0.1', str(unused_tcp_port), "'shop'", "'bob'", 'check that the server runs'):
        assert word in message
    assert 'secret' not in message
    assert not subsystem.is_open


@pytest.mark.parametrize('kind', ['postgresql', 'mysql'])
async def test_server_that_accepts_and_says_nothing(shop: Callable[..., None], kind: str) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(swallow, '127.0.0.1', 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        shop(settings=f"DATABASE = '{kind}://bob@127.0.0.1:{port}/shop?connect_timeout=0.3'")
        async with asyncio.timeout(5):
            with pytest.raises(ImproperlyConfigured, match='did not answer in time'):
                await subsystem.open()


@pytest.mark.parametrize('kind', ['postgresql', 'mysql'])
async def test_missing_database_is_named(
    shop: Callable[..., None], server: Callable[[str, str], dict[str, Any]], kind: str
) -> None:
    options = {'backend': kind, **server(kind, 'nowhere')}
    shop(settings=f'DATABASE = {options!r}')
    with pytest.raises(
        ImproperlyConfigured, match=r'col_persist_nowhere.*no such database.*(createdb|CREATE DATABASE)'
    ) as caught:
        await subsystem.open()
    *_, last = shlex.split(str(caught.value).partition('create it: ')[2])
    assert last.startswith(('col_persist_nowhere', 'CREATE DATABASE `col_persist_nowhere'))
    assert '"CREATE' not in str(caught.value)  # a shell would run what is in backquotes


async def test_wrong_password(shop: Callable[..., None], server: Callable[[str, str], dict[str, Any]]) -> None:
    options = {**server('mysql', 'mysql'), 'username': 'nobody_we_know', 'password': 'sesame'}
    shop(settings=f'DATABASE = { ({"backend": "mysql", **options})!r}')
    with pytest.raises(ImproperlyConfigured, match=r'nobody_we_know.*does not let the user in') as caught:
        await subsystem.open()
    assert 'sesame' not in str(caught.value)


# Tests of a project


@pytest.fixture(params=['sqlite', 'postgresql', 'mysql'])
def database(request: pytest.FixtureRequest, server: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """The setting DATABASE of a project that is tested; nobody makes that database."""
    kind: str = request.param
    return {'backend': kind, **({'name': 'main.db'} if kind == 'sqlite' else server(kind, 'main'))}


@pytest.fixture
def migrations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count migrations, which make the tables from the models here."""
    from colibris.persist import migrations

    ran: list[str] = []

    async def migrate(*, database: str = 'default') -> list[str]:
        await persist.get_database(database).create_tables()
        ran.append(database)
        return ['0_init.py']

    monkeypatch.setattr(migrations, 'migrate', migrate)
    return ran


def items() -> Any:
    return sys.modules['shop.models'].Item


async def test_tests_are_rolled_back_and_migrated_once(
    shop: Callable[..., None], database: dict[str, Any], migrations: list[str]
) -> None:
    shop(settings=f'DATABASE = {database!r}', models=MODELS)
    async with subsystem.test_session():
        assert 'test_' in subsystem.backend.name
        for _ in range(20):
            async with subsystem.test_case():
                await items().create(name='a')
                with pytest.raises(persist.UniqueViolation):
                    await items().create(name='a')
                assert await items().all().count() == 1
        backend = subsystem.backend
    assert migrations == ['default']
    assert await backend.exists() is False
    assert await persist.get_database().exists() is False


async def test_dropped_database_is_made_again_for_the_next_test(
    shop: Callable[..., None], database: dict[str, Any], migrations: list[str]
) -> None:
    shop(settings=f'DATABASE = {database!r}', models=MODELS)
    async with subsystem.test_session():
        async with subsystem.test_case():
            await items().create(name='a')
            await persist.get_database().drop()
            assert await persist.connectivity_check() is False
        async with subsystem.test_case():
            assert await items().all().count() == 0
            await persist.get_database().drop()
            await persist.get_database().create()
        async with subsystem.test_case():
            await items().create(name='a')
    assert len(migrations) == 3


async def test_isolated_test_commits_and_leaves_nothing(
    shop: Callable[..., None], database: dict[str, Any], migrations: list[str]
) -> None:
    shop(settings=f'DATABASE = {database!r}', models=MODELS)
    async with subsystem.test_session():
        async with subsystem.test_case(isolated=True):
            async with persist.transaction():
                await items().create(name='a')
            await subsystem.databases.backends['default'].close()
            assert await items().all().count() == 1
        async with subsystem.test_case():
            assert await items().all().count() == 0
    assert len(migrations) == 2


def test_session_and_tests_may_have_event_loops_of_their_own(
    shop: Callable[..., None], database: dict[str, Any], migrations: list[str]
) -> None:
    shop(settings=f'DATABASE = {database!r}', models=MODELS)

    async def one() -> None:
        async with subsystem.test_case():
            await items().create(name='a')
            assert await items().all().count() == 1

    with asyncio.Runner() as session:
        manager = subsystem.test_session()
        session.run(manager.__aenter__())
        for _ in range(3):
            asyncio.run(one())
        session.run(manager.__aexit__(None, None, None))
    assert migrations == ['default']


async def test_an_event_loop_in_another_thread_is_refused_and_harms_nobody(
    shop: Callable[..., None], database: dict[str, Any], migrations: list[str]
) -> None:
    shop(settings=f'DATABASE = {database!r}', models=MODELS)

    async def read() -> int:
        return await items().all().count()

    async with subsystem.test_session(), subsystem.test_case(isolated=True):
        assert await read() == 0
        with pytest.raises(RuntimeError, match='is open in another event loop'):
            await asyncio.to_thread(asyncio.run, read())
        assert await asyncio.gather(*(read() for _ in range(5))) == [0] * 5


async def test_each_worker_has_databases_of_its_own(
    shop: Callable[..., None], migrations: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shop(settings="DATABASE = 'sqlite:///main.db'", models=MODELS)
    monkeypatch.setenv('PYTEST_XDIST_WORKER', 'gw3')
    async with subsystem.test_session():
        assert [file.name for file in tmp_path.glob('*.db')] == ['test_main_gw3.db']


@pytest.mark.parametrize(
    ('given', 'name'),
    [
        ({'name': 'trial.db'}, 'trial.db'),
        ({'busy_timeout': 3}, 'test_main.db'),
        ('sqlite:///trial.db', 'trial.db'),
        ({'backend': 'sqlite', 'name': ':memory:'}, ':memory:'),
    ],
)
async def test_test_database_changes_what_it_names(
    shop: Callable[..., None], migrations: list[str], given: object, name: str
) -> None:
    shop(settings=f"DATABASE = {{'backend': 'sqlite', 'name': 'main.db'}}\nTEST_DATABASE = {given!r}", models=MODELS)
    async with subsystem.test_session():
        assert subsystem.backend.name == name
        async with subsystem.test_case():
            await items().create(name='a')


async def test_test_database_of_another_kind(shop: Callable[..., None], migrations: list[str]) -> None:
    shop(
        settings="""
            DATABASE = 'postgresql://bob@nowhere.invalid/main?max_connections=3'
            TEST_DATABASE = {'backend': 'sqlite'}
        """,
        models=MODELS,
    )
    async with subsystem.test_session():
        assert subsystem.backend.name == 'test_main'


async def test_further_databases_are_tested_too(
    shop: Callable[..., None], migrations: list[str], tmp_path: Path
) -> None:
    shop(
        settings="""
            DATABASE = {'backend': 'sqlite', 'name': 'main.db', 'databases': {'reports': 'sqlite:///reports.db'}}
        """,
        models=MODELS,
    )
    async with subsystem.test_session():
        assert sorted(file.name for file in tmp_path.glob('*.db')) == ['test_main.db', 'test_reports.db']
        async with subsystem.test_case():
            async with persist.transaction('reports'):
                await persist.get_connection('reports').execute_query('CREATE TABLE a (b INT)')
        async with subsystem.test_case():
            rows = await persist.get_connection('reports').execute_query_dict('SELECT * FROM sqlite_master')
            assert rows == []
    assert migrations == ['default', 'reports']


async def test_real_database_is_never_used_by_tests(shop: Callable[..., None], tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / 'main.db').execute('CREATE TABLE precious (a)').connection.close()
    shop(settings="DATABASE = 'sqlite:///main.db'\nTEST_DATABASE = {'name': './main.db'}", models=MODELS)
    with pytest.raises(ImproperlyConfigured, match=r'TEST_DATABASE names a real database'):
        async with subsystem.test_session():
            pass
    connection = sqlite3.connect(tmp_path / 'main.db')
    assert connection.execute('SELECT name FROM sqlite_master').fetchall() == [('precious',)]
    connection.close()


async def test_what_a_killed_run_left_behind_is_removed(
    shop: Callable[..., None], migrations: list[str], tmp_path: Path
) -> None:
    (tmp_path / 'test_main.db').write_bytes(b'rubbish')
    shop(settings="DATABASE = 'sqlite:///main.db'", models=MODELS)
    async with subsystem.test_session():
        assert await persist.connectivity_check()


async def test_test_case_needs_a_session(shop: Callable[..., None]) -> None:
    with pytest.raises(RuntimeError, match='test_session'):
        async with subsystem.test_case():
            pass


async def test_requests_of_a_test_share_its_transaction(
    shop: Callable[..., None], database: dict[str, Any], migrations: list[str], aiohttp_client: Any
) -> None:
    from aiohttp import web

    committed: list[str] = []

    async def post(request: web.Request) -> web.Response:
        name = request.query['name']
        async with persist.transaction():
            await items().create(name=name)
            persist.on_commit(lambda: committed.append(name))
            if name == 'bad':
                raise web.HTTPConflict
        return web.Response()

    async def get(request: web.Request) -> web.Response:
        return web.json_response(await items().all().order_by('name').values_list('name', flat=True))

    shop(settings=f'DATABASE = {database!r}', models=MODELS)
    app = web.Application()
    app.add_routes([web.get('/', get), web.post('/', post)])
    async with subsystem.test_session():
        client = await aiohttp_client(app)
        for _ in range(2):
            committed.clear()
            async with subsystem.test_case():
                await items().create(name='test')
                answers = await asyncio.gather(*(client.post('/', params={'name': name}) for name in ('a', 'bad', 'c')))
                assert [answer.status for answer in answers] == [200, 409, 200]
                assert await (await client.get('/')).json() == ['a', 'c', 'test']
                assert sorted(committed) == ['a', 'c']


async def test_opens_and_closes_with_the_application(shop: Callable[..., None]) -> None:
    shop(settings="DATABASE = 'sqlite:///main.db'", models=MODELS)
    for _ in range(2):
        async with subsystems.running() as opened:
            assert [type(item) for item in opened] == [PersistSubsystem]
            await persist.get_database().create_tables()
            assert await items().all().count() == 0
        with pytest.raises(subsystems.NotConfigured, match='not open'):
            await persist.connectivity_check()


async def test_error_in_models_comes_out_as_it_is(shop: Callable[..., None]) -> None:
    shop(settings="DATABASE = 'sqlite:///main.db'", models='import no_such_module_at_all')
    with pytest.raises(ModuleNotFoundError, match='no_such_module_at_all'):
        async with subsystems.running():
            pass
    assert conf.settings.loaded


@pytest.mark.parametrize('given', [{'nmae': 'x.db'}, {'name': './main.db'}, 'oracle://x'])
def test_check_finds_what_is_wrong_with_the_test_database(shop: Callable[..., None], given: object) -> None:
    shop(settings=f"DATABASE = 'sqlite:///main.db'\nTEST_DATABASE = {given!r}", models=MODELS)
    (problem,) = checks.test_database()
    assert problem.message.startswith('TEST_DATABASE')


def test_check_has_nothing_to_say_of_a_good_test_database(shop: Callable[..., None]) -> None:
    shop(settings="DATABASE = 'sqlite:///main.db'\nTEST_DATABASE = {'name': 'x.db'}", models=MODELS)
    assert list(checks.test_database()) == []
