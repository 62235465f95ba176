"""One connection to Redis that asks and listens: answers and messages keep apart, and who waits is told of its end."""

import asyncio
import time
from contextlib import aclosing

import psutil
import pytest
import redis
from redis import exceptions
from taskqueue_faults import Redis

from colibris.taskqueue.dramatiq.rabbitmq import duplex as module
from colibris.taskqueue.dramatiq.rabbitmq.duplex import Duplex
from colibris.taskqueue.stores.redis_server import RedisServer


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """A Redis server of the tests' own."""
    server = Redis(tmp_path_factory.mktemp('redis'))
    server.start()
    yield server
    server.close()


@pytest.fixture
async def redis_wire(server, make_wire):
    return await make_wire('127.0.0.1', server.port)


@pytest.fixture
async def duplex(redis_wire):
    duplex = Duplex(RedisServer(port=redis_wire.port), timeout=1.0)
    yield duplex
    await duplex.close()


@pytest.fixture
def publish(server):
    with redis.Redis(port=server.port) as client:
        yield lambda channel, data: client.publish(channel, data)


def echo(*texts):
    return [('ECHO', text) for text in texts]


def readers():
    return [task for task in asyncio.all_tasks() if task.get_name() == 'colibris.taskqueue.redis.reader']


async def hear(listening):
    async with asyncio.timeout(10):
        return await anext(listening)


async def test_answers_come_in_the_order_of_the_questions(duplex):
    asked = [duplex.ask(*echo(f'{number}a', f'{number}b')) for number in range(100)]
    answers = await asyncio.gather(*asked)
    assert answers == [[f'{number}a'.encode(), f'{number}b'.encode()] for number in range(100)]


async def test_what_is_published_is_no_answer(duplex, publish):
    async with aclosing(duplex.listen('c')) as listening:
        assert await hear(listening) is None
        asked = [asyncio.create_task(duplex.ask(*echo(f'{number}'))) for number in range(50)]
        await asyncio.to_thread(lambda: [publish('c', b'%d' % number) for number in range(50)])
        assert await asyncio.gather(*asked) == [[b'%d' % number] for number in range(50)]
        assert [await hear(listening) for _ in range(50)] == [b'%d' % number for number in range(50)]


async def test_thousands_of_messages_do_not_hold_the_event_loop(server, publish, monkeypatch):
    duplex = Duplex(RedisServer(port=server.port), timeout=1.0)
    longest, run = 0.0, asyncio.Handle._run

    def measured(handle):
        nonlocal longest
        begun = time.thread_time()
        run(handle)
        longest = max(longest, time.thread_time() - begun)

    async with aclosing(duplex.listen('c')) as listening:
        await hear(listening)
        for _ in range(5000):  # the event loop does nothing meanwhile
            publish('c', bytes(100))
        monkeypatch.setattr(asyncio.Handle, '_run', measured)
        for _ in range(5000):
            await hear(listening)
    await duplex.close()
    assert 0 < longest < 0.005


async def test_one_connection_serves_both(duplex, redis_wire):
    def connections():
        return [each for each in psutil.Process().net_connections('tcp') if each.raddr and each.raddr.port == port]

    port = redis_wire.port
    async with aclosing(duplex.listen('c')) as listening:
        await hear(listening)
        await asyncio.gather(*(duplex.ask(*echo('x')) for _ in range(100)))
        assert len([each for each in connections() if each.status == 'ESTABLISHED']) == 1


async def test_an_error_is_an_answer_like_others(duplex):
    first, error, last = await duplex.ask(('ECHO', 'a'), ('EVALSHA', '0' * 40, 0), ('ECHO', 'b'))
    assert (first, last) == (b'a', b'b')
    assert isinstance(error, exceptions.NoScriptError)


async def test_a_connection_that_was_lost_is_made_again_and_who_listens_is_told(duplex, redis_wire, publish):
    async with aclosing(duplex.listen('c')) as listening:
        await hear(listening)
        await redis_wire.cut()
        await redis_wire.mend()
        with pytest.raises(exceptions.ConnectionError):
            await hear(listening)
    assert await duplex.ask(*echo('x')) == [b'x']
    async with aclosing(duplex.listen('c')) as listening:
        await hear(listening)
        publish('c', b'again')
        assert await hear(listening) == b'again'


async def test_what_was_asked_when_the_connection_is_lost_is_asked_again(duplex, redis_wire):
    await duplex.ask(*echo('x'))
    redis_wire.flowing.clear()
    asked = [asyncio.create_task(duplex.ask(*echo(f'{number}'))) for number in range(10)]
    await asyncio.sleep(0.1)
    redis_wire.flowing.set()
    await redis_wire.interrupt()
    assert await asyncio.gather(*asked) == [[b'%d' % number] for number in range(10)]


async def test_a_server_that_does_not_answer_is_told_and_found_again(duplex, redis_wire):
    async with aclosing(duplex.listen('c')) as listening:
        await hear(listening)
        redis_wire.flowing.clear()
        begun = time.monotonic()
        with pytest.raises(exceptions.TimeoutError, match='no answer within 1 s'):
            await duplex.ask(*echo('x'))
        with pytest.raises(exceptions.TimeoutError):
            await hear(listening)
        with pytest.raises(exceptions.TimeoutError, match='no connection within 1 s'):
            await duplex.ask(*echo('x'))
        assert time.monotonic() - begun < 4
    redis_wire.flowing.set()
    assert await duplex.ask(*echo('y')) == [b'y']


