"""The contract of engines on RabbitMQ: with the state of tasks on Redis, and in each of the databases."""

import asyncio
import contextlib
import os
import socket
from urllib.parse import urlsplit

import pika
import pytest

from colibris.persist import MySQLBackend, PostgreSQLBackend, SQLiteBackend, url
from colibris.persist.database import opened
from colibris.taskqueue.dramatiq import DramatiqBackend
from colibris.taskqueue.testing import TaskQueueBackendSuite

RABBITMQ = os.environ.get('COLIBRIS_TEST_RABBITMQ') or 'amqp://guest:guest@127.0.0.1:5672'
REDIS = os.environ.get('COLIBRIS_TEST_REDIS') or 'redis://127.0.0.1:6379/0'
DATABASES = {
    'postgresql': os.environ.get('COLIBRIS_TEST_POSTGRESQL') or 'postgresql://postgres@127.0.0.1:5432/postgres',
    'mysql': os.environ.get('COLIBRIS_TEST_MYSQL') or 'mysql://root@127.0.0.1:3306/mysql',
}
PORTS = {'amqp': 5672, 'redis': 6379, 'postgresql': 5432, 'mysql': 3306}


def require(address):
    """Skip where no server listens, but never in CI."""
    parts = urlsplit(address)
    place = (parts.hostname, parts.port or PORTS[parts.scheme])
    try:
        socket.create_connection(place, 2).close()
    except OSError as exc:
        if os.environ.get('CI'):
            pytest.fail(f'no {parts.scheme} server at {place} ({exc}), which is required where CI is set')
        pytest.skip(f'no {parts.scheme} server at {place}')


class RabbitmqSuite(TaskQueueBackendSuite):
    """Leaves nothing behind on the server."""

    @pytest.fixture(autouse=True)
    def swept(self, context):
        require(RABBITMQ)
        yield
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(RABBITMQ))) as connection:
            channel = connection.channel()
            for queue in context.policy.queues:
                channel.queue_delete(f'{context.namespace}.{queue}')
            channel.exchange_delete(f'{context.namespace}.ended')


class TestWithRedis(RabbitmqSuite):
    @pytest.fixture
    def backend(self):
        require(REDIS)
        return DramatiqBackend(broker='rabbitmq', url=RABBITMQ, store=REDIS)


def database(kind, folder):
    """Return a database of the tests' own."""
    if kind == 'sqlite':
        return SQLiteBackend(name=str(folder / 'app.db'))
    require(DATABASES[kind])
    options = url.parse(DATABASES[kind], setting='the address of the test server')
    del options['backend']
    options['name'] = f'col_rabbit_{os.getpid()}{os.environ.get("PYTEST_XDIST_WORKER", "")}'
    return PostgreSQLBackend(**options) if kind == 'postgresql' else MySQLBackend(**options)


MODELS = DramatiqBackend.model_modules({'store': 'database'})


@pytest.fixture(scope='module', params=['sqlite', 'postgresql', 'mysql'])
def made(request, tmp_path_factory):
    """Make a database with the tables of the store once for all tests."""
    kind, folder = request.param, tmp_path_factory.mktemp('database')

    async def make():
        await database(kind, folder).drop()
        await database(kind, folder).create()
        async with opened({'default': database(kind, folder)}, MODELS) as databases:
            await databases.create_tables()

    asyncio.run(make())
    yield lambda: database(kind, folder)
    asyncio.run(database(kind, folder).drop())


class TestWithDatabase(RabbitmqSuite):
    @pytest.fixture
    async def backend(self, made):
        async with opened({'default': made()}, MODELS):
            yield DramatiqBackend(broker='rabbitmq', url=RABBITMQ, store='database')


@pytest.mark.parametrize('store', [None, 'mysql://127.0.0.1', 5])
def test_a_store_has_to_be_named(store):
    with pytest.raises(ValueError, match=r"store.*'database'|store.*\"database\""):
        DramatiqBackend(broker='rabbitmq', url=RABBITMQ, store=store)


def test_the_database_needs_tables():
    assert DramatiqBackend.model_modules({'broker': 'rabbitmq', 'store': 'database'}) == MODELS
    assert DramatiqBackend.model_modules({'broker': 'rabbitmq', 'store': REDIS}) == ()
