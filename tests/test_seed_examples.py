"""The examples of the page that users of Colibris 0.8 know: they work as they stood there, but for ``await``.

Those of authentication are tested with it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from demo import CURRENT
from workspace import run

MODELS = """
from colibris.persist import Model, fields


class User(Model):
    id = fields.IntField(primary_key=True)
    username = fields.CharField(max_length=128, unique=True)
    password = fields.CharField(max_length=128)
    first_name = fields.CharField(max_length=64)
    last_name = fields.CharField(max_length=64)
    email = fields.CharField(max_length=128, null=True)


class Item(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=64)
"""

SCHEMAS = """
from colibris.schemas import ModelSchema
from marshmallow import Schema, fields

from yourproject import models


class PlainSchema(Schema):
    name = fields.String(required=True)


class QuerySchema(Schema):
    limit = fields.Integer(load_default=5)


class ItemSchema(ModelSchema):
    class Meta:
        model = models.Item
        fields = ('id', 'name')


class UserSchema(ModelSchema):
    class Meta:
        model = models.User
        fields = ('id', 'username', 'password', 'first_name', 'last_name', 'email')
"""

VIEWS = """
from aiohttp import web
from colibris.views import (
    APIView,
    CreateMixin,
    ListCreateModelView,
    ListMixin,
    ModelView,
    RetrieveUpdateDestroyModelView,
)

from yourproject.models import Item, User
from yourproject.schemas import ItemSchema, PlainSchema, QuerySchema, UserSchema


class PlainView(APIView):
    body_schema_class = PlainSchema
    query_schema_class = QuerySchema

    async def get(self):
        args = await self.get_validated_query()

        return web.json_response(args)

    async def post(self):
        data = await self.get_validated_body()

        return web.json_response(data)


class ItemsView(ModelView, ListMixin, CreateMixin):
    model = Item
    body_schema_class = ItemSchema
    query_schema_class = QuerySchema


class UsersView(ListCreateModelView):
    model = User
    body_schema_class = UserSchema


class UserView(RetrieveUpdateDestroyModelView):
    model = User
    body_schema_class = UserSchema
"""

ROUTES = """
from yourproject import views

ROUTES = [
    ('/plain', views.PlainView),
    ('/items', views.ItemsView),
    ('/users', views.UsersView),
    ('/users/{id}', views.UserView),
]

STATIC_ROUTES = [
    ('static', '/static'),
]
"""

APP = """
from colibris import app, persist


def init(webapp):
    webapp.logger.info('started')


async def get_health():
    if not await persist.connectivity_check():
        raise app.HealthException('database connectivity check failed')

    return 'healthy'
"""

FIXTURES = """
import pytest
from yourproject import models


@pytest.fixture
async def test_user():
    yield await models.User.create(username='test_user', password='test_password',
                                   first_name='Test', last_name='User',
                                   email='testuser@example.com')
"""

HEALTH_TESTS = """
from colibris import persist


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
"""

VIEW_TESTS = """
from colibris.test import utils

from yourproject import models


async def test_plain(web_app_client):
    resp = await web_app_client.get('/plain')
    assert await resp.json() == {'limit': 5}

    resp = await web_app_client.get('/plain', params={'limit': '7'})
    assert await resp.json() == {'limit': 7}

    resp = await web_app_client.post('/plain', json={'name': 'a'})
    assert await resp.json() == {'name': 'a'}

    resp = await web_app_client.post('/plain', json={})
    assert resp.status == 400


async def test_items(web_app_client):
    resp = await web_app_client.post('/items', json={'name': 'an item'})
    assert resp.status == 201

    resp = await web_app_client.get('/items', params={'limit': '1'})
    assert resp.status == 200

    j = await resp.json()
    utils.assert_is_envelope(j, count=1)

    resp = await web_app_client.get('/items', params={'limit': 'x'})
    assert resp.status == 400


async def test_users(web_app_client, test_user):
    await models.User.create(username='other', password='x', first_name='O', last_name='Ther')

    resp = await web_app_client.get('/users')
    assert resp.status == 200

    j = await resp.json()
    utils.assert_is_envelope(j, count=2)
    assert 'password' not in j['results'][0]


