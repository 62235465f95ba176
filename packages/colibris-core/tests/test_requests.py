"""Bodies: the same data however they come, and whoever has read them before."""

import asyncio
import json
import zlib

import pytest
from aiohttp import web
from marshmallow import Schema, fields

from colibris.middleware import handle_errors_json
from colibris.requests import load_body, received

LIMIT = 2000


class ItemSchema(Schema):
    name = fields.String(required=True)


BODY = json.dumps({'name': 'é' * 100}).encode()


@pytest.fixture
async def port(aiohttp_server):
    async def load(request):
        at_once = received(request) is not None
        data = await load_body(request, ItemSchema())
        again = await load_body(request, ItemSchema())
        assert data is again
        assert await request.json() == data
        return web.json_response({**data, 'at_once': at_once})

    async def read_first(request):
        await request.read()
        return web.json_response(await load_body(request, ItemSchema()))

    app = web.Application(middlewares=[handle_errors_json], client_max_size=LIMIT)
    app.router.add_post('/', load)
    app.router.add_post('/read', read_first)
    return (await aiohttp_server(app)).port


async def send(port, *pieces, headers='', path='/'):
    """Send a request in *pieces* of its body; return the status and the decoded answer."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    head = f'POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}\r\n'
    writer.write(head.encode() + pieces[0])
    for piece in pieces[1:]:
        await asyncio.sleep(0.05)
        writer.write(piece)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    status, body = answer[9:12], answer.partition(b'\r\n\r\n')[2]
    return int(status), json.loads(body)


def length(body):
    return f'Content-Length: {len(body)}\r\n'


def chunks(*pieces):
    return [b'%x\r\n%b\r\n' % (len(piece), piece) for piece in pieces]


CHUNKED = 'Transfer-Encoding: chunked\r\n'


async def test_a_body_that_has_come_is_not_waited_for(port):
    status, data = await send(port, BODY, headers=length(BODY))
    assert (status, data) == (200, {'name': 'é' * 100, 'at_once': True})


@pytest.mark.parametrize(
    ('pieces', 'headers'),
    [
        ([BODY[:20], BODY[20:]], length(BODY)),
        ([b'', BODY], length(BODY)),
        ([*chunks(BODY[:20], BODY[20:]), b'0\r\n\r\n'], CHUNKED),
    ],
)
async def test_a_body_in_pieces_is_waited_for(port, pieces, headers):
    status, data = await send(port, *pieces, headers=headers)
    assert (status, data) == (200, {'name': 'é' * 100, 'at_once': False})


async def test_a_compressed_body_is_read_like_any_other(port):
    body = zlib.compress(BODY)
    status, data = await send(port, body, headers=f'Content-Encoding: deflate\r\n{length(body)}')
    assert (status, data['name']) == (200, 'é' * 100)


BIG = b'{"name":"' + b'x' * LIMIT + b'"}'


@pytest.mark.parametrize(
    ('pieces', 'headers'),
    [
        ([BIG], length(BIG)),
        ([b''.join((*chunks(BIG), b'0\r\n\r\n'))], CHUNKED),
        ([*chunks(BIG[:50], BIG[50:]), b'0\r\n\r\n'], CHUNKED),
        ([zlib.compress(BIG)], f'Content-Encoding: deflate\r\n{length(zlib.compress(BIG))}'),
    ],
)
async def test_a_body_over_the_limit_is_refused_however_it_comes(port, pieces, headers):
    status, data = await send(port, *pieces, headers=headers)
    assert (status, data['code']) == (413, 'payload_too_large')


async def test_what_was_read_before_is_checked(port):
    assert await send(port, BODY, headers=length(BODY), path='/read') == (200, {'name': 'é' * 100})


@pytest.mark.parametrize(
    ('body', 'headers', 'code'),
    [
        (b'', length(b''), 'parse_error'),
        (b'{', length(b'{'), 'parse_error'),
        (b'{"name":"\xff"}', length(b'{"name":"\xff"}'), 'parse_error'),
        (b'{"name":1}', length(b'{"name":1}'), 'schema_error'),
        (b'nonsense', f'Content-Encoding: deflate\r\n{length(b"nonsense")}', 'parse_error'),
    ],
)
async def test_what_is_wrong_with_a_body_is_told(port, body, headers, code):
    status, data = await send(port, body, headers=headers)
    assert (status, data['code']) == (400, code)
