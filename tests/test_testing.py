"""What a project's tests may rely on: the test database, on each kind of server, in one process and in several."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from demo import CURRENT
from servers import database_server
from workspace import clean_environment

from colibris import plugins
from colibris.persist import DatabaseBackend

MODELS = """
    from colibris.persist import Model, fields


    class User(Model):
        id = fields.IntField(primary_key=True)
        username = fields.CharField(max_length=50, unique=True)
"""

VIEWS = """
    from colibris import persist
    from colibris.schemas import ModelSchema
    from colibris.views import APIView, ListCreateModelView
    from shop import models

    done = []


    class UserSchema(ModelSchema):
        class Meta:
            model = models.User
            fields = ('id', 'username')


    class UsersView(ListCreateModelView):
        model = models.User
        body_schema_class = UserSchema


    class CommitView(APIView):
        async def post(self):
            async with persist.transaction():
                await models.User.create(username='committed')
                persist.on_commit(self.finish)
                assert not done
            return [done.pop()]

        async def finish(self):
            done.append(await models.User.all().count())
"""

APP = """
    from colibris import app, persist


    async def get_health():
        if not await persist.connectivity_check():
            raise app.HealthException('database connectivity check failed')

        return 'healthy'
"""

FIXTURES = """
    import pytest
    from shop import models


    @pytest.fixture
    async def test_user():
        yield await models.User.create(username='test_user')


    @pytest.fixture(scope='module')
    async def of_the_module():
        user = await models.User.create(username='module')
        yield user
        await user.delete()
"""

TESTS = """
    import asyncio

    import pytest
    from colibris import persist
    from colibris.test import utils
    from shop import models


    async def test_fixture_test_and_handlers_see_the_same(web_app_client, test_user):
        await models.User.create(username='other')
        j = await utils.read_json(await web_app_client.get('/users'))
        utils.assert_is_envelope(j, count=2)
        await utils.read_json(await web_app_client.post('/users', json={'username': 'new'}), 201)
        assert await models.User.filter(username='new').exists()
        assert await models.User.all().count() == 3


    async def test_the_database_is_empty_again(web_app_client):
        utils.assert_is_envelope(await utils.read_json(await web_app_client.get('/users')), count=0)


    async def test_ids_go_on_or_start_again_but_users_can_be_made(test_user):
        assert await models.User.get(username='test_user') == test_user


    async def test_requests_at_once(web_app_client):
        names = [f'user{number}' for number in range(10)]
        answers = await asyncio.gather(*(web_app_client.post('/users', json={'username': name}) for name in names))
        assert {answer.status for answer in answers} == {201}
        assert await models.User.all().count() == 10


    async def test_an_error_of_the_database_leaves_the_rest_of_the_test_working(web_app_client, test_user):
        answer = await web_app_client.post('/users', json={'username': 'test_user'})
        utils.assert_is_error(await utils.read_json(answer, 409), 'duplicate')
        with pytest.raises(persist.IntegrityError):
            await models.User.create(username='test_user')
        assert await models.User.all().count() == 1


    async def test_a_transaction_of_the_test_can_be_rolled_back():
        with pytest.raises(ZeroDivisionError):
            async with persist.transaction():
                await models.User.create(username='x')
                1 / 0
        assert await models.User.all().count() == 0


    async def test_what_waits_for_a_commit_runs(web_app_client):
        assert await utils.read_json(await web_app_client.post('/commit')) == [1]


    def test_sync():
        pass


    async def test_health_check_healthy(web_app_client):
        resp = await web_app_client.get('/health')
        assert resp.status == 200

        j = await resp.json()
        assert j == 'healthy'


    async def test_health_check_db_down(web_app_client):
        await persist.get_database().drop()

        resp = await web_app_client.get('/health')
        assert resp.status == 500

        j = await resp.json()
        assert j['code'] == 'unhealthy'


    async def test_the_database_is_back(web_app_client, test_user):
        utils.assert_is_envelope(await utils.read_json(await web_app_client.get('/users')), count=1)


    @pytest.mark.isolated_database
    async def test_health_check_db_down_marked(web_app_client):
        await persist.get_database().drop()
        assert (await web_app_client.get('/health')).status == 500


    @pytest.mark.isolated_database
    async def test_commit_for_good(test_user):
        async with persist.transaction():
            await models.User.create(username='kept')
        assert await models.User.all().count() == 2


    async def the_database_is_empty_after_it_test():
        assert await models.User.all().count() == 0
