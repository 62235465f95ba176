"""``@cached`` on functions and on views."""

import asyncio

import pytest
from aiohttp import web
from yarl import URL

from colibris import api, cache
from colibris.middleware import handle_errors_json
from colibris.routes import add_routes
from colibris.security import ACCOUNT
from colibris.views import APIView, View

pytestmark = pytest.mark.usefixtures('opened')


class User:
    def __init__(self, id):
        self.id = id


async def test_a_function_is_computed_once_for_each_set_of_arguments():
    calls = []

    @cache.cached(60)
    async def square(number, *, plus=0):
        calls.append(number)
        return number**2 + plus

    assert [await square(2), await square(2), await square(number=2), await square(2, plus=1)] == [4, 4, 4, 5]
    assert calls == [2, 2]


async def test_a_sync_function_works_too_and_computes_once_at_a_time():
    calls = []

    @cache.cached(60)
    def compute():
        calls.append(1)
        return {'a': 1}

    assert await asyncio.gather(*(compute() for _ in range(10))) == [{'a': 1}] * 10
    assert calls == [1]


async def test_a_key_of_ones_own():
    @cache.cached(60, key='square:{number}')
    async def square(number):
        return number**2

    await square(3)
    assert await cache.get('square:3') == 9
    assert await square.forget(3)
    assert not await cache.has('square:3')


async def test_a_key_made_by_a_function():
    @cache.cached(60, key=lambda number: f'own:{number}')
    async def square(number):
        return number**2

    await square(3)
    assert await cache.get('own:3') == 9


async def test_arguments_that_make_no_key_are_told():
    @cache.cached(60)
    async def function(value):
        return value

    with pytest.raises(TypeError, match=r'arguments of .*function do not make a key.*key='):
        await function(object())


@pytest.fixture
async def site(aiohttp_client):
    """Return a client and the list of calls of its views; the header X-User names the account."""
    calls = []

    class ItemsView(APIView):
        @cache.cached(60)
        async def get(self):
            calls.append(self.request.path_qs)
            return {'calls': len(calls)}

        @cache.cached(60)
        async def post(self):
            calls.append('POST')
            return {'calls': len(calls)}

    class CookieView(View):
        @cache.cached(60)
        async def get(self):
            calls.append('cookie')
            response = web.json_response({})
            response.set_cookie('a', 'b')
            return response

    @cache.cached(60)
    async def error(request):
        calls.append('error')
        return web.json_response({}, status=404)

    @cache.cached(60)
    def plain(request):
        calls.append('plain')
        return web.Response(text='plain', headers={'X-Own': 'kept', 'Cache-Control': 'max-age=5'})

    @web.middleware
    async def account(request, handler):
        name = request.headers.get('X-User')
        request[ACCOUNT] = object() if name == 'nameless' else User(name) if name else None
        return await handler(request)

    class SlowView(View):
        @cache.cached(60)
        async def get(self):
            calls.append('slow')
            await asyncio.sleep(0.1)
            kind = self.request.query.get('kind')
            if kind == 'failing':
                raise api.NotFound('nothing')
            if kind == 'redirecting':
                raise web.HTTPFound('/items')
            response = web.json_response(len(calls))
            if kind == 'changing':
                response.headers['Set-Cookie'] = 'a=b'
            if kind == 'varying':
                response.headers['Vary'] = 'X-Other'
            return response

    @cache.cached(60)
    class WholeView(View):
        async def get(self):
            calls.append('whole')
            return calls

    @cache.cached(0.1, stale=60)
    async def stale(request):
        calls.append('stale')
        return {'calls': len(calls)}

    @cache.cached(60, key='item {request.match_info[id]}')
    async def keyed(request):
        calls.append('keyed')
        return {'calls': len(calls)}

    async def change(request):
        return {'removed': await keyed.forget(request)}

    app = web.Application(middlewares=[handle_errors_json, account])
    routes = [('/slow', SlowView), ('/whole', WholeView), ('/stale', stale), ('/keyed/{id}', keyed)]
    routes += [
        ('/change/{id}', change),
        ('/items', ItemsView),
        ('/cookie', CookieView),
        ('/error', error),
        ('/plain', plain),
    ]
    add_routes(app.router, routes, 'ROUTES')
    return await aiohttp_client(app), calls


async def test_a_view_answers_again_from_the_cache(site):
    client, calls = site
    first, second = await client.get('/items'), await client.get('/items')
    assert await first.json() == await second.json() == {'calls': 1}
    assert second.content_type == 'application/json'
    assert len(calls) == 1


