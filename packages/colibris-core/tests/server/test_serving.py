import asyncio
import signal
import socket
import sys
import time

import pytest
from aiohttp import web

from colibris.server import bind, serve
from colibris.server.serving import Shutdown, Stop

ECHO = """
async def get(request):
    await asyncio.sleep(0.003)
    return web.Response(text='hello')

async def post(request):
    body = await request.read()
    await asyncio.sleep(0.002)
    return web.Response(body=body)

app.router.add_get('/', get)
app.router.add_post('/', post)
"""

SLOW = """
async def slow(request):
    await asyncio.sleep(float(request.query['s']))
    return web.Response(text='done')

app.router.add_get('/', slow)
"""


@pytest.mark.parametrize('after', [0.3, 0.41, 0.57])
async def test_sigterm_loses_no_request_of_clients_that_keep_sending(start, hammer, after):
    served = start(ECHO)
    answers = await hammer(served.port, served.terminate, after=after)
    assert min(answers) > 0
    assert await served.exit_code() == 0


async def test_sigterm_resets_no_new_connection(start, connect):
    """Each request comes on a connection of its own; once that is made its answer must come, too."""
    served = start(ECHO)
    answers = 0

    async def client():
        nonlocal answers
        while True:
            try:
                connection = await connect(served.port)
            except ConnectionRefusedError:
                return
            assert await connection.get() == (200, b'hello')
            connection.writer.close()
            answers += 1

    clients = asyncio.gather(*(client() for _ in range(32)))
    await asyncio.sleep(0.7)
    served.terminate()
    await asyncio.wait_for(clients, 20)
    assert answers > 32
    assert await served.exit_code() == 0


async def test_a_request_in_flight_is_finished_and_its_connection_closed(start, connect):
    served = start(SLOW)
    client = await connect(served.port)
    answer = asyncio.create_task(client.get('/?s=0.6'))
    await asyncio.sleep(0.2)
    served.terminate()
    assert await answer == (200, b'done')
    assert client.closing()
    assert await served.exit_code() == 0


async def test_a_request_on_a_connection_that_was_idle_is_answered_after_the_signal(start, connect):
    served = start(SLOW)
    client = await connect(served.port)
    assert await client.get('/?s=0') == (200, b'done')
    served.terminate()
    await asyncio.sleep(0.4)
    assert await client.get('/?s=0') == (200, b'done')
    assert client.closing()


async def test_a_request_that_arrives_in_pieces_is_answered_after_the_signal(start, connect):
    served = start(SLOW)
    client = await connect(served.port)
    served.terminate()
    for piece in (b'GET /?s=0 HTTP/1.1\r\n', b'Host: x\r\n', b'X-More: y\r\n'):
        client.writer.write(piece)
        await asyncio.sleep(0.6)
    assert await client.send(b'\r\n') == (200, b'done')


async def test_an_idle_connection_is_closed_soon(start, connect):
    served = start(SLOW)
    client = await connect(served.port)
    await client.get('/?s=0')
    served.terminate()
    began = time.monotonic()
    assert await client.reader.read() == b''
    assert 0.5 < time.monotonic() - began < 3
    assert await served.exit_code() == 0


async def test_new_connections_are_refused_after_the_signal(start, connect):
    served = start(SLOW)
    client = await connect(served.port)
    answer = asyncio.create_task(client.get('/?s=1.5'))
    await asyncio.sleep(0.2)
    served.terminate()
    await asyncio.sleep(0.4)
    with pytest.raises(ConnectionRefusedError):
        await connect(served.port)
    assert await answer == (200, b'done')


async def test_what_does_not_finish_within_the_limit_is_cut_off(start, connect):
    served = start(SLOW, limit=0.5)
    client = await connect(served.port)
    answer = asyncio.create_task(client.reader.read())
    client.writer.write(b'GET /?s=60 HTTP/1.1\r\nHost: x\r\n\r\n')
    await asyncio.sleep(0.2)
    began = time.monotonic()
    served.terminate()
    assert await served.exit_code() == 0
    assert time.monotonic() - began < 5
    assert await answer == b''


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_process_at_once(start, connect, number):
    served = start(SLOW)
    client = await connect(served.port)
    client.writer.write(b'GET /?s=60 HTTP/1.1\r\nHost: x\r\n\r\n')
    await asyncio.sleep(0.2)
    served.process.send_signal(number)
    await asyncio.sleep(0.3)
    assert served.process.poll() is None
    served.process.send_signal(number)
    assert await served.exit_code(2) == -number


