"""The cache on Redis: the contract, one round trip, and a server that goes away."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from urllib.parse import quote

import pytest
import trustme

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
    await cache._redis.set(b'\xfflock:' + cache._key('key'), b'somebody', px=300)
    begun = time.monotonic()
    assert await cache.get_or_set('key', lambda: 1) == 1
    assert 0.1 < time.monotonic() - begun < 2
    await cache.clear()
    await cache.close()


async def test_a_lock_is_renewed_while_the_factory_runs(make):
    one, two = (make(prefix='renewed', lock_timeout=1) for _ in range(2))
    calls = []

    async def factory():
        calls.append(1)
        await asyncio.sleep(2.5)
        return 1

    assert await asyncio.gather(one.get_or_set('key', factory), two.get_or_set('key', factory)) == [1, 1]
    assert calls == [1]
    await one.clear()
    await one.close()
    await two.close()


def test_a_wrong_on_error_is_refused():
    with pytest.raises(ValueError, match="'raise' or 'miss'"):
        RedisBackend(on_error='ignore')


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


class Server:
    """A Redis server of the test's own, to be killed."""

    def __init__(self, port):
        self.port = port
        self.process = None

    def start(self, *options):
        options = options or ('--port', str(self.port))
        self.process = subprocess.Popen(
            ['redis-server', *options, '--save', '', '--appendonly', 'no', '--bind', '127.0.0.1'],
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
    server = Server(free_port())
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


async def test_with_miss_a_server_that_hangs_is_not_waited_for_each_time(server):
    cache = RedisBackend(port=server.port, prefix='hangs', timeout=0.3, on_error='miss')
    await cache.open()
    await cache.set('key', 1)
    server.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    for _ in range(100):
        assert await cache.get_or_set('key', lambda: 2) == 2
    assert time.monotonic() - begun < 2
    server.process.send_signal(signal.SIGCONT)
    await asyncio.sleep(1.1)
    assert await cache.get('key') == 1
    await cache.close()


async def test_a_replica_that_takes_no_writes_is_treated_as_away(server):
    cache = RedisBackend(port=server.port, prefix='replica', on_error='miss')
    await cache.open()
    await cache._redis.replicaof('127.0.0.1', 1)
    await cache.set('key', 1)
    assert await cache.get('key') is None
    strict = RedisBackend(port=server.port, prefix='replica')
    with pytest.raises(CacheUnavailable, match='cannot be reached'):
        await strict.set('key', 1)
    await cache.close()
    await strict.close()


@pytest.fixture
def secured(tmp_path):
    """Return the port of a server with a password, behind TLS, and the file of its authority."""
    authority = trustme.CA()
    certificate = authority.issue_cert('localhost', '127.0.0.1')
    authority.cert_pem.write_to_path(str(tmp_path / 'ca.pem'))
    certificate.private_key_pem.write_to_path(str(tmp_path / 'key.pem'))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / 'cert.pem'))
    if shutil.which('redis-server') is None:
        pytest.skip('redis-server is not installed')
    server = Server(free_port())
    files = {name: str(tmp_path / f'{name}.pem') for name in ('ca', 'cert', 'key')}
    server.start(
        *('--tls-port', str(server.port), '--port', '0', '--tls-auth-clients', 'no', '--requirepass', SECRET),
        *('--tls-ca-cert-file', files['ca'], '--tls-cert-file', files['cert'], '--tls-key-file', files['key']),
    )
    yield server.port, files['ca']
    server.kill()


SECRET = 'p:a/s@s#w%r?d'


