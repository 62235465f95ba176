"""What production asks of all packages together: numbers of subsystems, ids of requests in mails, time limits."""

from pathlib import Path

from demo import CURRENT, make_demo
from workspace import run

TESTS = """
import asyncio

import pytest
from aiohttp import ClientSession
from colibris import cache, email, persist
from demo.models import Note


async def scraped(client):
    assert (await client.get('/metrics')).status == 401
    headers = {'Authorization': 'Bearer of-prometheus-1234'}
    text = await (await client.get('/metrics', headers=headers)).text()
    lines = [line for line in text.splitlines() if not line.startswith('#')]
    return {name: float(value) for name, value in (line.rsplit(' ', 1) for line in lines)}


async def test_subsystems_tell_their_numbers(web_app_client, mailbox):
    before = await scraped(web_app_client)
    await cache.set('a', 1)
    await cache.get('a')
    await cache.get('b')
    await cache.get_many(['a', 'b', 'c'])
    email.send(email.EmailMessage('Subject', 'body', to=['someone@example.com']))
    after = await scraped(web_app_client)
    assert after['colibris_cache_hits_total'] - before['colibris_cache_hits_total'] == 2
    assert after['colibris_cache_misses_total'] - before['colibris_cache_misses_total'] == 3
    assert after['colibris_emails_sent_total'] - before['colibris_emails_sent_total'] == 1
    assert after['colibris_emails_waiting'] == 0


async def test_the_queue_of_tasks_tells_its_numbers(web_app_client):
    found = await scraped(web_app_client)
    assert found['colibris_tasks_waiting{queue="default"}'] == 0
    assert {'colibris_tasks_running', 'colibris_tasks_dead', 'colibris_tasks_workers'} <= set(found)


async def test_a_mail_tells_for_which_request_it_was_sent(web_app_client, mailbox):
    await web_app_client.post('/mails', headers={'X-Request-ID': 'request-7'})
    assert mailbox[0].message.headers['X-Request-ID'] == 'request-7'


async def test_what_takes_too_long_is_rolled_back(web_app_client):
    resp = await web_app_client.post('/slow')
    assert resp.status == 503
    assert await Note.filter(title='half').count() == 0
"""

VIEWS = """

from aiohttp import web
from colibris import email, persist
from demo.models import Note


async def mail(request):
    email.send(email.EmailMessage('Subject', 'body', to=['someone@example.com']))
    return {}


async def slow(request):
    import asyncio

    async with persist.transaction():
        await Note.create(title='half', text='')
        await asyncio.sleep(30)


ROUTES += [web.post('/mails', mail), web.post('/slow', slow)]
"""

SETTINGS = """
METRICS = {'path': '/metrics', 'token': 'of-prometheus-1234'}
REQUEST_IDS = True
REQUEST_TIMEOUT = 0.5
"""


def test_a_project_in_production(tmp_path: Path) -> None:
    demo = make_demo(tmp_path)
    package = demo / 'demo'
    with (package / 'settings.py').open('a') as settings:
        settings.write(SETTINGS)
    with (package / 'routes.py').open('a') as routes:
        routes.write(VIEWS)
    (package / 'tests' / 'test_production.py').write_text(TESTS)
    options = {'cwd': demo, 'env': CURRENT.variables}
    output = run(package / 'manage.py', 'test', '-q', '-k', 'production', **options).stdout
    assert '4 passed' in output