async def test_websockets_are_told_at_once(start, connect):
    served = start("""
import aiohttp
sockets_open = set()

async def chat(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    sockets_open.add(socket)
    async for message in socket:
        pass
    return socket

async def tell(app):
    for socket in sockets_open:
        await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

app.router.add_get('/', chat)
app.on_shutdown.append(tell)
""")
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(f'http://127.0.0.1:{served.port}/') as socket:
        served.terminate()
        began = time.monotonic()
        message = await socket.receive()
        assert message.data == aiohttp.WSCloseCode.GOING_AWAY
        assert time.monotonic() - began < 2
    assert await served.exit_code() == 0


async def test_a_signal_while_starting_up_cancels_the_start_and_closes_what_was_opened(start):
    served = start(
        """
async def first(app):
    yield
    print('closed', flush=True)

async def second(app):
    print('starting', flush=True)
    await asyncio.sleep(60)
    yield

app.cleanup_ctx.extend([first, second])
""",
        wait=False,
    )
    assert served.process.stdout.readline() == b'starting\n'
    served.terminate()
    assert await served.exit_code() == 0
    assert served.process.stdout.read() == b'closed\n'


async def test_a_start_that_fails_closes_what_was_opened_and_raises():
    closed = []

    async def opened(app):
        yield
        closed.append(True)

    async def failing(app):
        raise LookupError('no database')
        yield

    app = web.Application()
    app.cleanup_ctx.extend([opened, failing])
    sockets = bind('127.0.0.1', 0)
    with pytest.raises(LookupError, match='no database'):
        await serve(app, sockets)
    assert closed == [True]
    sockets[0].close()


@pytest.fixture
async def serving():
    """Serve an application in this process: ``port, stop, task = await serving(app)``."""
    tasks = []

    async def begin(app):
        sockets = bind('127.0.0.1', 0)
        port = sockets[0].getsockname()[1]
        listening: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()

        async def run():
            stop = Stop()
            shutdown = Shutdown(accept=0, idle=0.5)
            await serve(app, sockets, stop=stop, shutdown=shutdown, on_listening=lambda: listening.set_result(stop))

        tasks.append(asyncio.create_task(run()))
        return port, await listening, tasks[-1]

    yield begin
    for task in tasks:
        task.cancel()


def app_with(handler):
    app = web.Application()
    app.router.add_get('/', handler)
    return app


async def test_the_application_is_closed_after_the_last_answer(serving, connect):
    events = []

    async def slow(request):
        await asyncio.sleep(0.3)
        events.append('answered')
        return web.Response()

    async def opened(app):
        yield
        events.append('closed')

    app = app_with(slow)
    app.cleanup_ctx.append(opened)
    port, stop, task = await serving(app)
    client = await connect(port)
    answer = asyncio.create_task(client.get())
    await asyncio.sleep(0.1)
    stop.request()
    assert (await answer)[0] == 200
    await task
    assert events == ['answered', 'closed']


async def hello(request):
    return web.Response(text='hello')


def at_close(monkeypatch, action):
    """Do *action* in the instant in which the server stops to accept."""
    close = asyncio.base_events.Server.close

    def close_and_act(server):
        close(server)
        action()

    monkeypatch.setattr(asyncio.base_events.Server, 'close', close_and_act)


async def test_a_connection_that_waits_when_the_server_stops_to_accept_is_served(serving, monkeypatch):
    port, stop, task = await serving(app_with(hello))
    waiting = []

    def come():
        waiting.append(socket.create_connection(('127.0.0.1', port), timeout=5))
        waiting[0].sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')

    monkeypatch.setattr('colibris.server.serving.refuse_newcomers', lambda sockets: None)
    at_close(monkeypatch, come)
    stop.request()
    await task
    with waiting[0] as client:
        assert client.recv(10000).endswith(b'hello')


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel of Linux does it')
async def test_no_connection_is_made_any_more_when_the_server_stops_to_accept(serving, monkeypatch):
    port, stop, task = await serving(app_with(hello))
    errors = []

    def come():
        try:
            socket.create_connection(('127.0.0.1', port), timeout=0.3).close()
        except OSError as exc:
            errors.append(exc)

    at_close(monkeypatch, come)
    stop.request()
    await task
    assert [type(error) for error in errors] == [TimeoutError]
