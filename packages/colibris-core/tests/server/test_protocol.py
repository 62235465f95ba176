import asyncio
import logging

import pytest
from aiohttp import web

from colibris import api
from colibris.server.protocol import Runner


@pytest.fixture
async def port():
    async def answer(request):
        return web.Response(body=await request.read())

    async def ignore(request):
        await asyncio.sleep(0.1)
        return web.Response()

    async def fail(request):
        raise LookupError('a secret')

    async def stall(request):
        raise TimeoutError

    async def refuse(request):
        raise api.Conflict('not now', headers={'X-Why': 'because'})

    app = web.Application()
    app.router.add_route('*', '/', answer)
    app.router.add_get('/fail', fail)
    app.router.add_get('/ignore', ignore)
    app.router.add_get('/stall', stall)
    app.router.add_get('/refuse', refuse)
    runner = Runner(app)
    await runner.setup()
    site = web.TCPSite(runner, '127.0.0.1', 0)
    await site.start()
    yield site.port
    await runner.cleanup()


@pytest.mark.parametrize(
    'data',
    [
        b'nonsense\r\n\r\n',
        b'GET\r\n\r\n',
        b'GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n',
        b'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
        b'G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n',
        b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
        b'GET /' + b'x' * 10000 + b' HTTP/1.1\r\nHost: x\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: x\r\nX-Long: ' + b'x' * 10000 + b'\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n',
        b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n',
        b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
        b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
)
async def test_a_request_that_cannot_be_parsed_gets_the_error_envelope(connect, port, data):
    client = await connect(port)
    status, envelope = await asyncio.wait_for(client.envelope(data), 5)
    assert status == 400
    assert envelope['code'] == 'invalid_request'
    assert envelope['details'] is None
    assert envelope['message']
    assert 'xxxx' not in envelope['message']
    assert client.headers['content-type'].startswith('application/json')
    assert await client.reader.read() == b''


async def test_an_expectation_that_is_not_met_gets_the_error_envelope(connect, port):
    client = await connect(port)
    status, envelope = await client.envelope(
        b'POST / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\nContent-Length: 0\r\n\r\n'
    )
    assert (status, envelope['code']) == (417, 'expectation_failed')


async def test_requests_after_a_malformed_one_are_served_on_other_connections(connect, port):
    await (await connect(port)).envelope(b'nonsense\r\n\r\n')
    assert await (await connect(port)).post(b'body') == (200, b'body')


async def test_a_malformed_body_is_no_fault_of_the_server(connect, port, caplog):
    client = await connect(port)
    client.writer.write(
        b'GET /ignore HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip'
    )
    assert (await client.reader.read()).startswith(b'HTTP/1.1 200')
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_an_error_that_left_the_application_is_hidden_in_the_envelope(connect, port, caplog):
    client = await connect(port)
    status, envelope = await client.envelope(b'GET /fail HTTP/1.1\r\nHost: x\r\n\r\n')
    assert (status, envelope['code']) == (500, 'server_error')
    assert 'secret' not in str(envelope)
    assert 'a secret' in caplog.text


async def test_a_time_limit_that_left_the_application_is_service_unavailable(connect, port):
    client = await connect(port)
    status, envelope = await client.envelope(b'GET /stall HTTP/1.1\r\nHost: x\r\n\r\n')
    assert (status, envelope['code']) == (503, 'service_unavailable')


async def test_pipelined_requests_are_all_answered(connect, port):
    client = await connect(port)
    request = b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n'
    client.writer.write(request + b'a' + request + b'b')
    assert await client.send(request + b'c') == (200, b'a')
    assert await client.send(b'') == (200, b'b')
    assert await client.send(b'') == (200, b'c')


async def test_an_error_for_the_client_that_no_middleware_answers_keeps_its_status(connect, port):
    client = await connect(port)
    status, envelope = await client.envelope(b'GET /refuse HTTP/1.1\r\nHost: x\r\n\r\n')
    assert (status, envelope['code'], envelope['message']) == (409, 'conflict', 'not now')
    assert client.headers['x-why'] == 'because'