async def test_a_connection_that_has_died_in_silence_is_noticed_by_who_listens(duplex, redis_wire, monkeypatch):
    monkeypatch.setattr(module, '_SILENCE', 0.1)
    async with aclosing(duplex.listen('c')) as listening:
        await hear(listening)
        listener = asyncio.create_task(hear(listening))
        await asyncio.sleep(0.5)
        assert not listener.done()
        redis_wire.flowing.clear()
        with pytest.raises(exceptions.TimeoutError):
            await listener


async def test_who_asks_no_longer_leaves_the_answers_of_others_alone(duplex, redis_wire):
    await duplex.ask(*echo('x'))
    redis_wire.flowing.clear()
    left, stays = (asyncio.create_task(duplex.ask(*echo(text))) for text in ('left', 'stays'))
    await asyncio.sleep(0.05)
    left.cancel()
    redis_wire.flowing.set()
    assert await stays == [b'stays']


async def test_a_subscription_that_is_refused_is_an_error_and_no_answer(duplex, server):
    with redis.Redis(port=server.port) as client:
        client.acl_setuser('deaf', enabled=True, passwords=['+secret'], keys=['*'], categories=['+@all'])
        client.execute_command('ACL', 'SETUSER', 'deaf', 'resetchannels')
    deaf = Duplex(RedisServer(port=server.port, username='deaf', password='secret'), timeout=1.0)
    asked = [asyncio.create_task(deaf.ask(*echo('x'))) for _ in range(5)]
    with pytest.raises(exceptions.NoPermissionError):
        await hear(deaf.listen('c'))
    assert await asyncio.gather(*asked) == [[b'x']] * 5
    await deaf.close()


@pytest.mark.parametrize('option', ['health_check_interval=1', 'protocol=2'])
async def test_what_the_url_says_of_other_connections_does_not_disturb_this_one(server, publish, option):
    duplex = Duplex(RedisServer(url=f'redis://127.0.0.1:{server.port}/0?{option}'), timeout=2.0)
    async with aclosing(duplex.listen('c')) as listening:
        await hear(listening)
        for _ in range(2):
            await asyncio.sleep(1.2)
            assert await duplex.ask(*echo('x')) == [b'x']
            publish('c', b'said')
            assert await hear(listening) == b'said'
    await duplex.close()


async def test_an_error_that_nobody_expects_is_the_end_of_the_connection(duplex, redis_wire, monkeypatch):
    async def breaks(*args, **options):
        raise RuntimeError('read() called while another coroutine is already waiting')

    await duplex.ask(*echo('x'))
    redis_wire.flowing.clear()
    waiting = asyncio.create_task(duplex._ask(echo('waiting')))
    await asyncio.sleep(0.05)
    monkeypatch.setattr(duplex._wire._connection, 'send_packed_command', breaks)
    with pytest.raises(exceptions.ConnectionError, match='RuntimeError: read'):
        await duplex._ask(echo('y'))
    with pytest.raises(exceptions.ConnectionError):
        await waiting
    redis_wire.flowing.set()
    assert await duplex.ask(*echo('z')) == [b'z']


async def test_what_cannot_be_sent_leaves_the_answers_of_others_alone(duplex):
    await duplex.ask(*echo('x'))
    wire = duplex._wire
    with pytest.raises(exceptions.DataError):
        await duplex.ask(('ECHO', None))
    assert await duplex.ask(*echo('y')) == [b'y']
    assert duplex._wire is wire


async def test_who_is_cancelled_amid_sending_ends_the_connection_for_the_others(duplex, redis_wire):
    await duplex.ask(*echo('x'))
    wire = duplex._wire
    redis_wire.flowing.clear()
    sends = asyncio.create_task(duplex.ask(('ECHO', bytes(50_000_000))))
    await asyncio.sleep(0.2)
    sends.cancel()
    await asyncio.wait([sends])
    assert wire.is_lost
    redis_wire.flowing.set()
    assert await duplex.ask(*echo('y')) == [b'y']


async def test_what_still_waits_is_told_when_it_is_closed(duplex, redis_wire):
    await duplex.ask(*echo('x'))
    redis_wire.flowing.clear()
    asked = asyncio.create_task(duplex.ask(*echo('x')))
    await asyncio.sleep(0.05)
    await duplex.close()
    with pytest.raises(exceptions.ConnectionError, match='was closed'):
        await asked
    assert readers() == []


async def test_closing_ends_the_making_of_a_connection(redis_wire):
    duplex = Duplex(RedisServer(port=redis_wire.port), timeout=30.0)
    redis_wire.flowing.clear()
    asked = [asyncio.create_task(duplex.ask(*echo('x'))) for _ in range(3)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        await duplex.close()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [(type(answer), str(answer)) for answer in answers] == [
        (exceptions.ConnectionError, 'the connection was closed')
    ] * 3
    assert readers() == []


async def test_one_that_is_closed_is_not_opened_again(duplex):
    await duplex.ask(*echo('x'))
    await duplex.close()
    await duplex.close()
    with pytest.raises(exceptions.ConnectionError, match='was closed'):
        await duplex.ask(*echo('x'))
    with pytest.raises(exceptions.ConnectionError, match='was closed'):
        await hear(duplex.listen('c'))
    assert readers() == []
