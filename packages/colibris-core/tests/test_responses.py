"""`JSONResponse`: to the byte what `aiohttp.web.Response` sends, and a response like any other to whoever looks."""

import asyncio
import re

import pytest
from aiohttp import web
from aiohttp.web_response import ContentCoding

from colibris.api import json_response
from colibris.responses import JSONResponse, finish, indifferent, on_response

BODY = b'{"a":"\xc3\xa9"}'


def ours(status=200, body=BODY, location=None):
    return JSONResponse(body, status, location)


def theirs(status=200, body=BODY, location=None):
    response = web.Response(body=body, status=status, content_type='application/json')
    if location is not None:
        response.headers['Location'] = location
    return response


def untouched(make):
    async def handler(request):
        return make()

    return handler


def changed(change):
    def handler_of(make):
        async def handler(request):
            response = make()
            change(response)
            return response

        return handler

    return handler_of


def with_status(status):
    return lambda make: untouched(lambda: make(status))


def with_body(body):
    return lambda make: untouched(lambda: make(body=body))


def with_location(change=None):
    def handler_of(make):
        handler = untouched if change is None else changed(change)
        return handler(lambda: make(201, location='/a/7'))

    return handler_of


def hooked(make):
    async def handler(request):
        on_response(request, lambda response: response.set_cookie('hook', '1'))
        return make()

    return handler


def prepared_by_itself(make):
    async def handler(request):
        response = make()
        await response.prepare(request)
        await response.write_eof()
        return response

    return handler


def prepared_and_written_to(make):
    async def handler(request):
        response = make()
        await response.prepare(request)
        await response.write(b'{}')
        return response

    return handler


def raised_after(make):
    async def handler(request):
        response = make()
        await response.prepare(request)
        raise LookupError

    return handler


def recoded(response):
    response.body = b'[]'


def emptied(response):
    response.body = None


def chunked(response):
    response.enable_chunked_encoding()


def set_status(response):
    response.set_status(299, 'Well enough')


def set_known_status(response):
    response.set_status(404)


HANDLERS = {
    'untouched': untouched,
    **{f'status {status}': with_status(status) for status in (200, 201, 202, 204, 205, 206, 226, 299, 304, 400, 404)},
    **{f'status {status}': with_status(status) for status in (409, 413, 418, 422, 500, 503, 599)},
    'an empty body': with_body(b''),
    'a large body': with_body(b'"' + b'x' * 200_000 + b'"'),
    'a cookie': changed(lambda response: response.set_cookie('a', 'b', httponly=True)),
    'a deleted cookie': changed(lambda response: response.del_cookie('a')),
    'a header': changed(lambda response: response.headers.add('X-Own', 'é')),
    'several headers': changed(lambda response: response.headers.extend({'X-One': '1', 'set-cookie': 'a=b', 'x': ''})),
    'a length of its own': changed(lambda response: response.headers.add('content-length', '3')),
    'a date of its own': changed(lambda response: response.headers.add('date', 'today')),
    'a server of its own': changed(lambda response: response.headers.add('server', 'x')),
    'a connection to be closed': changed(lambda response: response.headers.add('connection', 'close')),
    'no type': changed(lambda response: response.headers.clear()),
    'a header that would be two': changed(lambda response: response.headers.add('X-Own', 'a\r\nX-Other: b')),
    'a header and a cookie': changed(lambda response: (response.headers.add('X', '1'), response.set_cookie('a', 'b'))),
    'another type': changed(lambda response: setattr(response, 'content_type', 'application/geo+json')),
    'a charset': changed(lambda response: setattr(response, 'charset', 'utf-8')),
    'a date': changed(lambda response: setattr(response, 'last_modified', 0)),
    'an entity tag': changed(lambda response: setattr(response, 'etag', 'x')),
    'another body': changed(recoded),
    'no body': changed(emptied),
    'a text': changed(lambda response: setattr(response, 'text', 'héllo')),
    'another status': changed(set_known_status),
    'a reason': changed(set_status),
    'chunks': changed(chunked),
    'closed': changed(lambda response: response.force_close()),
    'compressed': changed(lambda response: response.enable_compression()),
    'compressed by force': changed(lambda response: response.enable_compression(ContentCoding.gzip)),
    'only looked at': changed(lambda response: (response.headers, response.reason, response.content_length)),
    'a location': with_location(),
    'a location, looked at': with_location(lambda response: response.headers['Location']),
    'a location and a cookie': with_location(lambda response: response.set_cookie('a', 'b')),
    'another location': with_location(lambda response: response.headers.update({'Location': '/b'})),
    'a location, compressed': with_location(lambda response: response.enable_compression()),
    'a hook': hooked,
    'prepared by itself': prepared_by_itself,
    'prepared and written to': prepared_and_written_to,
    'failed after it was prepared': raised_after,
}
REQUESTS = {
    'HTTP/1.1': b'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'HTTP/1.1, compression': b'GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, deflate\r\n\r\n',
    'HTTP/1.1, close': b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'HTTP/1.1, HEAD': b'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n',
    'HTTP/1.1, HEAD, close': b'HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'HTTP/1.1, POST': b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}',
    'HTTP/1.1, OPTIONS': b'OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n',
    'HTTP/1.1, two at once': b'GET / HTTP/1.1\r\nHost: x\r\n\r\n' * 2,
    'HTTP/1.0': b'GET / HTTP/1.0\r\n\r\n',
    'HTTP/1.0, keep-alive': b'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    'HTTP/1.0, HEAD': b'HEAD / HTTP/1.0\r\n\r\n',
}