"""

MODULE = """
    from shop import models


    async def test_first(of_the_module):
        assert await models.User.all().count() == 1
        await models.User.create(username='mine')
        await of_the_module.refresh_from_db()


    async def test_second(of_the_module):
        assert [user.username for user in await models.User.all()] == ['module']
"""


@dataclass(frozen=True)
class Project:
    """A project whose database is one of *backend*; *server* is the backend with which its server can be asked."""

    folder: Path
    backend: str
    options: dict[str, object]

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))

    def migrate(self, name: str) -> None:
        CURRENT.run('colibris', 'makemigrations', name, cwd=self.folder)

    def test(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, '-m', 'pytest', '-q', *arguments]
        variables = {name: value for name, value in clean_environment().items() if not name.startswith('PYTEST')}
        return subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=600)

    def database(self, name: str) -> DatabaseBackend:
        options = {**self.options, 'name': name}
        return plugins.build('the test database', options, 'colibris.persist', DatabaseBackend)


@pytest.fixture(params=['sqlite', 'postgresql', 'mysql'])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    options = {'backend': request.param, **({} if request.param == 'sqlite' else database_server(request.param))}
    name = f'col_testing_{os.getpid()}' if request.param != 'sqlite' else str(tmp_path / 'shop.db')
    project = Project(tmp_path, request.param, options)
    project.write('pyproject.toml', '[tool.colibris]\npackage = "shop"\n')
    project.write('shop/__init__.py', '')
    project.write('shop/settings.py', f'DATABASE = { ({**options, "name": name})!r}\n')
    project.write('shop/models.py', MODELS)
    project.write('shop/views.py', VIEWS)
    project.write('shop/app.py', APP)
    project.write(
        'shop/routes.py',
        "from shop import views\n\nROUTES = [('/users', views.UsersView), ('/commit', views.CommitView)]\n",
    )
    project.write('shop/tests/__init__.py', '')
    project.write('shop/tests/fixtures.py', FIXTURES)
    project.migrate('initial')
    return project


async def test_each_test_has_the_database_for_itself(project: Project) -> None:
    project.write('shop/tests/test_all.py', TESTS)
    project.write('shop/tests/test_module.py', MODULE)
    assert passed(project.test('-W', 'error'), 16)
    assert not await _left_behind(project)


async def test_workers_have_databases_of_their_own(project: Project) -> None:
    project.write('shop/tests/test_all.py', TESTS)
    project.write('shop/tests/test_more.py', TESTS)
    assert passed(project.test('-n', '2'), 28)
    assert not await _left_behind(project)


async def _left_behind(project: Project) -> list[str]:
    if project.backend == 'sqlite':
        return [str(path) for path in project.folder.glob('*.db*')]
    names = [f'test_col_testing_{os.getpid()}{suffix}' for suffix in ('', '_gw0', '_gw1')]
    return [name for name in names if await project.database(name).exists()]


def passed(result: subprocess.CompletedProcess[str], number: int) -> bool:
    assert result.stdout.strip().splitlines()[-1].startswith(f'{number} passed in'), result.stdout + result.stderr
    return True


def test_a_thousand_tests_are_one_migration(project: Project) -> None:
    (migration,) = (project.folder / 'shop/migrations').glob('*initial.py')
    log = project.folder / 'migrated.txt'
    counting = f"""

        async def upgrade(db):
            with open({str(log)!r}, 'a') as file:
                file.write('x')
            return await apply(db)
    """
    migration.write_text(migration.read_text().replace('def upgrade', 'def apply') + dedent(counting))
    body = "    await models.User.create(username='a')\n    assert await models.User.all().count() == 1\n"
    tests = '\n\n'.join(f'async def test_{number}():\n{body}' for number in range(1000))
    project.write('shop/tests/test_many.py', f'from shop import models\n\n\n{tests}')
    assert passed(project.test(), 1000)
    assert log.read_text() == 'x'


async def test_a_database_that_cannot_be_reached_is_one_message(project: Project) -> None:
    if project.backend == 'sqlite':
        pytest.skip('a file can always be reached')
    options = {**project.options, 'name': 'shop', 'host': '127.0.0.1', 'port': 9, 'password': 'hidden'}
    project.write('shop/settings.py', f'DATABASE = {options!r}\n')
    project.write('shop/tests/test_it.py', 'async def test_it(): pass\n')
    result = project.test()
    assert result.returncode == 1
    assert '127.0.0.1:9' in result.stdout
    assert 'Traceback' not in result.stdout
    assert 'hidden' not in result.stdout
