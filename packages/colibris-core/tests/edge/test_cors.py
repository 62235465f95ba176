"""Cross-origin resource sharing: who may read, and who may ask."""

import pytest

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured

APP = 'https://app.example.com'
CORS = f"CORS = {{'origins': ['{APP}', 'http://localhost:5173'], 'credentials': True, 'expose': ['X-Total']}}"


async def ask(client, path='/who', origin=APP, method='POST', headers='content-type'):
    asked = {'Origin': origin, 'Access-Control-Request-Method': method, 'Access-Control-Request-Headers': headers}
    return await client.options(path, headers=asked)


async def test_by_itself_nobody_is_let_in(serve):
    client = await serve()
    resp = await client.get('/who', headers={'Origin': APP})
    assert not [name for name in resp.headers if name.startswith('Access-Control')]
    assert (await ask(client)).status == 405


@pytest.mark.parametrize('path', ['/who', '/fail', '/taken', '/nothing', '/streamed', '/own'])
async def test_pages_of_listed_origins_may_read_every_answer(serve, path):
    resp = await (await serve(CORS)).get(path, headers={'Origin': APP})
    assert resp.headers.getall('Access-Control-Allow-Origin') == [APP]
    assert resp.headers['Access-Control-Allow-Credentials'] == 'true'
    assert resp.headers['Access-Control-Expose-Headers'] == 'X-Total'
    assert 'Origin' in ', '.join(resp.headers.getall('Vary'))


@pytest.mark.parametrize(
    'origin', ['https://evil.example', 'http://app.example.com', f'{APP}.evil.example', 'null', '']
)
async def test_pages_of_others_may_not(serve, origin):
    client = await serve(CORS)
    resp = await client.get('/who', headers={'Origin': origin})
    assert (resp.status, resp.headers['Vary'], 'Access-Control-Allow-Origin' in resp.headers) == (200, 'Origin', False)
    asked = await ask(client, origin=origin)
    assert (asked.status, (await asked.json())['code']) == (403, 'cross_origin_denied')
    assert 'Access-Control-Allow-Origin' not in asked.headers


@pytest.mark.parametrize('kind', ['json', 'text', 'error'])
async def test_what_a_view_says_itself_is_not_said_twice(serve, kind):
    settings = f"{CORS}\nREQUEST_IDS = True\nTRUSTED_PROXIES = ['127.0.0.1']"
    sent = {'Origin': APP, 'X-Request-ID': 'r1', 'X-Forwarded-For': '10.9.8.7', 'X-Forwarded-Proto': 'https'}
    headers = (await (await serve(settings)).get(f'/sharing?as={kind}', headers=sent)).headers
    said = {name: headers.getall(name) for name in (*CORS_HEADERS, 'Vary', 'X-Request-ID', HSTS, 'Link')}
    assert said == {
        'Access-Control-Allow-Origin': [APP],
        'Access-Control-Allow-Credentials': ['true'],
        'Vary': ['ORIGIN, Cookie'],
        'X-Request-ID': ['r1'],
        HSTS: ['max-age=1'],
        'Link': ['</own>'],
    }


async def test_a_view_may_share_its_answers_with_pages_that_are_not_listed(serve):
    resp = await (await serve(CORS)).get('/sharing?as=json', headers={'Origin': 'https://evil.example'})
    assert [resp.headers.getall(name) for name in CORS_HEADERS] == [['*'], ['false']]


CORS_HEADERS = ('Access-Control-Allow-Origin', 'Access-Control-Allow-Credentials')
HSTS = 'Strict-Transport-Security'


async def test_answers_without_an_origin_vary_too(serve):
    assert (await (await serve(CORS)).get('/who')).headers['Vary'] == 'Origin'


@pytest.mark.parametrize('path', ['/who', '/nothing'])
async def test_a_browser_that_asks_is_told_what_it_may(serve, path):
    resp = await ask(await serve(CORS), path)
    assert (resp.status, await resp.read()) == (204, b'')
    assert resp.headers['Access-Control-Allow-Origin'] == APP
    assert resp.headers['Access-Control-Allow-Methods'] == 'GET, HEAD, POST, PUT, PATCH, DELETE'
    assert 'Content-Type' in resp.headers['Access-Control-Allow-Headers']
    assert resp.headers['Access-Control-Max-Age'] == '600'


@pytest.mark.parametrize(
    ('asked', 'message'),
    [({'method': 'TRACE'}, 'the method TRACE'), ({'headers': 'content-type, x-other'}, 'the header x-other')],
)
async def test_a_browser_that_asks_for_more_is_told_what_it_may_not(serve, asked, message):
    resp = await ask(await serve(CORS), **asked)
    assert (resp.status, resp.headers['Access-Control-Allow-Origin']) == (403, APP)
    assert message in (await resp.json())['message']


async def test_everybody_may_be_let_in_without_credentials(serve):
    resp = await (await serve("CORS = {'origins': ['*']}")).get('/who', headers={'Origin': 'https://any.example'})
    assert resp.headers['Access-Control-Allow-Origin'] == '*'
    assert not {'Vary', 'Access-Control-Allow-Credentials'} & set(resp.headers)


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ({}, 'origins must list'),
        ({'origins': [APP + '/']}, 'is no origin'),
        ({'origins': ['app.example.com']}, 'is no origin'),
        ({'origins': APP}, 'must be a list'),
        ({'origins': ['*'], 'credentials': True}, "list the origins instead of '\\*'"),
        ({'origins': [APP], 'headers': ['*']}, 'must be listed one by one'),
        ({'origins': [APP], 'credentials': 'yes'}, 'must be True or False'),
        ({'origins': [APP], 'max_age': -1}, 'a number of seconds'),
        ({'origins': [APP], 'expose': ['a\r\nb']}, 'a header can hold'),
        ({'origin': [APP]}, "has no key 'origin'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(project, value, message):
    project(settings=f'CORS = {value!r}')
    with pytest.raises(ImproperlyConfigured, match=message):
        create_app()
