"""The three databases, each with the tables of the task queue; and a queue that runs tasks at once."""

import asyncio
import os
import socket
from urllib.parse import urlsplit

import pytest

from colibris import subsystems
from colibris.conf import settings
from colibris.persist import MySQLBackend, PostgreSQLBackend, SQLiteBackend, url
from colibris.persist.database import opened as open_databases
from colibris.taskqueue import testing
from colibris.taskqueue.subsystem import subsystem

SERVERS = {
    'postgresql': os.environ.get('COLIBRIS_TEST_POSTGRESQL') or 'postgresql://postgres@127.0.0.1:5432/postgres',
    'mysql': os.environ.get('COLIBRIS_TEST_MYSQL') or 'mysql://root@127.0.0.1:3306/mysql',
}
BACKENDS = {'sqlite': SQLiteBackend, 'postgresql': PostgreSQLBackend, 'mysql': MySQLBackend}
MODELS = ['colibris.taskqueue.models.state', 'colibris.taskqueue.models.outbox']


def server(kind):
    """Return the options of a database on a server; skip where none listens, but never in CI."""
    parts = urlsplit(SERVERS[kind])
    address = (parts.hostname or '127.0.0.1', parts.port or {'postgresql': 5432, 'mysql': 3306}[kind])
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError as exc:
        if os.environ.get('CI'):
            pytest.fail(f'no {kind} server at {address} ({exc}), which is required where CI is set')
        pytest.skip(f'no {kind} server at {address}')
    found = url.parse(SERVERS[kind], setting='the address of the test server')
    del found['backend']
    worker = os.environ.get('PYTEST_XDIST_WORKER', '')
    return {**found, 'name': f'col_tasks_{os.getpid()}{worker}'}


@pytest.fixture(scope='module', params=['sqlite', 'postgresql', 'mysql'])
def made(request, tmp_path_factory):
    """Make a database with the tables once for all tests of a module."""
    kind = request.param
    folder = tmp_path_factory.mktemp('database')
    options = {'name': str(folder / 'app.db')} if kind == 'sqlite' else server(kind)

    def backend():
        return BACKENDS[kind](**options)

    async def make():
        await backend().drop()
        await backend().create()
        async with open_databases({'default': backend()}, MODELS) as databases:
            await databases.create_tables()

    asyncio.run(make())
    yield backend
    asyncio.run(backend().drop())


@pytest.fixture
async def database(made, tmp_path):
    """A database with the tables, empty and open; beside it there is another one, without tables."""
    backend, other = made(), SQLiteBackend(name=str(tmp_path / 'other.db'))
    async with open_databases({'default': backend, 'other': other}, MODELS) as databases:
        await databases.create_tables()  # one that a test has dropped
        yield backend
        await databases.create_tables()
        for model in databases.models():
            await model.all().delete()


@pytest.fixture
async def opened():
    """Open the task queue of the process, as the application does; the tasks are those of the suite."""
    testing.notes.clear()
    options = {'modules': ['colibris.taskqueue.testing'], 'queues': ['default', 'other']}
    with settings.override(TASK_QUEUE={'backend': 'immediate', **options}):
        await subsystem.open()
        with subsystems.adopt([subsystem]):
            yield subsystem.backend
        await subsystem.close()
