"""The bookshop, served on each database."""

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from colibris import persist, plugins, subsystems
from colibris.app import create_app
from colibris.conf import settings, setup
from colibris.persist.base import DatabaseBackend
from colibris.persist.connections import Block

HERE = Path(__file__).parent


@pytest.fixture(scope='session')
def made():
    """The names of the databases that have their tables by now."""
    return set()


@pytest.fixture(scope='session', params=['sqlite', 'postgresql', 'mysql'])
def database(request, server, tmp_path_factory, made):
    """The setting DATABASE, for each database in turn."""
    if request.param == 'sqlite':
        yield {'backend': 'sqlite', 'name': str(tmp_path_factory.mktemp('bookshop') / 'books.db')}
        return
    options = {'backend': request.param, **server(request.param, f'views_{request.param}')}
    yield options
    asyncio.run(plugins.build('DATABASE', options, 'colibris.persist', DatabaseBackend).drop())
    made.discard(options['name'])


@pytest.fixture
async def bookshop(database, made):
    """The project, set up, its database open and empty."""
    sys.path.insert(0, str(HERE))
    setup('bookshop')
    try:
        with settings.override(DATABASE=database):
            if database['name'] not in made:
                await persist.get_database().drop()
                await persist.get_database().create()
            async with subsystems.running():
                if database['name'] not in made:
                    await persist.get_database().create_tables()
                    made.add(database['name'])
                await _empty()
                yield
    finally:
        settings.reset()
        sys.path.remove(str(HERE))


async def _empty():
    from bookshop import models

    connection = persist.get_connection()
    for table in ('book_tag', 'blurb', 'book', 'author', 'country', 'tag', 'account', 'sample', 'shelf'):
        await connection.execute_query(f'DELETE FROM {table}')
    assert models


@pytest.fixture
async def client(bookshop, aiohttp_client):
    """A client of the bookshop."""
    return await aiohttp_client(create_app())


class _Statements(logging.Handler):
    """Keeps the statements that the databases were given."""

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


@pytest.fixture
def transactions(monkeypatch):
    """The transactions that have begun."""
    begun = []
    begin = Block.__aenter__

    async def counting(self):
        begun.append(self)
        return await begin(self)

    monkeypatch.setattr(Block, '__aenter__', counting)
    return begun
