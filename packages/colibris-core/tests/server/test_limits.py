"""Clients that are slow, too many, or send too much: each case ends, and the others are served."""

import asyncio
import json
import resource
import sys

import pytest
from aiohttp import ClientSession, web

from colibris import api, requests
from colibris.middleware import handle_errors_json
from colibris.server.limits import Limits
from colibris.server.protocol import Runner

HEAD = b'POST / HTTP/1.1\r\nHost: x\r\n'


@pytest.fixture
async def serve():
    """Serve with *limits*; returns the port."""
    runners = []

    async def make(**limits):
        async def answer(request):
            return api.json_response(len(await requests.read(request)))

        async def slow(request):
            await asyncio.sleep(4)
            return api.json_response(len(await request.read()))

        async def echo(request):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await socket.send_str(await socket.receive_str())
            return socket

        async def large(request):
            return web.Response(body=b'x' * 50_000_000)

        app = web.Application(middlewares=[web.middleware(handle_errors_json)], client_max_size=2**20)
        app.router.add_route('*', '/', answer)
        app.router.add_post('/slow', slow)
        app.router.add_get('/large', large)
        app.router.add_get('/echo', echo)
        runner = Runner(app, limits=Limits(**limits))
        await runner.setup()
        site = web.TCPSite(runner, '127.0.0.1', 0, backlog=4096)
        await site.start()
        runners.append(runner)
        return site.port

    yield make
    for runner in runners:
        runner._shutdown_timeout = 0.1
        await runner.cleanup()


async def read(reader, limit=10.0):
    """Return status and body of the answer, and whether the connection was closed after it."""
    async with asyncio.timeout(limit):
        head = await reader.readuntil(b'\r\n\r\n')
        size = next(int(line[15:]) for line in head.split(b'\r\n') if line.lower().startswith(b'content-length:'))
        body = await reader.readexactly(size)
    return int(head.split()[1]), json.loads(body), head


async def ask(port, data=HEAD + b'Content-Length: 2\r\n\r\nhi'):
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(data)
    status, body, _ = await read(reader)
    writer.close()
    return status, body


async def trickle(writer, data, pause=0.1):
    """Send *data* byte by byte."""
    try:
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(pause)
    except ConnectionError:
        pass


async def test_a_head_that_comes_too_slowly_is_answered_with_408(serve):
    port = await serve(read_timeout=0.5)
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    sending = asyncio.create_task(trickle(writer, HEAD + b'X-Long: ' + b'x' * 1000))
    status, body, head = await read(reader)
    assert (status, body['code'], b'Connection: close' in head) == (408, 'request_timeout', True)
    assert await reader.read() == b''
    sending.cancel()


async def test_a_body_that_comes_too_slowly_is_answered_with_408(serve):
    port = await serve(read_timeout=0.5)
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(HEAD + b'Content-Length: 1000\r\n\r\n')
    sending = asyncio.create_task(trickle(writer, b'x' * 1000))
    status, body, head = await read(reader)
    assert (status, body['code'], b'connection: close' in head.lower()) == (408, 'request_timeout', True)
    assert await reader.read() == b''
    sending.cancel()


async def test_a_large_body_may_take_longer(serve):
    port = await serve(read_timeout=1)
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(HEAD + b'Content-Length: 40000\r\n\r\n')
    for _ in range(40):
        writer.write(b'x' * 1000)
        await asyncio.sleep(0.1)
    assert (await read(reader))[:2] == (200, 40000)


async def test_a_handler_that_does_not_read_is_not_its_clients_fault(serve):
    port = await serve(read_timeout=0.5)
    size = 1_000_000
    data = b'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' % size + b'x' * size
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(data)
    assert (await read(reader, 15))[:2] == (200, size)


async def test_a_connection_without_any_request_is_closed(serve):
    port = await serve(read_timeout=0.5)
    reader, _ = await asyncio.open_connection('127.0.0.1', port)
    async with asyncio.timeout(5):
        assert await reader.read() == b''


async def test_a_connection_between_requests_is_kept_as_long_as_it_may(serve):
    port = await serve(read_timeout=0.5, keep_alive_timeout=3)
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    for _ in range(2):
        writer.write(HEAD + b'Content-Length: 0\r\n\r\n')
        assert (await read(reader))[:2] == (200, 0)
        await asyncio.sleep(2)
    async with asyncio.timeout(5):
        assert await reader.read() == b''


async def test_a_connection_that_sent_a_slow_body_is_kept_as_long_as_any(serve):
    port = await serve(read_timeout=1.5, keep_alive_timeout=30)
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    for _ in range(2):
        writer.write(HEAD + b'Content-Length: 2\r\n\r\n')
        await asyncio.sleep(1.2)
        writer.write(b'hi')
        assert (await read(reader))[:2] == (200, 2)
        await asyncio.sleep(3)


async def test_a_web_socket_may_be_idle_for_long(serve):
    port = await serve(read_timeout=0.5, keep_alive_timeout=0.5)
    async with ClientSession() as session, session.ws_connect(f'http://127.0.0.1:{port}/echo') as socket:
        await asyncio.sleep(3)
        await socket.send_str('still there')
        assert await socket.receive_str() == 'still there'