@pytest.mark.parametrize(
    'other',
    [
        {'path': '/items?a=1'},
        {'path': URL('/items?a=1%26b=2', encoded=True), 'first': URL('/items?a=1&b=2', encoded=True)},
        {'headers': [('X-User', 'a'), ('Accept', 'a/b'), ('Accept', 'c/d')], 'first_headers': {'Accept': 'a/b'}},
        {'headers': {'X-User': 'b'}},
        {'headers': {'X-User': 'a', 'Accept-Language': 'de'}},
        {'headers': {'X-User': 'a', 'Accept': 'text/html'}},
        {'headers': {'X-User': 'a', 'Host': 'other.example'}},
    ],
)
async def test_what_may_change_the_answer_is_part_of_the_key(site, other):
    client, calls = site
    await client.get(other.get('first', '/items'), headers={'X-User': 'a', **other.get('first_headers', {})})
    await client.get(other.get('path', '/items'), headers=other.get('headers', {'X-User': 'a'}))
    assert len(calls) == 2


@pytest.mark.parametrize(
    ('method', 'path', 'headers'),
    [
        ('post', '/items', {}),
        ('get', '/cookie', {}),
        ('get', '/error', {}),
        ('get', '/items', {'X-User': 'nameless'}),
    ],
)
async def test_what_must_not_be_kept_is_not(site, method, path, headers):
    client, calls = site
    for _ in range(2):
        await client.request(method, path, headers=headers)
    assert len(calls) == 2


async def test_a_client_that_has_the_answer_gets_304(site):
    client, calls = site
    first = await client.get('/plain')
    again = await client.get('/plain', headers={'If-None-Match': first.headers['ETag']})
    assert (again.status, await again.read()) == (304, b'')
    assert again.headers['ETag'] == first.headers['ETag']
    changed = await client.get('/plain', headers={'If-None-Match': '"other"'})
    assert (changed.status, await changed.text(), changed.headers['X-Own']) == (200, 'plain', 'kept')
    assert changed.headers['Vary'] == 'Accept, Accept-Language, Authorization, Cookie'
    assert again.headers['Cache-Control'] == 'max-age=5'
    assert 'X-Own' not in again.headers
    assert changed.headers['Content-Type'] == 'text/plain; charset=utf-8'
    assert calls == ['plain']


async def ask_at_once(client, path, number=20):
    responses = await asyncio.gather(*(client.get(path, allow_redirects=False) for _ in range(number)))
    return [(response.status, await response.text()) for response in responses]


async def test_a_view_is_computed_once_however_many_ask_at_once(site):
    client, calls = site
    assert await ask_at_once(client, '/slow') == [(200, '1')] * 20
    assert calls == ['slow']


async def test_an_error_of_a_view_reaches_all_who_wait_and_is_not_kept(site):
    client, calls = site
    assert {status for status, _ in await ask_at_once(client, '/slow?kind=failing')} == {404}
    assert len(calls) == 1
    await client.get('/slow?kind=failing')
    assert len(calls) == 2


@pytest.mark.parametrize('kind', ['redirecting', 'changing', 'varying'])
async def test_an_answer_for_one_only_is_made_for_each(site, kind):
    client, calls = site
    answers = await ask_at_once(client, f'/slow?kind={kind}', 10)
    assert {status for status, _ in answers} == {302 if kind == 'redirecting' else 200}
    assert len(calls) == 10
    await client.get(f'/slow?kind={kind}', allow_redirects=False)
    assert len(calls) == 11


async def test_a_view_class_can_be_decorated(site):
    client, calls = site
    for _ in range(2):
        assert await (await client.get('/whole')).json() == ['whole']
    assert (await client.head('/whole')).status == 200
    assert calls == ['whole', 'whole']  # HEAD has an answer of its own


async def test_a_stale_answer_is_given_while_it_is_renewed(site):
    client, calls = site
    assert await (await client.get('/stale')).json() == {'calls': 1}
    await asyncio.sleep(0.15)
    assert await (await client.get('/stale')).json() == {'calls': 1}
    for _ in range(100):
        if len(calls) == 2:
            break
        await asyncio.sleep(0.01)
    assert await (await client.get('/stale')).json() == {'calls': 2}


async def test_an_answer_is_forgotten_by_its_own_key(site):
    client, calls = site
    for path in ('/keyed/1', '/keyed/2', '/keyed/1?any=query'):
        await client.get(path)
    assert len(calls) == 2
    assert await (await client.get('/change/1')).json() == {'removed': True}
    assert await (await client.get('/change/1')).json() == {'removed': False}
    await client.get('/keyed/1')
    assert len(calls) == 3


async def test_the_answer_for_an_account_is_private(site):
    client, _ = site
    anonymous, known = await client.get('/items'), await client.get('/items', headers={'X-User': 'a'})
    assert 'Cache-Control' not in anonymous.headers
    assert known.headers['Cache-Control'] == 'private'


def test_the_decorator_needs_its_parentheses():
    with pytest.raises(TypeError, match=r'@cached\(\)'):
        cache.cached(lambda: 1)


def test_what_is_no_view_is_refused():
    with pytest.raises(TypeError, match='no view'):
        cache.cached(60)(User)
