"""Spans of requests."""

import json
import logging

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured
from colibris.logs import JSONFormatter
from colibris.tracing import requests

TRACE = '0af7651916cd43dd8448eb211c80319c'
PARENT = 'b7ad6b7169203331'


def servers(spans):
    return [span for span in spans() if span.kind is SpanKind.SERVER]


async def test_a_request_is_a_span_named_by_its_route(serve, spans):
    client = await serve()
    assert (await client.get('/items/1')).status == 200
    inner, outer = spans()
    assert (outer.name, outer.attributes['http.route'], outer.attributes['http.status_code']) == (
        *('GET /items/{id}', '/items/{id}'),
        200,
    )
    assert (inner.name, dict(inner.attributes), inner.parent.span_id) == (
        *('look up', {'found': 1}),
        outer.context.span_id,
    )


@pytest.mark.parametrize(
    ('method', 'path', 'name', 'status'),
    [
        ('GET', '/nothing', 'GET', 404),
        ('POST', '/items/1', 'POST', 405),
        ('HEAD', '/items/1', 'HEAD /items/{id}', 200),
        ('GET', '/taken', 'GET /taken', 409),
        ('GET', '/fail', 'GET /fail', 500),
        ('GET', '/moved', 'GET /moved', 302),
        ('PROPFIND', '/items/1', 'HTTP', 405),
    ],
)
async def test_whatever_is_answered_is_a_span(serve, spans, method, path, name, status):
    client = await serve()
    assert (await client.request(method, path, allow_redirects=False)).status == status
    [span] = servers(spans)
    assert (span.name, span.attributes['http.status_code']) == (name, status)
    assert (span.status.status_code is StatusCode.ERROR) == (status >= 500)


async def test_an_exception_is_told_by_its_type(serve, spans):
    client = await serve('MIDDLEWARE = []')
    assert (await client.get('/fail')).status == 500
    [span] = servers(spans)
    assert (span.status.status_code, span.attributes['error.type']) == (StatusCode.ERROR, 'LookupError')


async def test_what_never_reaches_a_view_is_a_span_too(serve, spans):
    client = await serve("ALLOWED_HOSTS = ['shop.example']")
    assert (await client.get('/items/1')).status == 400
    assert [(span.name, span.attributes['http.status_code']) for span in servers(spans)] == [('GET', 400)]


async def test_what_a_trusted_proxy_says_is_told(serve, spans):
    client = await serve("TRUSTED_PROXIES = ['127.0.0.1']")
    assert (await client.get('/items/1', headers={'X-Forwarded-For': '1.2.3.4', 'X-Forwarded-Proto': 'https'})).ok
    assert [span.attributes['http.scheme'] for span in servers(spans)] == ['https']


async def test_a_host_that_is_none_is_answered_as_without_tracing(serve, spans):
    client = await serve()
    assert (await client.get('/items/1', headers={'Host': 'a:b:c'})).status == 200


async def test_a_request_continues_the_trace_of_its_client(serve, spans):
    client = await serve()
    resp = await client.get('/items/1', headers={'traceparent': f'00-{TRACE}-{PARENT}-01'})
    [span] = servers(spans)
    assert (f'{span.context.trace_id:032x}', f'{span.parent.span_id:016x}') == (TRACE, PARENT)
    assert (await resp.json())['trace']['traceparent'].startswith(f'00-{TRACE}-')


async def test_baggage_of_clients_is_not_carried_on(serve, spans):
    client = await serve()
    resp = await client.get('/items/1', headers={'baggage': 'secret=1'})
    assert list((await resp.json())['trace']) == ['traceparent']


async def test_no_span_holds_a_secret(serve, spans, monkeypatch):
    client = await serve()
    headers = {
        'Authorization': 'Bearer hunter2',
        'Cookie': 'session=hunter2',
        'X-Api-Key': 'hunter2',
        'Content-Type': 'application/json',
    }
    for path in ('/items/hunter2', '/fail', '/taken', '/moved', '/nothing/hunter2'):
        for method in ('GET', 'POST'):
            body = json.dumps({'password': 'hunter2'})
            url = f'{path}?password=hunter2&q=hunter2'
            await client.request(method, url, headers=headers, data=body, allow_redirects=False)
    assert len(servers(spans)) == 10
    for span in spans():
        assert 'hunter2' not in span.to_json()


@pytest.fixture
def ask(project_folder):
    """Ask for something, as the command ``ask``: what OpenTelemetry reads of the environment holds for a process."""
    project_folder.write('shop/settings.py', 'TRACING = True\n')
    project_folder.write(
        'shop/routes.py', 'async def item(request):\n    return {}\n\nROUTES = [("/items/{id}", item)]\n'
    )
    project_folder.write('shop/commands.py', REQUEST)
    return project_folder


@pytest.mark.parametrize('semantics', ['http', 'http/dup'])
def test_neither_by_the_newer_names_of_attributes(ask, semantics):
    ask.environment['OTEL_SEMCONV_STABILITY_OPT_IN'] = semantics
    done = ask.run('ask')
    assert '"url.path": "/items/{id}"' in done.stdout, done.stderr
    assert 'hunter2' not in done.stdout


REQUEST = """
    import click
    from aiohttp.test_utils import TestClient, TestServer
    from colibris.app import create_app
    from colibris.commands.context import project_command
    from colibris.tracing.testing import recorded

    @click.command()
    @project_command
    async def ask():
        async with recorded() as exporter, TestClient(TestServer(create_app())) as client:
            headers = {'Authorization': 'hunter2', 'Cookie': 'a=hunter2', 'X-API-Key': 'hunter2', 'X-Note': 'a'}
            await client.get('/items/hunter2?q=hunter2', headers=headers)
        for span in exporter.get_finished_spans():
            click.echo(span.to_json())
"""


def test_headers_are_told_on_demand_but_for_secret_ones(ask):
    ask.environment |= {
        'OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST': '.*',
        'OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE': '.*',
    }
    done = ask.run('ask')
    assert '"http.request.header.x_note": [' in done.stdout, done.stderr
    assert 'hunter2' not in done.stdout


def test_aiohttp_is_not_traced_twice(project, monkeypatch):
    monkeypatch.setattr(requests, '_instrumented', False)
    monkeypatch.setattr(requests.aiohttp_server.AioHttpServerInstrumentor, 'is_instrumented_by_opentelemetry', True)
    project(settings='TRACING = True')
    with pytest.raises(ImproperlyConfigured, match='aiohttp is instrumented already'):
        create_app()


async def test_lines_of_the_log_tell_the_trace(serve, spans):
    lines = []

    class Handler(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(JSONFormatter().format(record)))

    logging.getLogger('colibris.access').setLevel(logging.INFO)
    client = await serve('ACCESS_LOG = True\nREQUEST_IDS = True')
    handler = Handler()
    logging.getLogger().addHandler(handler)
    try:
        await client.get('/items/1', headers={'traceparent': f'00-{TRACE}-{PARENT}-01', 'X-Request-ID': 'r1'})
    finally:
        logging.getLogger().removeHandler(handler)
    own = [line for line in lines if line['logger'] != 'aiohttp.access']  # of the tests' server; `runserver` has none
    told = {line['logger']: (line['trace_id'], line['request_id']) for line in own}
    assert told == {'shop': (TRACE, 'r1'), 'colibris.access': (TRACE, 'r1')}
    [span] = servers(spans)
    assert span.attributes['colibris.request_id'] == 'r1'