async def user_detail_test(web_app_client, test_user):
    path = f'/users/{test_user.id}'

    resp = await web_app_client.patch(path, json={'first_name': 'Changed'})
    assert resp.status == 200
    assert (await resp.json())['first_name'] == 'Changed'

    resp = await web_app_client.delete(path)
    assert resp.status == 204

    resp = await web_app_client.get(path)
    assert resp.status == 404


async def test_static(web_app_client):
    resp = await web_app_client.get('/static/hello.txt')
    assert await resp.text() == 'hello'
"""

GENERAL_SCHEMA = """
from colibris.conf.schemas import SettingsSchema, fields


class GeneralSettingsSchema(SettingsSchema):
    DEBUG = fields.Boolean()
    LISTEN = fields.String()
    PORT = fields.Integer()
"""

DATABASE_SCHEMA = """
class DatabaseSettingsSchema(SettingsSchema):
    NAME = fields.String()
    HOST = fields.String()
    PORT = fields.Integer()
    USERNAME = fields.String()
    PASSWORD = fields.String()

    class Meta:
        prefix = 'DATABASE_'
"""

SQLITE = """
DATABASE = {
    'backend': 'colibris.persist.SQLiteBackend',
    'name': 'yourproject.db'
}
"""

MYSQL = """
DATABASE = {
    'backend': 'colibris.persist.MySQLBackend',
    'name': 'yourproject',
    'host': '127.0.0.1',
    'port': 3316,
    'username': 'username',
    'password': 'password'
}
"""

POSTGRESQL = """
DATABASE = {
    'backend': 'colibris.persist.PostgreSQLBackend',
    'name': 'yourproject',
    'host': '127.0.0.1',
    'port': 5432,
    'username': 'username',
    'password': 'password'
}
"""

CACHE = """
CACHE = {
    'backend': 'colibris.cache.redis.RedisBackend',
    'host': '127.0.0.1',
    'port': 6379,
    'db': 0,
    'password': 'yourpassword'
}
"""

TEMPLATE = """
TEMPLATE = {
    'backend': 'colibris.template.jinja2.Jinja2Backend',
    'extensions': ['jinja2.ext.do'],
    'translations': 'gettext'
}
"""

EMAIL = """
EMAIL = {
    'default_from': 'myservice@example.com',
    'backend': 'colibris.email.console.ConsoleBackend'
}
"""

SMTP = """
EMAIL = {
    'backend': 'colibris.email.smtp.SMTPBackend',
    'host': 'smtp.gmail.com',
    'port': 587,
    'use_tls': True,
    'username': 'user@gmail.com',
    'password': 'yourpassword'
}
"""

TASK_QUEUE = """
TASK_QUEUE = {
    'backend': 'colibris.taskqueue.rq.RQBackend',
    'host': '127.0.0.1',
    'port': 6379,
    'db': 0,
    'password': 'yourpassword',
    'poll_results_interval': 1
}
"""

TASKS = """
import time

from colibris import taskqueue


def time_consuming_task(arg1, arg2):
    time.sleep(0.1)
    return arg1, arg2


async def run():
    try:
        result = await taskqueue.execute(time_consuming_task, 'value1', arg2='value2', timeout=20)

    except Exception as e:
        handle_exception(e)

    return result
"""

USE = """
from colibris import cache

my_value = [1, 2]

await cache.set('my_key', my_value, lifetime=300)

my_value = await cache.get('my_key', default='some_default')
assert my_value == [1, 2]

await cache.delete('my_key')
assert await cache.get('my_key', default='some_default') == 'some_default'

from colibris import template

result = template.render('my_template.txt', var1='value1', var2=16)
assert result == 'value1 16'

result = template.render_string('Variable var1 is {{ var1 }} and var2 is {{ var2 }}.', var1='value1', var2=16)
assert result == 'Variable var1 is value1 and var2 is 16.'

from colibris.shortcuts import html_response_template

def index(request):
    return html_response_template('index.html', var1='value1')