async def test_a_client_that_waits_until_it_may_send_its_body_is_told_so(serve):
    port = await serve(read_timeout=2)
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(HEAD + b'Expect: 100-continue\r\nContent-Length: 2\r\n\r\n')
    assert await reader.readuntil(b'\r\n\r\n') == b'HTTP/1.1 100 Continue\r\n\r\n'
    writer.write(b'hi')
    assert (await read(reader))[:2] == (200, 2)


async def test_idle_connections_make_room_however_many_busy_ones_are_older(serve, monkeypatch):
    monkeypatch.setattr('colibris.server.protocol._MOST_LOOKED_AT', 2)
    port = await serve(max_connections=6)
    busy = [await asyncio.open_connection('127.0.0.1', port) for _ in range(4)]
    for _, writer in busy:
        writer.write(b'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi')
    idle = [await asyncio.open_connection('127.0.0.1', port) for _ in range(2)]
    await asyncio.sleep(0.2)
    answered = [await status_or_none(port) for _ in range(4)]
    assert answered.count(200) >= 1
    assert answered[-1] == 200
    assert [(await read(reader))[:2] for reader, _ in busy] == [(200, 2)] * 4
    del idle


async def status_or_none(port):
    try:
        return (await ask(port))[0]
    except (OSError, asyncio.IncompleteReadError):  # it was refused before it had sent
        return None


async def test_many_slow_senders_do_not_keep_others_from_being_served(serve):
    port = await serve(read_timeout=2)
    slow = [await asyncio.open_connection('127.0.0.1', port) for _ in range(500)]
    sending = [asyncio.create_task(trickle(writer, HEAD + b'x' * 100, 1)) for _, writer in slow]
    for _ in range(20):
        assert await ask(port) == (200, 2)
        await asyncio.sleep(0.05)
    answers = await asyncio.gather(*(read(reader) for reader, _ in slow))
    assert {status for status, _, _ in answers} == {408}
    for task in sending:
        task.cancel()


async def test_a_client_that_vanishes_in_the_middle_of_its_body_is_forgotten(serve):
    port = await serve()
    for _ in range(20):
        _, writer = await asyncio.open_connection('127.0.0.1', port)
        writer.write(HEAD + b'Content-Length: 100\r\n\r\nhalf')
        await writer.drain()
        writer.transport.abort()
    assert await ask(port) == (200, 2)


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(serve, monkeypatch):
    monkeypatch.setattr('colibris.server.protocol.WRITE_TIMEOUT', 1.0)
    port = await serve()
    reader, writer = await asyncio.open_connection('127.0.0.1', port, limit=1024)
    writer.transport.pause_reading()
    writer.write(b'GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
    await asyncio.sleep(5)
    writer.transport.resume_reading()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(50_000_000)


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(serve):
    port = await serve()
    status, body = await ask(port, HEAD + b'Content-Length: 1073741824\r\n\r\n')
    assert (status, body['code']) == (413, 'payload_too_large')


async def test_a_body_without_a_length_that_grows_too_large_is_refused(serve):
    port = await serve()
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    writer.write(HEAD + b'Transfer-Encoding: chunked\r\n\r\n')
    chunk = b'10000\r\n' + b'x' * 0x10000 + b'\r\n'
    answer = asyncio.create_task(read(reader))
    for _ in range(16_384):  # a gibibyte
        if answer.done() or writer.is_closing():
            break
        writer.write(chunk)
        await writer.drain()
    status, body, _ = await answer
    assert (status, body['code']) == (413, 'payload_too_large')


async def test_a_hundred_thousand_headers_are_refused(serve):
    port = await serve()
    status, body = await ask(port, HEAD + b'X: y\r\n' * 100_000 + b'\r\n')
    assert (status, body['code']) == (431, 'headers_too_large')
    assert (await ask(port, HEAD + b'X: y\r\n' * 90 + b'Content-Length: 0\r\n\r\n'))[0] == 200


async def test_an_idle_connection_makes_room_for_a_newcomer(serve):
    port = await serve(max_connections=3)
    idle = [await asyncio.open_connection('127.0.0.1', port) for _ in range(3)]
    await asyncio.sleep(0.1)
    assert await ask(port) == (200, 2)
    async with asyncio.timeout(2):
        assert await idle[0][0].read() == b''


async def test_a_newcomer_is_told_that_there_is_no_room(serve):
    port = await serve(max_connections=2)
    busy = [await asyncio.open_connection('127.0.0.1', port) for _ in range(2)]
    for _, writer in busy:
        writer.write(b'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi')
    await asyncio.sleep(0.2)
    reader, _ = await asyncio.open_connection('127.0.0.1', port)
    status, body, head = await read(reader)
    assert (status, body['code'], b'Retry-After: 1' in head) == (503, 'service_unavailable', True)
    assert [(await read(reader))[:2] for reader, _ in busy] == [(200, 2), (200, 2)]


CROWD = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
crowd = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
print('there', flush=True)
sys.stdin.read()
"""


async def test_ten_thousand_idle_connections_are_borne(serve):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pipe = asyncio.subprocess.PIPE
    try:
        port = await serve(max_connections=20_000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        arguments = ('-c', CROWD, str(port), '10000')
        crowd = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=pipe, stdout=pipe)
        async with asyncio.timeout(60):
            assert await crowd.stdout.readline() == b'there\n'
        async with asyncio.timeout(2):
            assert await ask(port) == (200, 2)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 10_000  # KiB
        crowd.kill()
        await crowd.wait()
        async with asyncio.timeout(5):
            assert await ask(port) == (200, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
