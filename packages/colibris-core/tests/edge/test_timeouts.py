"""How long a request may take until its answer begins."""

import asyncio
import time

import pytest

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured

ROUTES = """
    import asyncio
    from aiohttp import web
    from colibris.views import APIView

    ENDED = []

    async def slow(request):
        try:
            await asyncio.sleep(float(request.query.get('for', 30)))
            return {}
        finally:
            ENDED.append(request.path)

    async def stubborn(request):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return {'saved': True}

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10):
            await response.write(b'x')
            await asyncio.sleep(0.1)
        return response

    async def patient(request):
        await asyncio.sleep(1)
        return {}
    patient.request_timeout = None

    class HastyPlainView(web.View):
        request_timeout = 0.1

        async def get(self):
            await asyncio.sleep(30)

    async def read(request):
        return {'size': len(await request.read())}

    async def quiet(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(1)
        await response.write(b'x')
        return response

    async def socket(request):
        response = web.WebSocketResponse()
        await response.prepare(request)
        await response.send_str(await response.receive_str())
        return response

    class HastyView(APIView):
        request_timeout = 0.1

        async def get(self):
            await asyncio.sleep(30)

    ROUTES = [(f'/{f.__name__}', f) for f in (slow, stubborn, stream, patient, quiet, socket)]
    ROUTES += [('/hasty', HastyView), web.post('/read', read), web.view('/plain', HastyPlainView)]
"""


@pytest.fixture
def serve(project, aiohttp_client):
    async def make(settings='REQUEST_TIMEOUT = 0.3', routes=ROUTES):
        project(settings=settings, routes=routes)
        return await aiohttp_client(create_app())

    return make


async def test_what_takes_too_long_is_cancelled_and_answered(serve):
    client = await serve()
    began = time.monotonic()
    resp = await client.get('/slow')
    assert (resp.status, (await resp.json())['code']) == (503, 'took_too_long')
    assert 0.2 < time.monotonic() - began < 3
    from shop.routes import ENDED

    assert ENDED == ['/slow']
    assert (await client.get('/slow?for=0')).status == 200  # on the same connection


async def test_many_at_once_are_cancelled_each_for_itself(serve):
    client = await serve()
    found = await asyncio.gather(*(client.get(f'/slow?for={0 if n % 2 else 30}') for n in range(20)))
    assert [resp.status for resp in found] == [503, 200] * 10


async def test_an_answer_that_has_begun_is_not_cut_off(serve):
    resp = await (await serve()).get('/stream')
    assert (resp.status, await resp.read()) == (200, b'x' * 10)


async def test_a_view_may_take_longer_or_must_be_faster(serve):
    client = await serve()
    assert (await client.get('/patient')).status == 200
    assert (await client.get('/hasty')).status == 503
    assert (await client.get('/plain')).status == 503


async def test_a_view_cannot_have_a_limit_where_limits_are_off(serve):
    with pytest.raises(ImproperlyConfigured, match=r'HastyView sets request_timeout, but REQUEST_TIMEOUT .* is None'):
        await serve('REQUEST_TIMEOUT = None')


async def test_a_handler_that_catches_its_end_may_answer_itself(serve):
    resp = await (await serve()).get('/stubborn')
    assert (resp.status, await resp.json()) == (200, {'saved': True})


@pytest.mark.parametrize('value', [0, -1, True, "'1'"])
def test_what_is_no_time_is_refused_at_the_start(project, value):
    with pytest.raises(ImproperlyConfigured, match='REQUEST_TIMEOUT'):
        project(settings=f'REQUEST_TIMEOUT = {value}')


async def test_a_view_that_says_no_time_is_refused_at_the_start(serve):
    with pytest.raises(ImproperlyConfigured, match=r"HastyView: request_timeout must be .* not 'soon'"):
        await serve(routes=ROUTES.replace('request_timeout = 0.1', "request_timeout = 'soon'"))


async def test_headers_of_the_edge_are_there_once(serve):
    client = await serve(
        "REQUEST_TIMEOUT = 0.3; REQUEST_IDS = True; CORS = {'origins': ['https://a.example'], 'credentials': True}"
    )
    resp = await client.get('/slow', headers={'Origin': 'https://a.example'})
    assert resp.status == 503
    for name in ('X-Request-ID', 'Access-Control-Allow-Origin', 'Access-Control-Allow-Credentials'):
        assert len(resp.headers.getall(name)) == 1


async def test_the_time_begins_when_the_body_has_come(serve):
    async def slowly():
        for _ in range(6):
            yield b'x'
            await asyncio.sleep(0.2)

    resp = await (await serve()).post('/read', data=slowly())
    assert (resp.status, await resp.json()) == (200, {'size': 6})


async def test_what_has_begun_may_be_quiet(serve):
    client = await serve()
    assert await (await client.get('/quiet')).read() == b'x'
    async with client.ws_connect('/socket') as socket:
        await asyncio.sleep(1)
        await socket.send_str('still there')
        assert await socket.receive_str() == 'still there'
