"""The names that the service answers to."""

import pytest

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured

HOSTS = "ALLOWED_HOSTS = ['api.example.com', '*.example.org', '[2001:db8::1]']"


async def test_by_itself_the_service_answers_to_any_name(serve):
    assert (await (await serve()).get('/who', headers={'Host': 'evil.example'})).status == 200


@pytest.mark.parametrize(
    'host',
    ['api.example.com', 'API.Example.com:8443', 'api.example.com.', 'a.b.example.org', '[2001:db8::1]:80'],
)
async def test_listed_names_are_answered(serve, host):
    assert (await (await serve(HOSTS)).get('/who', headers={'Host': host})).status == 200


@pytest.mark.parametrize(
    'host',
    [
        *('evil.example', 'example.org', 'badexample.org', 'api.example.com.evil.example', 'localhost'),
        # what would be another host in a link
        'a@api.example.com',
        'api.example.com:@evil.example',
        'api.example.com:evil',
        'evil.example/.example.org',
        'evil.example#a.example.org',
    ],
)
async def test_other_names_are_refused_before_anything_is_asked(serve, host):
    resp = await (await serve(HOSTS)).get('/nothing', headers={'Host': host})
    assert (resp.status, (await resp.json())['code']) == (400, 'unknown_host')
    assert resp.headers['X-Content-Type-Options'] == 'nosniff'


async def test_probes_may_ask_by_address(serve):
    client = await serve(HOSTS)
    assert [(await client.get(path, headers={'Host': '10.2.3.4'})).status for path in ('/health', '/health/live')] == [
        200,
        200,
    ]


async def test_prometheus_may_ask_by_address(serve):
    client = await serve(f"METRICS = {{'path': '/metrics', 'public': True}}\n{HOSTS}")
    assert (await client.get('/metrics', headers={'Host': '10.2.3.4'})).status == 200
    assert (await client.get('/who', headers={'Host': '10.2.3.4'})).status == 400


async def test_in_debug_the_local_names_are_answered_too(serve):
    client = await serve(f'DEBUG = True\n{HOSTS}')
    assert (await client.get('/who')).status == 200
    assert (await client.get('/who', headers={'Host': 'evil.example'})).status == 400


async def test_the_name_that_a_trusted_proxy_tells_counts(serve):
    client = await serve(f"TRUSTED_PROXIES = ['127.0.0.1']\n{HOSTS}")
    headers = {'Host': 'internal', 'X-Forwarded-For': '6.6.6.6', 'X-Forwarded-Host': 'api.example.com'}
    assert (await client.get('/who', headers=headers)).status == 200
    assert (await client.get('/who', headers={**headers, 'X-Forwarded-Host': 'evil.example'})).status == 400


@pytest.mark.parametrize('name', ['https://api.example.com', 'api.example.com:80', 'api.example.com/', '*'])
def test_what_is_no_name_is_refused_at_the_start(project, name):
    project(settings=f'ALLOWED_HOSTS = [{name!r}]')
    with pytest.raises(ImproperlyConfigured, match=r'ALLOWED_HOSTS \(settings\.py\): .* is no host'):
        create_app()
