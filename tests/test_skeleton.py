"""A project made by the starter, from the outside: tested, built, installed, extended, migrated and served."""

import json
import re
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import pytest
from workspace import Distributions, Environment, make_environment, run, served

# The model of the seed's example of a fixture, called otherwise, with the rest that makes it a resource.
CUSTOMER = {
    'models.py': """

class Customer(Model):
    id = fields.IntField(primary_key=True)
    username = fields.CharField(max_length=128, unique=True)
    password = fields.CharField(max_length=128)
    first_name = fields.CharField(max_length=64)
    last_name = fields.CharField(max_length=64)
    email = fields.CharField(max_length=128, null=True)
""",
    'schemas.py': """

class CustomerSchema(ModelSchema):
    class Meta:
        model = models.Customer
        fields = ('id', 'username', 'password', 'first_name', 'last_name', 'email')
""",
    'views.py': """

class CustomersView(ListCreateModelView):
    model = models.Customer
    body_schema_class = schemas.CustomerSchema


class CustomerView(RetrieveUpdateDestroyModelView):
    model = models.Customer
    body_schema_class = schemas.CustomerSchema
""",
    'routes.py': """
ROUTES += [
    ('/customers', views.CustomersView),
    ('/customers/{id}', views.CustomerView),
]
""",
    'tests/fixtures.py': """

@pytest.fixture
async def test_customer():
    yield await models.Customer.create(
        username='test_customer',
        password='test_password',
        first_name='Test',
        last_name='Customer',
        email='testcustomer@example.com',
    )
""",
    'tests/test_customers.py': """from colibris.test import utils


async def test_customers(web_app_client, test_customer):
    resp = await web_app_client.get('/customers')
    assert resp.status == 200

    j = await resp.json()
    utils.assert_is_envelope(j, count=1)
    assert j['results'][0]['username'] == 'test_customer'
    assert 'password' not in j['results'][0]
""",
}
ALICE = {'username': 'alice', 'password': 'secret', 'first_name': 'Alice', 'last_name': 'Liddell'}


@dataclass(frozen=True, slots=True)
class Project:
    """A project that was made, and the environment in which its commands run."""

    folder: Path
    environment: Environment

    @property
    def package(self) -> Path:
        return self.folder / 'shopfloor'

    def manage(self, *arguments: str, **variables: str) -> str:
        """Run a command of the project and return what it printed; fail if it fails."""
        options = {'cwd': self.folder, 'env': self.environment.variables | variables}
        return run(self.package / 'manage.py', *arguments, **options).stdout


def start(environment: Environment, parent: Path) -> Project:
    environment.run('colibris-start-project', 'shop-floor', cwd=parent)
    return Project(parent / 'shop-floor', environment)


