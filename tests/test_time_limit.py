"""A request that takes too long, with real databases: nothing of it stays, and its connection is used again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from demo import CURRENT, make_demo
from workspace import run, served

#: Less than the requests that are cancelled at once: a connection that is lost would be missed.
CONNECTIONS = 3

SETTINGS = """
REQUEST_TIMEOUT = 0.6

if DATABASE['backend'] in ('postgresql', 'mysql'):
    DATABASE |= {'max_connections': 3, 'pool_timeout': 20}
"""

VIEWS = """

from aiohttp import web
from colibris import persist
from demo.models import Note

LONG = {
    'postgres': 'SELECT pg_sleep(20)',
    'mysql': 'SELECT SLEEP(20)',
    'sqlite': 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000000) SELECT SUM(i) FROM n',
}


async def wait(request):
    import asyncio

    async with persist.transaction():
        await Note.create(title='waiting', text='')
        await asyncio.sleep(20)


async def work(request):
    async with persist.transaction() as connection:
        await Note.create(title='working', text='')
        await connection.execute_query(LONG[connection.capabilities.dialect])


async def nested(request):
    import asyncio

    async with persist.transaction():
        await Note.create(title='outer', text='')
        async with persist.transaction():
            await Note.create(title='inner', text='')
        persist.on_commit(lambda: print('COMMITTED', flush=True))
        await asyncio.sleep(20)


async def titles(request):
    async with persist.transaction():
        await Note.create(title='kept', text='')
    return sorted(await Note.all().values_list('title', flat=True))


ROUTES += [web.post(f'/{view.__name__}', view) for view in (wait, work, nested, titles)]
"""


@pytest.fixture
def service(database: dict[str, str], tmp_path: Path) -> Iterator[str]:
    folder = make_demo(tmp_path)
    for name, code in (('settings.py', SETTINGS), ('routes.py', VIEWS)):
        with (folder / 'demo' / name).open('a') as file:
            file.write(code)
    variables = {**CURRENT.variables, **database}
    run(folder / 'demo' / 'manage.py', 'migrate', cwd=folder, env=variables)
    with served(folder / 'demo' / 'manage.py', folder, variables) as address:
        yield address
    log = (folder / 'server.log').read_text()
    assert 'Traceback' not in log
    assert 'COMMITTED' not in log


@pytest.mark.parametrize('how', ['wait', 'work', 'nested'])
async def test_what_takes_too_long_is_rolled_back_and_its_connection_goes_on(service: str, how: str) -> None:
    async with aiohttp.ClientSession(service) as session:

        async def post(path: str) -> tuple[int, object]:
            async with session.post(path) as answer:
                return answer.status, await answer.json()

        for _ in range(2):
            answers = await asyncio.gather(*(post(f'/{how}') for _ in range(CONNECTIONS)))
            assert [(status, body['code']) for status, body in answers] == [(503, 'took_too_long')] * CONNECTIONS
        later = await asyncio.gather(*(post('/titles') for _ in range(2 * CONNECTIONS)))
        assert {status for status, _ in later} == {200}
        assert {title for _, titles in later for title in titles} == {'kept'}
