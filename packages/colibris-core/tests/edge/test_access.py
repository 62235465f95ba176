"""The access log: which requests are in it, and what is never."""

import asyncio
import io
import json
import logging

import pytest

from colibris.conf import ImproperlyConfigured
from colibris.edge import access
from colibris.logs import JSONFormatter, TextFormatter


@pytest.fixture
def logged(caplog):
    """Return the lines of the access log so far, as objects."""
    caplog.set_level(logging.INFO, 'colibris.access')
    formatter = JSONFormatter()
    return lambda: [
        json.loads(formatter.format(record)) for record in caplog.records if record.name == 'colibris.access'
    ]


@pytest.fixture
def console(monkeypatch, caplog):
    """Let all lines go to one handler, which writes to a text that is returned."""
    caplog.set_level(logging.INFO, 'colibris.access')
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    monkeypatch.setattr(access, 'only_handler', lambda: handler)
    monkeypatch.setattr(access.logger, 'handle', handler.handle)
    return stream


def test_lines_are_written_together_only_where_nothing_else_is_to_be_done_to_them(monkeypatch):
    plain = logging.StreamHandler()
    plain.setFormatter(JSONFormatter())
    for name, value in (('propagate', False), ('handlers', [plain]), ('filters', [])):
        monkeypatch.setattr(access.logger, name, value)
    assert access.only_handler() is plain
    access.logger.handlers.append(logging.NullHandler())
    assert access.only_handler() is None
    access.logger.handlers.pop()
    plain.setFormatter(TextFormatter())
    assert access.only_handler() is None
    plain.setFormatter(JSONFormatter())
    plain.addFilter(lambda record: True)
    assert access.only_handler() is None


async def test_lines_for_the_console_are_written_together_a_moment_later(serve, console):
    client = await serve('ACCESS_LOG = True; REQUEST_IDS = True')
    for number in range(3):
        await client.get('/who', headers={'X-Request-ID': f'id-{number}'})
    await client.get('/nothing')
    assert console.getvalue() == ''
    await asyncio.sleep(0.3)
    lines = [json.loads(line) for line in console.getvalue().splitlines()]
    assert [line['request_id'] for line in lines[:3]] == ['id-0', 'id-1', 'id-2']
    assert (lines[3]['status'], lines[3]['route'], lines[3]['message']) == (404, None, 'GET no route: 404')


@pytest.mark.parametrize(
    ('path', 'headers'),
    [
        ('/fail', {'X-Request-ID': 'abc'}),
        ('/who', {}),
        ('/who', {'X-Forwarded-For': '192.0.2.7'}),
        ('/mine', {'X-Request-ID': 'Root=1-67a@b/c:d'}),
        ('/nothing', {}),
    ],
)
async def test_they_say_what_logging_would(serve, console, monkeypatch, path, headers):
    add = access.Batch.add
    monkeypatch.setattr(access.Batch, 'add', lambda batch, *told: (add(batch, *told), access.write(*told)))
    client = await serve("ACCESS_LOG = True; REQUEST_IDS = True; TRUSTED_PROXIES = ['127.0.0.1']")
    await client.get(path, headers=headers)
    access.write_waiting()
    alone, together = (json.loads(line) for line in console.getvalue().splitlines())
    for line in (alone, together):
        assert line.pop('time').endswith('+00:00')
    assert together == alone


async def test_none_is_lost_at_the_end(serve, console):
    client = await serve('ACCESS_LOG = True')
    await client.get('/who')
    await client.close()
    assert console.getvalue().count('\n') == 1


async def test_by_itself_there_is_none(serve, logged):
    await (await serve()).get('/who')
    assert logged() == []


async def test_in_debug_each_request_is_logged_unless_the_setting_says_otherwise(serve, logged):
    await (await serve('DEBUG = True')).get('/who')
    assert len(logged()) == 1


async def test_a_line_tells_how_the_request_was_answered(serve, logged):
    client = await serve('ACCESS_LOG = True; REQUEST_IDS = True')
    await client.get('/who', headers={'X-Request-ID': 'abc'})
    (line,) = logged()
    assert (line['method'], line['route'], line['status'], line['request_id']) == ('GET', '/who', 200, 'abc')
    assert (line['remote'], line['level'], 0 < line['duration'] < 5) == ('127.0.0.1', 'INFO', True)
    assert line['message'] == 'GET /who: 200'


@pytest.mark.parametrize(('path', 'status'), [('/taken', 409), ('/nothing', 404), ('/streamed', 200)])
async def test_refusals_and_streams_are_logged_too(serve, logged, path, status):
    await (await serve('ACCESS_LOG = True')).get(path)
    assert [line['status'] for line in logged()] == [status]


async def test_a_part_is_logged_but_every_failure(serve, logged, monkeypatch):
    client = await serve('ACCESS_LOG = 0.25')
    chances = iter([0.1, 0.25, 0.9, 0.2])
    monkeypatch.setattr(access.random, 'random', lambda: next(chances))
    for _ in range(4):
        await client.get('/who')
    await client.get('/fail')
    assert [(line['status'], line['level']) for line in logged()] == [(200, 'INFO'), (200, 'INFO'), (500, 'ERROR')]


async def test_no_secret_of_a_request_is_in_any_line(serve, logged, caplog):
    client = await serve('ACCESS_LOG = True')
    caplog.set_level(logging.DEBUG)
    secret = 'hunter2hunter2'
    headers = {'Authorization': f'Bearer {secret}', 'Cookie': f'session={secret}', 'X-API-Key': secret}
    for path in ('/who', '/fail', f'/fail/{secret}', '/nothing', f'/nothing/{secret}'):
        await client.post(f'{path}?token={secret}', headers=headers, json={'password': secret})
        await client.get(f'{path}?token={secret}', headers=headers)
    assert len(logged()) == 10
    formatter = JSONFormatter()
    ours = [record for record in caplog.records if record.name.startswith('colibris')]
    assert secret not in ''.join(formatter.format(record) for record in ours)


@pytest.mark.parametrize('value', [-0.1, 1.5, "'yes'"])
async def test_what_is_no_part_is_refused(serve, value):
    with pytest.raises(ImproperlyConfigured, match='ACCESS_LOG'):
        await serve(f'ACCESS_LOG = {value}')
