"""Commands to Redis are spans while tracing is on."""

import os
import socket
import uuid

import pytest

from colibris import tracing
from colibris.cache.redis import RedisBackend
from colibris.tracing.testing import recorded

URL = os.environ.get('COLIBRIS_TEST_REDIS', 'redis://127.0.0.1:6379/0')


@pytest.fixture
async def spans():
    host, port = URL.split('//')[1].split('/')[0].rsplit(':', 1)
    try:
        socket.create_connection((host.rpartition('@')[2], int(port)), timeout=1).close()
    except OSError:
        if os.environ.get('CI'):
            raise
        pytest.skip(f'no Redis at {host}:{port}')
    async with recorded() as exporter:
        yield exporter


@pytest.fixture
async def cache(spans):
    backend = RedisBackend(url=URL, prefix=uuid.uuid4().hex)
    await backend.open()
    spans.clear()
    yield backend
    await backend.clear()
    await backend.close()


async def test_commands_are_spans_of_the_request_without_keys_and_values(spans, cache):
    with tracing.span('request'):
        await cache.set('hunter2', 'hunter2')
        assert await cache.get('hunter2') == 'hunter2'
        await cache.set_many({'hunter2': 1, 'b': 2})
        assert await cache.incr('hunter2') == 2
        assert await cache.delete('hunter2')
    *found, request = spans.get_finished_spans()
    assert {'SET', 'GET'} <= {span.name for span in found}
    for span in found:
        assert (span.attributes['db.system'], span.parent.span_id) == ('redis', request.context.span_id)
        assert 'hunter2' not in span.to_json()


async def test_other_clients_are_let_alone(spans, cache):
    """Such as that of a queue of tasks, which asks all the time."""
    other = RedisBackend(url=URL, prefix='other')
    await other.read(b'key')
    await other.close()
    assert spans.get_finished_spans() == ()