@pytest.fixture(scope='module')
def project(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project as made."""
    return start(environment, tmp_path_factory.mktemp('made'))


@pytest.fixture(scope='module')
def extended(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a second model, its migration made where no server is."""
    project = start(environment, tmp_path_factory.mktemp('extended'))
    for name, code in CUSTOMER.items():
        with (project.package / name).open('a') as file:
            file.write(code)
    project.manage('makemigrations', 'customers')
    return project


@pytest.mark.parametrize('command', [('check', '--quiet'), ('format', '--check')])
def test_the_code_is_clean_as_made(project: Project, command: tuple[str, ...]) -> None:
    run(sys.executable, '-m', 'ruff', *command, '--no-cache', '.', cwd=project.folder)


@pytest.mark.parametrize('command', ['manage.py test', 'pytest'])
def test_the_tests_pass_as_made(project: Project, command: str) -> None:
    if command == 'pytest':
        output = project.environment.run('pytest', cwd=project.folder).stdout
    else:
        output = project.manage('test')

    assert re.search(r'\b\d+ passed', output), output
    assert not re.search(r'failed|error|skipped', output), output


def test_the_shipped_migration_makes_what_the_models_say(project: Project) -> None:
    project.manage('migrate')
    project.manage('migrate', '--check')


def test_manage_py_works_from_any_folder(project: Project, tmp_path: Path) -> None:
    for folder in (project.package, tmp_path):
        run(project.package / 'manage.py', 'routes', cwd=folder, env=project.environment.variables)


def test_the_first_account_gets_a_key_that_is_shown_once(project: Project) -> None:
    project.manage('migrate')

    key = project.manage('createaccount', 'ann', '--role', 'admin')
    assert re.fullmatch(r'key_[\w-]{43}\n', key)
    assert project.manage('createaccount', 'ann', '--exist-ok') == ''
    assert project.manage('createapikey', 'ann') != key
    assert key.strip().encode() not in (project.folder / 'shopfloor.db').read_bytes()


def test_git_takes_the_project_without_what_is_private(project: Project) -> None:
    run('git', 'init', '-q', cwd=project.folder)
    (project.folder / 'shopfloor.db').touch()
    files = run('git', 'ls-files', '--others', '--exclude-standard', cwd=project.folder).stdout.split()

    assert 'shopfloor/.env.default' in files
    assert 'shopfloor/static/.gitkeep' in files
    assert not {'.env', 'shopfloor.db'} & set(files)


def test_docker_does_not_see_what_is_private(project: Project) -> None:
    ignored = (project.folder / '.dockerignore').read_text().splitlines()

    assert {'.env', '*.db', '.git/'} <= set(ignored)


def test_the_defaults_for_everybody_hold_nothing_of_development(project: Project) -> None:
    defaults = (project.package / '.env.default').read_text()

    assert not re.search(r'^\s*(DEBUG|SECRET_KEY)', defaults, re.MULTILINE)


def stages_of(project: Project) -> dict[str, str]:
    """Return the stages of the Dockerfile by their names, in order."""
    text = (project.folder / 'Dockerfile').read_text()
    found = re.split(r'^(?=FROM )', text, flags=re.MULTILINE)[1:]
    return {stage.splitlines()[0].rpartition(' AS ')[2]: stage for stage in found}


def test_the_last_stage_of_the_image_is_a_server_that_is_not_root(project: Project) -> None:
    stages = stages_of(project)
    server = stages['server']

    assert list(stages)[-1] == 'server'
    assert server.startswith('FROM runtime ')
    assert re.search(r'^USER 1000:1000$', stages['runtime'], re.MULTILINE)
    assert re.search(r'^EXPOSE 8888$', server, re.MULTILINE)
    assert '/health/live' in server
    assert 'pip' not in server + stages['runtime']


def test_another_stage_of_the_image_is_a_worker(project: Project) -> None:
    worker = stages_of(project)['worker']

    assert worker.startswith('FROM runtime ')
    assert re.search(r'^CMD \["runworker"\]$', worker, re.MULTILINE)
    assert 'HEALTHCHECK' not in worker


def test_the_built_project_serves_where_only_its_wheel_is_installed(
    project: Project, distributions: Distributions, tmp_path: Path
) -> None:
    built = tmp_path / 'dist'
    run(sys.executable, '-m', 'build', '--no-isolation', '--outdir', built, project.folder)
    (wheel,) = built.glob('shop_floor-0.1.0-*.whl')
    assert list(built.glob('shop_floor-0.1.0.tar.gz'))
    installed = make_environment(tmp_path / 'venv')
    installed.install('--find-links', distributions.wheels, wheel)
    folder = tmp_path / 'service'
    folder.mkdir()

    variables = {**installed.variables, 'SECRET_KEY': 'a secret of more than 32 bytes, of this test'}
    command, options = installed.scripts / 'shopfloor', {'cwd': folder, 'env': variables}
    run(command, 'migrate', **options)
    key = run(command, 'createaccount', 'admin', **options).stdout.strip()
    with served(command, folder, variables) as address:
        with urlopen(Request(f'{address}/notes', headers={'X-API-Key': key}), timeout=10) as response:
            assert json.load(response)['count'] == 0
    assert (folder / 'shopfloor.db').is_file()


def test_the_tests_of_an_extended_project_pass(extended: Project) -> None:
    assert re.search(r'\b\d+ passed', extended.manage('test'))


async def test_an_extended_project_is_migrated_and_served(extended: Project, database: dict[str, str]) -> None:
    extended.manage('migrate', **database)
    extended.manage('migrate', '--check', **database)
    key = extended.manage('createaccount', 'admin', '--role', 'admin', **database).strip()
    variables = extended.environment.variables | database

    with served(extended.package / 'manage.py', extended.folder, variables) as address:
        async with aiohttp.ClientSession(address, headers={'X-API-Key': key}) as client:
            await use(client)
        async with aiohttp.ClientSession(address) as stranger:
            await ask(stranger, 'GET', '/notes', 401)


async def use(client: aiohttp.ClientSession) -> None:
    """Create, read, list, change and delete customers and notes, and make the mistakes that clients make."""
    alice = await ask(client, 'POST', '/customers', 201, json=ALICE)
    path = f'/customers/{alice["id"]}'
    public = {name: value for name, value in ALICE.items() if name != 'password'}
    assert alice == {'id': alice['id'], **public, 'email': None}
    assert (await ask(client, 'POST', '/customers', 409, json=ALICE))['details'].keys() == {'username'}
    assert (await ask(client, 'POST', '/customers', 400, json={'username': 'bob'}))['details'].keys() >= {'password'}
    assert (await ask(client, 'GET', '/customers', 200))['count'] == 1
    changed = await ask(client, 'PATCH', path, 200, json={'email': 'alice@example.com'})
    assert (changed['email'], changed['first_name']) == ('alice@example.com', 'Alice')
    assert await ask(client, 'GET', path, 200) == changed
    replaced = await ask(client, 'PUT', path, 200, json={**ALICE, 'last_name': 'Hargreaves'})
    assert replaced['last_name'] == 'Hargreaves'
    await ask(client, 'DELETE', path, 204)
    await ask(client, 'GET', path, 404)

    for title, status in (('Milk', 'open'), ('Bread', 'done'), ('Déjà vu ✓', 'open')):
        note = await ask(client, 'POST', '/notes', 201, json={'title': title, 'status': status})
        assert (note['title'], note['status']) == (title, status)
        assert datetime.fromisoformat(note['created_at']).utcoffset() == timedelta(0)
    opened = await ask(client, 'GET', '/notes?status=open&order=-title', 200)
    assert [note['title'] for note in opened['results']] == ['Milk', 'Déjà vu ✓']
    assert (await ask(client, 'GET', '/notes?search=bread', 200))['count'] == 1
    page = await ask(client, 'GET', '/notes?order=title&page=2&page_size=2', 200)
    assert ([note['title'] for note in page['results']], page['count'], page['pages']) == (['Milk'], 3, 2)
    assert (await ask(client, 'GET', '/notes?status=lost', 400))['details'].keys() == {'status'}
    assert (await ask(client, 'GET', '/users/me', 200))['role'] == 'admin'
    assert (await ask(client, 'GET', '/api/docs/openapi.json', 200))['openapi'].startswith('3.1')


async def ask(client: aiohttp.ClientSession, method: str, path: str, status: int, **options: Any) -> Any:
    async with client.request(method, path, **options) as response:
        body = await response.text()
        assert response.status == status, f'{method} {path}: {response.status} {body}'
        return json.loads(body) if body else None
