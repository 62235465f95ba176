"""The cache on Redis: the contract, one round trip, and a server that goes away."""

import asyncio
import os
import shutil
import socket
import subprocess
import time

import pytest

from colibris.cache.errors import CacheUnavailable
from colibris.cache.redis import RedisBackend
from colibris.cache.testing import CacheBackendSuite

URL = os.environ.get('COLIBRIS_TEST_REDIS', 'redis://127.0.0.1:6379/0')


def redis_or_skip():
    host, port = URL.split('//')[1].split('/')[0].rsplit(':', 1)
    try:
        socket.create_connection((host.rpartition('@')[2], int(port)), timeout=1).close()
    except OSError:
        if os.environ.get('CI'):
            raise
        pytest.skip(f'no Redis at {host}:{port}')


@pytest.fixture
def make():
    redis_or_skip()
    return lambda **options: RedisBackend(url=URL, **options)


class TestRedisBackend(CacheBackendSuite):
    @pytest.fixture
    def make(self):
        redis_or_skip()
        return lambda **options: RedisBackend(url=URL, **options)


async def test_the_options_of_the_seed(make):
    host, port = URL.split('//')[1].split('/')[0].rsplit(':', 1)
    cache = RedisBackend(host=host, port=int(port), db=0, prefix='seed')
    await cache.open()
    await cache.set('key', 1)
    assert await make(prefix='seed').get('key') == 1
    await cache.clear()
    await cache.close()


async def test_many_keys_take_one_round_trip(make):
    cache = make(prefix='trips')
    await cache.open()
    commands = await cache._redis.info('commandstats')
    reads = commands.get('cmdstat_get', {'calls': 0})['calls']
    await cache.set_many({str(number): number for number in range(100)})
    assert len(await cache.get_many(map(str, range(100)))) == 100
    assert await cache.delete_many(map(str, range(100))) == 100
    after = await cache._redis.info('commandstats')
    assert after.get('cmdstat_get', {'calls': 0})['calls'] == reads
    await cache.close()


async def test_more_callers_than_connections_wait_for_one(make):
    cache = make(prefix='pool', max_connections=2)
    await cache.open()
    await asyncio.gather(*(cache.set(str(number), number) for number in range(500)))
    assert len(await cache.get_many(map(str, range(500)))) == 500
    await cache.clear()
    await cache.close()


async def test_the_lock_of_a_holder_that_died_falls_free(make):
    cache = make(prefix='lock', lock_timeout=0.3)
    await cache._redis.set(b'lock:' + cache._key('key'), b'somebody', px=300)
    begun = time.monotonic()
    assert await cache.get_or_set('key', lambda: 1) == 1
    assert 0.1 < time.monotonic() - begun < 2
    await cache.clear()
    await cache.close()


async def test_a_lock_is_renewed_while_the_factory_runs(make):
    one, two = (make(prefix='renewed', lock_timeout=0.3) for _ in range(2))
    calls = []

    async def factory():
        calls.append(1)
        await asyncio.sleep(1)
        return 1

    assert await asyncio.gather(one.get_or_set('key', factory), two.get_or_set('key', factory)) == [1, 1]
    assert calls == [1]
    await one.clear()
    await one.close()
    await two.close()


def test_a_wrong_on_error_is_refused():
    with pytest.raises(ValueError, match="'raise' or 'miss'"):
        RedisBackend(on_error='ignore')


class Server:
    """A Redis server of the test's own, to be killed."""

    def __init__(self, port):
        self.port = port
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ['redis-server', '--port', str(self.port), '--save', '', '--appendonly', 'no', '--bind', '127.0.0.1'],
            stdout=subprocess.DEVNULL,
        )
        for _ in range(100):
            try:
                socket.create_connection(('127.0.0.1', self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError('redis-server does not answer')

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server():
    if shutil.which('redis-server') is None:
        pytest.skip('redis-server is not installed')
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port = sock.getsockname()[1]
    server = Server(port)
    server.start()
    yield server
    server.kill()


async def test_a_server_that_is_away_raises_and_heals(server):
    cache = RedisBackend(port=server.port, prefix='away', timeout=1)
    await cache.open()
    await cache.set('key', 1)
    server.kill()
    for operation in (cache.get('key'), cache.set('key', 1), cache.incr('n'), cache.get_many(['a']), cache.clear()):
        with pytest.raises(CacheUnavailable, match='cannot be reached'):
            await operation
    with pytest.raises(CacheUnavailable):
        await cache.get_or_set('key', lambda: 1)
    with pytest.raises(CacheUnavailable):
        await cache.check_health()
    server.start()
    await cache.set('key', 2)
    assert await cache.get('key') == 2
    await cache.close()


async def test_with_miss_a_server_that_is_away_is_a_miss_logged_once(server, caplog):
    cache = RedisBackend(port=server.port, prefix='away', timeout=1, on_error='miss')
    await cache.open()
    server.kill()
    await cache.set('key', 1)
    assert await cache.get('key', 'miss') == 'miss'
    assert await cache.get_many(['key']) == {}
    assert await cache.add('key', 1) is False
    assert await cache.incr('key', 3) == 3
    assert await cache.get_or_set('key', lambda: 7) == 7
    await cache.check_health()
    assert len([record for record in caplog.records if 'cannot be reached' in record.message]) == 1
    server.start()
    await cache.set('key', 2)
    assert await cache.get('key') == 2
    await cache.close()


async def test_an_unreachable_server_is_an_error_at_start_up():
    with pytest.raises(CacheUnavailable, match='cannot be reached'):
        await RedisBackend(port=1, timeout=1).open()