async def test_tls_and_passwords(secured):
    port, ca_file = secured
    place = {'host': '127.0.0.1', 'port': port}
    quoted = quote(SECRET, safe='')
    for options in (
        {**place, 'tls': True, 'password': SECRET, 'ca_file': ca_file},
        {'url': f'rediss://:{quoted}@127.0.0.1:{port}/0', 'ca_file': ca_file},
        {'url': f'rediss://default:{quoted}@localhost:{port}?ssl_ca_certs={ca_file}'},
        {'url': f'rediss://localhost:{port}', 'password': SECRET, 'username': 'default', 'ca_file': ca_file},
    ):
        cache = RedisBackend(**options)
        await cache.open()
        await cache.set('key', 1)
        assert await cache.get('key') == 1
        await cache.close()


async def test_what_is_wrong_with_a_secured_server_is_told_without_the_password(secured, caplog):
    port, ca_file = secured
    place = {'host': '127.0.0.1', 'port': port, 'timeout': 2}
    for options, told in (
        ({'tls': True, 'password': SECRET}, 'certificate'),
        ({'tls': True, 'password': SECRET + 'x', 'ca_file': ca_file}, 'invalid'),
        ({'tls': True, 'ca_file': ca_file, 'on_error': 'miss'}, 'refuses the username or the password, or wants one'),
        ({'password': SECRET}, 'cannot be reached'),
    ):
        cache = RedisBackend(**place, **options)
        with pytest.raises(CacheUnavailable, match=told) as raised:
            await cache.open()
        assert SECRET not in str(raised.value)
        await cache.close()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    'url',
    [
        'http://user:secret@host',
        'redis://user:sec/ret@host:6379',
        'redis://user:secret@host:port',
        'redis://user:secret@[host:6379',
        'redis://user:secret@host:6379/0?max_connections=secret',
        'secret',
    ],
)
def test_a_wrong_url_is_told_without_its_password(url):
    with pytest.raises(ValueError, match=r'url is not one of a Redis server.*%XX') as raised:
        RedisBackend(url=url)
    assert 'sec' not in str(raised.value)


@pytest.mark.parametrize(
    ('options', 'told'),
    [
        ({'url': 'redis://a', 'host': 'b'}, 'do not give host beside it'),
        ({'url': 'redis://a', 'db': 0, 'port': 1}, 'do not give port, db'),
        ({'url': 'redis://:a@b', 'password': 'c'}, 'password is given twice'),
        ({'url': 'redis://a?fleas=1'}, 'fleas'),
        ({'url': 'redis://a?socket_timeout=1'}, 'url must not say socket_timeout: see the options timeout'),
        ({'url': 'redis://a?decode_responses=1&max_connections=1'}, 'must not say decode_responses, max_connections'),
        ({'port': '6379'}, 'port must be an integer'),
        ({'db': -1}, 'db must be an integer'),
        ({'timeout': 0}, 'timeout must be a positive'),
        ({'ca_file': '/nowhere'}, 'ca_file is for TLS'),
        ({'ca_file': '/nowhere', 'tls': True}, 'cannot be read'),
    ],
)
def test_wrong_options_are_named(options, told):
    with pytest.raises(ValueError, match=told):
        RedisBackend(**options)


ASKING = """
import asyncio, sys
from colibris.cache.redis import RedisBackend

async def main(url, prefix):
    cache = RedisBackend(url=url, prefix=prefix)

    async def factory():
        await asyncio.sleep(0.5)
        return await cache.incr('computations')

    print(await asyncio.gather(*(cache.get_or_set('key', factory) for _ in range(200))) == [1] * 200)
    await cache.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_compute_once(make):
    prefix = uuid.uuid4().hex
    command = [sys.executable, '-c', ASKING, URL, prefix]
    processes = [
        await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(4)
    ]
    for process in processes:
        output, _ = await process.communicate()
        assert output.decode() == 'True\n'
    cache = make(prefix=prefix)
    assert await cache.get('computations') == 1
    await cache.clear()
    await cache.close()


async def test_an_unreachable_server_is_an_error_at_start_up():
    with pytest.raises(CacheUnavailable, match='cannot be reached'):
        await RedisBackend(port=1, timeout=1).open()