async def ask(port: int, data: bytes) -> bytes:
    """Return what is sent for *data* until the server waits or ends, with all dates equal."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(data)
    answer = b''
    try:
        while chunk := await asyncio.wait_for(reader.read(1 << 20), 0.05 if answer else 5):
            answer += chunk
        answer += b'<end>'
    except TimeoutError:
        pass
    writer.close()
    return re.sub(rb'\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT', b'\r\nDate: now', answer)


@indifferent
async def prepare(request, response):
    finish(request, response)


@pytest.fixture
async def serve(aiohttp_server):
    async def start(handler, *signals):
        app = web.Application()
        app.router.add_route('*', '/', handler)
        app.on_response_prepare.extend((prepare, *signals))
        return (await aiohttp_server(app)).port

    return start


@pytest.mark.parametrize('name', HANDLERS)
async def test_what_is_sent_equals_to_the_byte_what_aiohttp_sends(serve, name):
    own, other = await serve(HANDLERS[name](ours)), await serve(HANDLERS[name](theirs))
    asked = [ask(port, data) for port in (own, other) for data in REQUESTS.values()]
    answers = await asyncio.gather(*asked)
    sent, expected = answers[: len(REQUESTS)], answers[len(REQUESTS) :]
    assert dict(zip(REQUESTS, sent, strict=True)) == dict(zip(REQUESTS, expected, strict=True))
    assert all(expected)


@pytest.mark.parametrize('name', ['untouched', 'a cookie', 'status 204'])
async def test_signal_handlers_of_the_application_see_and_change_it(serve, name):
    seen = []

    async def see(request, response):
        seen.append((response.headers['Content-Type'], response.status, len(response.headers), response.body))
        response.headers['X-Signal'] = '1'

    data = REQUESTS['HTTP/1.1, POST']
    sent = [await ask(await serve(HANDLERS[name](make), see), data) for make in (ours, theirs)]
    assert sent[0] == sent[1]
    assert b'X-Signal: 1' in sent[0]
    assert seen[0] == seen[1]


async def test_signal_handlers_of_sub_applications_see_it(aiohttp_client):
    async def see(request, response):
        response.headers['X-Signal'] = '1'

    part = web.Application()
    part.router.add_get('/', untouched(ours))
    part.on_response_prepare.append(see)
    app = web.Application()
    app.add_subapp('/part', part)
    response = await (await aiohttp_client(app)).get('/part/')
    assert response.headers['X-Signal'] == '1'


async def test_an_indifferent_signal_handler_is_passed_by_unless_there_is_a_hook(serve):
    asked = []

    @indifferent
    async def note(request, response):
        asked.append(response)

    await ask(await serve(untouched(ours), note), REQUESTS['HTTP/1.1'])
    assert not asked
    await ask(await serve(hooked(ours), note), REQUESTS['HTTP/1.1'])
    await ask(await serve(untouched(theirs), note), REQUESTS['HTTP/1.1'])
    assert len(asked) == 2


async def test_after_it_was_sent_it_has_the_headers_that_were_sent(serve):
    sent = []

    def handler_of(make):
        async def handler(request):
            sent.append(make())
            return sent[-1]

        return handler

    for make in (ours, theirs):
        await ask(await serve(handler_of(make)), REQUESTS['HTTP/1.1'])
    own, other = sent
    assert list(own.headers)[:3] == list(other.headers)[:3]
    assert {**own.headers, 'Date': ''} == {**other.headers, 'Date': ''}
    for name in ('status', 'reason', 'body', 'body_length', 'content_length', 'prepared', 'keep_alive', 'content_type'):
        assert getattr(own, name) == getattr(other, name), name
    assert repr(own) == '<JSONResponse OK eof>'


async def test_a_location_is_among_the_headers_that_were_sent(serve):
    sent = []

    async def handler(request):
        sent.append(response := JSONResponse(BODY, 201, '/a/7'))
        return response

    await ask(await serve(handler), REQUESTS['HTTP/1.1'])
    assert sent[0].headers['Location'] == '/a/7'


def test_a_location_is_one_line():
    with pytest.raises(ValueError, match='line break'):
        JSONResponse(BODY, 201, '/a\r\nX-Other: b')


async def test_the_access_log_tells_what_was_sent(aiohttp_server, caplog):
    caplog.set_level('INFO', 'aiohttp.access')
    app = web.Application()
    app.router.add_get('/', untouched(ours))
    server = await aiohttp_server(app, access_log_format='%s %b %{Content-Length}o %{Content-Type}o')
    await ask(server.port, REQUESTS['HTTP/1.1'])
    (message,) = (record.getMessage() for record in caplog.records if record.name == 'aiohttp.access')
    assert re.fullmatch(rf'200 \d+ {len(BODY)} application/json', message)


async def test_a_server_without_an_application_sends_it_too(aiohttp_raw_server):
    server = await aiohttp_raw_server(untouched(ours))
    assert (await ask(server.port, REQUESTS['HTTP/1.1'])).endswith(b'\r\n\r\n' + BODY)


async def test_a_client_that_has_gone_is_no_error(serve, caplog):
    async def handler(request):
        request.transport.abort()
        await asyncio.sleep(0)
        return ours()

    port = await serve(handler)
    assert await ask(port, REQUESTS['HTTP/1.1']) in (b'', b'<end>')
    assert not [record for record in caplog.records if record.levelname == 'ERROR']


def test_it_keeps_values_like_any_response():
    key = web.ResponseKey('own', int)
    response = ours()
    response[key] = 1
    assert dict(response) == {key: 1}
    with pytest.raises(AttributeError, match='nothing'):
        response.nothing  # noqa: B018


def test_json_response_with_headers_of_its_own():
    response = json_response([1], headers={'X-Own': '1'})
    assert (response.headers['X-Own'], response.content_type, response.body) == ('1', 'application/json', b'[1]')
    assert type(json_response([1])) is JSONResponse