assert index(None).text == '<p>value1</p>'

from colibris import email

msg = email.EmailMessage('My Subject', 'my body', to=['email@example.com'])

email.send(msg)

with open('myfile.pdf', 'rb') as f:
    msg.attach('myfile.pdf', f.read())

email.send(msg)

msg = email.EmailMessage('My Subject', 'my text body', html='<p>My HTML content</p>', to=['email@example.com'])
email.send(msg)
"""


class Project:
    """A project whose files are given one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write('pyproject.toml', '[tool.colibris]\npackage = "yourproject"\n')
        self.write('yourproject/__init__.py', '')
        self.write('yourproject/settings.py', '')

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))

    def manage(self, *arguments: str, stdin: str = '', **variables: str) -> str:
        unset = ('DEBUG', 'LISTEN', 'PORT')
        environment = {name: value for name, value in CURRENT.variables.items() if name not in unset}
        done = run(
            CURRENT.scripts / 'colibris', *arguments, cwd=self.folder, input=stdin, env={**environment, **variables}
        )
        return done.stdout

    def settings(self, **variables: str) -> dict[str, object]:
        """Return the settings that are in force, by name."""
        return {item['name']: item['value'] for item in json.loads(self.manage('settings', '--json', **variables))}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_models_views_health_and_tests(project: Project) -> None:
    project.write('yourproject/settings.py', SQLITE)
    for name, text in {'models': MODELS, 'schemas': SCHEMAS, 'views': VIEWS, 'routes': ROUTES, 'app': APP}.items():
        project.write(f'yourproject/{name}.py', text)
    project.write('yourproject/static/hello.txt', 'hello')
    project.write('yourproject/tests/__init__.py', '')
    project.write('yourproject/tests/fixtures.py', FIXTURES)
    project.write('yourproject/tests/test_health.py', HEALTH_TESTS)
    project.write('yourproject/tests/test_views.py', VIEW_TESTS)
    project.manage('makemigrations')
    project.manage('migrate')
    assert '7 passed' in project.manage('test', '-q')


def test_cache_templates_and_email(project: Project) -> None:
    project.write('yourproject/settings.py', f"CACHE = {{'backend': 'locmem'}}\n{TEMPLATE}{EMAIL}")
    project.write('yourproject/templates/my_template.txt', '{{ var1 }} {{ var2 }}')
    project.write('yourproject/templates/index.html', '<p>{{ var1 }}</p>')
    project.write('myfile.pdf', '%PDF')
    printed = project.manage('shell', stdin=USE)
    assert printed.count('From: myservice@example.com') == 3
    assert printed.count('To: email@example.com') == 3
    assert 'application/pdf: myfile.pdf (4 bytes)' in printed
    assert '<p>My HTML content</p>' in printed


