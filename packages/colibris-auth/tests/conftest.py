"""What the tests of authentication and authorization share: a small service, on each of the databases."""

import asyncio
import logging
import os
import sys
from textwrap import dedent

import pytest
from servers import database_server

from colibris import conf, persist, plugins, subsystems
from colibris.app import create_app
from colibris.conf import settings
from colibris.persist.base import DatabaseBackend

SECRET_KEY = 'a-secret-key-of-the-tests-that-is-long-enough'

MODELS = """
    from colibris.persist import Model, fields

    class User(Model):
        id = fields.IntField(primary_key=True)
        username = fields.CharField(max_length=64, unique=True)
        email = fields.CharField(max_length=128, default='')
        password = fields.CharField(max_length=128, null=True)
        secret = fields.CharField(max_length=128, null=True)
        role = fields.CharField(max_length=32, default='viewer')
        is_active = fields.BooleanField(default=True)
        is_banned = fields.BooleanField(default=False)

    class Right(Model):
        id = fields.IntField(primary_key=True)
        user = fields.ForeignKeyField('models.User', related_name='rights')
        resource = fields.CharField(max_length=64)
        operation = fields.CharField(max_length=64)
"""

VIEWS = """
    from colibris.authentication import get_account, login, logout, require_authentication
    from colibris.views import APIView

    def describe(account):
        if account is None:
            return {'account': None}
        if isinstance(account, dict):
            return {'account': dict(account)}
        return {'account': getattr(account, 'username', repr(account))}

    class MeView(APIView):
        authentication_required = True

        async def get(self):
            return describe(get_account(self.request))

        async def post(self):
            return describe(get_account(self.request))

    class OpenView(APIView):
        async def get(self):
            return describe(get_account(self.request))

        async def post(self):
            return describe(get_account(self.request))

    class EnterView(APIView):
        async def post(self):
            from shop.models import User

            user = await User.get(username=self.request.query['name'])
            token = login(self.request, user, 'persistent' in self.request.query)
            return {'csrf_token': token}

    class LeaveView(APIView):
        async def post(self):
            logout(self.request)
            return {}

    @require_authentication
    async def handler(request):
        return describe(get_account(request))

"""

MODEL_VIEWS = """
    from colibris.schemas import ModelSchema
    from colibris.views import ModelView, RetrieveMixin, UpdateMixin

    from shop.models import User

    class UserSchema(ModelSchema):
        class Meta:
            model = User
            fields = ('id', 'username', 'email')

    class UserView(ModelView, RetrieveMixin, UpdateMixin):
        model = User
        body_schema_class = UserSchema
        authentication_required = True
"""

ROUTES = """
    from shop import views

    ROUTES = [
        ('/me', views.MeView),
        ('/open', views.OpenView),
        ('/enter', views.EnterView),
        ('/leave', views.LeaveView),
        ('/handler', views.handler),
    ]
    if hasattr(views, 'UserView'):
        ROUTES.append(('/users/{id}', views.UserView))
"""


@pytest.fixture(scope='session')
def server():
    """Return the setting DATABASE for a kind of database on a server; skip where none listens, but never in CI."""

    def options(kind, name):
        return {'backend': kind, **database_server(kind), 'name': f'col_auth_{name}_{os.getpid()}'}

    return options


@pytest.fixture(scope='session')
def postgresql(server):
    yield from _kept(server('postgresql', 'service'))


@pytest.fixture(scope='session')
def mysql(server):
    yield from _kept(server('mysql', 'service'))


def _kept(options):
    yield options
    asyncio.run(plugins.build('DATABASE', options, 'colibris.persist', DatabaseBackend).drop())


@pytest.fixture
def sqlite(tmp_path):
    return {'backend': 'sqlite', 'name': str(tmp_path / 'shop.db')}


@pytest.fixture(params=['sqlite', 'postgresql', 'mysql'])
def database(request):
    """The setting DATABASE, for each database in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make a project: ``project(views='...')`` writes its modules and sets it up."""

    def make(*, settings='', **modules):
        package = tmp_path / 'shop'
        package.mkdir()
        for module, source in {'__init__': '', 'settings': settings, **modules}.items():
            (package / f'{module}.py').write_text(dedent(source))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.chdir(tmp_path)
        conf.setup('shop')

    for name in ('DEBUG', 'SECRET_KEY', 'DATABASE', 'AUTHENTICATION', 'AUTHORIZATION'):
        monkeypatch.delenv(name, raising=False)
    yield make
    conf.settings.reset()
    for module in [name for name in sys.modules if name.partition('.')[0] == 'shop']:
        del sys.modules[module]


@pytest.fixture
async def serve(project, aiohttp_client):
    """Serve the small service: ``await serve(database, AUTHENTICATION={…})`` returns its client, the tables are new.

    The subsystems stay open until the end of the test.
    """
    overrides = []
    opened = []

    async def make(database=None, *, models=MODELS, views=VIEWS, routes=ROUTES, app='', **values):
        values.setdefault('SECRET_KEY', SECRET_KEY)
        if database is None:
            models = ''
        elif views is VIEWS:
            views += MODEL_VIEWS
        project(models=models, views=views, routes=routes, app=app)
        overrides.append(settings.override(DATABASE=database, **values))
        overrides[-1].__enter__()
        if database is not None:
            await persist.get_database().drop()
            await persist.get_database().create()
        running = subsystems.running()
        await running.__aenter__()
        opened.append(running)
        if database is not None:
            await persist.get_database().create_tables()
        return await aiohttp_client(create_app())

    yield make
    for running in reversed(opened):
        await running.__aexit__(None, None, None)
    for override in reversed(overrides):
        override.__exit__(None, None, None)


class _Statements(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(record.args[0] if record.args else record.msg)


@pytest.fixture
def statements():
    """The SQL that has run since the fixture was made, or since ``clear()``."""
    handler = _Statements()
    logger = logging.getLogger('tortoise.db_client')
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler.texts
    logger.removeHandler(handler)
    logger.setLevel(level)
