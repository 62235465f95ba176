"""Which pages may open WebSockets."""

import logging

import pytest
from aiohttp import WSServerHandshakeError

from colibris.app import create_app

APP = 'https://app.example.com'
CORS = f"CORS = {{'origins': ['{APP}'], 'credentials': True}}"
EVERYBODY = "CORS = {'origins': ['*']}"
COOKIE = {'Cookie': 'session=1'}

ROUTES = """
    from aiohttp import web

    opened = []

    async def echo(request):
        opened.append(request.headers.get('Origin'))
        response = web.WebSocketResponse()
        await response.prepare(request)
        await response.send_str(await response.receive_str())
        return response

    async def count(request):
        return len(opened)

    ROUTES = [web.get('/echo', echo), web.get('/count', count)]
"""


@pytest.fixture
def serve(project, aiohttp_client):
    async def make(settings=''):
        project(settings=settings, routes=ROUTES)
        return await aiohttp_client(create_app())

    return make


async def opens(client, origin, headers=None, host='shop.example'):
    """Tell whether a page of *origin* may open a WebSocket."""
    sent = {'Host': host, **({} if origin is None else {'Origin': origin}), **(headers or {})}
    try:
        async with client.ws_connect('/echo', headers=sent) as socket:
            await socket.send_str('hello')
            return await socket.receive_str() == 'hello'
    except WSServerHandshakeError as exc:
        if exc.status != 403:
            raise
        return False


@pytest.mark.parametrize('origin', [None, 'http://shop.example', 'https://shop.example', 'HTTPS://SHOP.example:443'])
async def test_by_itself_programs_and_own_pages_may(serve, origin):
    assert await opens(await serve(), origin, COOKIE)


@pytest.mark.parametrize(
    'origin',
    [
        *(
            'https://evil.example',
            'https://shop.example.evil',
            'https://evil-shop.example',
            'https://shop.example:8443',
        ),
        *('null', '', 'shop.example', 'file://shop.example', 'https://shop.example, https://evil.example'),
    ],
)
async def test_by_itself_pages_of_others_may_not(serve, origin):
    client = await serve()
    assert not await opens(client, origin, COOKIE)
    assert not await opens(client, origin)
    assert await (await client.get('/count')).json() == 0  # no view was asked


async def test_a_port_is_part_of_an_origin(serve):
    client = await serve()
    assert await opens(client, 'http://localhost:8888', host='localhost:8888')
    assert not await opens(client, 'http://localhost:5173', host='localhost:8888')
    assert not await opens(client, 'http://localhost', host='localhost:8888')


async def test_who_is_refused_is_told_in_the_envelope_and_in_the_log(serve, caplog):
    client = await serve()
    sent = {'Origin': 'https://evil.example', 'Upgrade': 'WebSocket', 'Connection': 'Upgrade', 'Host': 'shop.example'}
    with caplog.at_level(logging.WARNING, 'colibris.edge.websockets'):
        resp = await client.get('/echo', headers=sent)
    assert (resp.status, (await resp.json())['code']) == (403, 'cross_origin_denied')
    assert "a page of 'https://evil.example' may not open a WebSocket to 'shop.example'" in caplog.text


async def test_cors_lets_pages_in_with_their_cookies(serve):
    client = await serve(CORS)
    assert await opens(client, APP, COOKIE)
    assert not await opens(client, 'https://evil.example', COOKIE)


async def test_everybody_is_let_in_without_cookies_only(serve):
    client = await serve(EVERYBODY)
    assert await opens(client, 'https://other.example')
    assert not await opens(client, 'https://other.example', COOKIE)
    assert not await opens(client, 'https://other.example', {'Authorization': 'Basic YTpi'})
    assert await opens(client, 'https://shop.example', COOKIE)


async def test_the_host_is_the_one_that_a_trusted_proxy_tells(serve):
    client = await serve("TRUSTED_PROXIES = ['127.0.0.1']")
    told = {'X-Forwarded-For': '10.9.8.7', 'X-Forwarded-Host': 'shop.example', 'X-Forwarded-Proto': 'https'}
    assert await opens(client, 'https://shop.example', told, host='upstream:8888')
    assert not await opens(client, 'http://upstream:8888', told, host='upstream:8888')


async def test_a_page_without_tls_is_none_of_a_service_with_tls(serve):
    client = await serve("TRUSTED_PROXIES = ['127.0.0.1']")
    told = {'X-Forwarded-For': '10.9.8.7', 'X-Forwarded-Proto': 'https', **COOKIE}
    assert await opens(client, 'https://shop.example', told)
    for origin in ('http://shop.example', 'http://shop.example:80', 'http://shop.example:443'):
        assert not await opens(client, origin, told)
    assert await opens(client, 'http://shop.example', {**told, 'X-Forwarded-Proto': 'http'})


async def test_an_upgrade_to_something_else_is_no_handshake(serve):
    sent = {'Origin': 'https://evil.example', 'Upgrade': 'h2c', 'Connection': 'Upgrade'}
    assert (await (await serve()).get('/count', headers=sent)).status == 200