@pytest.mark.parametrize(('text', 'setting'), [(CACHE, 'CACHE'), (SMTP, 'EMAIL')])
def test_caches_and_email_behind_servers(project: Project, text: str, setting: str) -> None:
    project.write('yourproject/settings.py', text)
    options = project.settings()[setting]
    assert isinstance(options, dict)
    assert options['password'] == '********'
    assert 'subsystems: ok' in project.manage('check')


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[int]:
    """Run a Redis server with the password of the examples, and give its port."""
    program = shutil.which('redis-server')
    if program is None:
        if os.environ.get('CI'):
            raise RuntimeError('redis-server is not installed')
        pytest.skip('redis-server is not installed')
    with socket.create_server(('127.0.0.1', 0)) as free:
        port: int = free.getsockname()[1]
    options = ['--port', str(port), '--bind', '127.0.0.1', '--save', '', '--requirepass', 'yourpassword']
    server = subprocess.Popen([program, *options], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        server.terminate()
        server.wait()


def test_background_tasks(project: Project, redis: int) -> None:
    secret = "SECRET_KEY = 'the secret of the examples of the page'\n"
    project.write('yourproject/settings.py', f'{secret}{TASK_QUEUE}'.replace('6379', str(redis)))
    project.write('yourproject/tasks.py', TASKS)
    project.write('yourproject/manage.py', "from colibris.commands.program import manage\n\nmanage('yourproject')\n")
    environment = {**CURRENT.variables, 'PYTHONPATH': str(project.folder)}
    command = [CURRENT.scripts / 'python', 'yourproject/manage.py', 'runworker']
    worker = subprocess.Popen(command, cwd=project.folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith('Working for yourproject')
        use = "from yourproject import tasks\n\nassert await tasks.run() == ('value1', 'value2')\nprint('it ran')\n"
        assert 'it ran' in project.manage('shell', stdin=use)
    finally:
        worker.terminate()
        assert worker.wait(timeout=20) == 0


def test_a_migration_can_be_named(project: Project) -> None:
    project.write('yourproject/settings.py', SQLITE)
    project.write('yourproject/models.py', MODELS)
    project.manage('makemigrations', 'somename')
    assert list((project.folder / 'yourproject/migrations').glob('*somename.py'))


@pytest.mark.parametrize(('text', 'port'), [(MYSQL, 3316), (POSTGRESQL, 5432)])
def test_databases_behind_servers(project: Project, text: str, port: int) -> None:
    project.write('yourproject/settings.py', text)
    database = project.settings()['DATABASE']
    assert isinstance(database, dict)
    assert (database['port'], database['password']) == (port, '********')
    assert 'subsystems: ok' in project.manage('check')


def test_settings_from_the_environment(project: Project) -> None:
    project.write(
        'yourproject/settings.py', f'PORT = 1000\n{GENERAL_SCHEMA}\nGeneralSettingsSchema().load_from_env(globals())\n'
    )
    assert project.settings()['PORT'] == 1000
    found = project.settings(DEBUG='true', LISTEN='127.0.0.1', PORT='2000')
    assert (found['DEBUG'], found['LISTEN'], found['PORT']) == (True, '127.0.0.1', 2000)


def test_settings_schemas_in_a_module_of_their_own(project: Project) -> None:
    project.write(
        'yourproject/settingsschemas.py',
        f"""{GENERAL_SCHEMA}{DATABASE_SCHEMA}

def load_from_env(target_settings):
    GeneralSettingsSchema().load_from_env(target_settings)
    DatabaseSettingsSchema().load_from_env(target_settings)
""",
    )
    project.write(
        'yourproject/settings.py',
        f'from yourproject import settingsschemas\n{POSTGRESQL}\nsettingsschemas.load_from_env(globals())\n',
    )
    project.write('yourproject/.env.default', 'DATABASE_HOST=default.example.com\nDATABASE_PORT=1\n')
    project.write('.env', 'DATABASE_PORT=2\nDATABASE_USERNAME=from_dot_env\n')
    database = project.settings(DATABASE_USERNAME='from_environment')['DATABASE']
    assert isinstance(database, dict)
    assert database['host'] == 'default.example.com'
    assert database['port'] == 2
    assert database['username'] == 'from_environment'


def test_available_settings_and_their_defaults(project: Project) -> None:
    defaults = {
        'API_DOCS_PATH': '/api/docs',
        'AUTHENTICATION': None,
        'AUTHORIZATION': None,
        'CACHE': None,
        'DATABASE': None,
        'DEBUG': False,
        'EMAIL': None,
        'LISTEN': '0.0.0.0',
        'LOGGING_OVERRIDES': {},
        'MAX_REQUEST_BODY_SIZE': 10 * 1024 * 1024,
        'MIDDLEWARE': [
            'colibris.middleware.handle_errors_json',
            'colibris.middleware.handle_auth',
            'colibris.middleware.handle_schema_validation',
        ],
        'PORT': 8888,
        'PROJECT_PACKAGE_DIR': os.fspath(project.folder / 'yourproject'),
        'PROJECT_PACKAGE_NAME': 'yourproject',
        'SECRET_KEY': None,
        'TASK_QUEUE': None,
        'TEMPLATE': None,
        'TEST_DATABASE': None,
    }
    settings = project.settings()
    assert {name: settings[name] for name in defaults} == defaults
