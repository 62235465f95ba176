"""Tracing in the life of a process."""

import asyncio
import os
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from colibris import tracing
from colibris.tracing import setup

ASK = """
    import click
    from aiohttp.test_utils import TestClient, TestServer
    from colibris.app import create_app
    from colibris.commands.context import project_command

    @click.command()
    @project_command
    async def ask():
        async with TestClient(TestServer(create_app())) as client:
            for _ in range(20):
                assert (await client.get('/health/live')).status == 200
        click.echo('done')
"""


class Collector(ThreadingHTTPServer):
    """Takes spans by OTLP."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.got = []

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server_port}'

    def spans(self):
        """Return each service and the names of its spans."""
        return {
            {each.key: each.value.string_value for each in resource.resource.attributes}['service.name']: [
                span.name for scope in resource.scope_spans for span in scope.spans
            ]
            for body, _ in self.got
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        }


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.server.got.append((body, {'path': self.path, **self.headers}))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def collector():
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(project_folder, monkeypatch):
    for name in [name for name in os.environ if name.startswith('OTEL_')]:
        monkeypatch.delenv(name)

    def run(settings, **modules):
        project_folder.write('shop/settings.py', settings)
        project_folder.write('shop/commands.py', ASK)
        for name, source in modules.items():
            project_folder.write(f'shop/{name}.py', source)
        return project_folder.run('ask')

    run.environment = project_folder.environment
    return run


def test_spans_are_sent_to_the_endpoint(ask, collector):
    done = ask(f"TRACING = {{'endpoint': {collector.url!r}, 'service_name': 'till', 'headers': {{'x-key': 'k'}}}}\n")
    assert done.stdout == 'done\n', done.stderr
    assert collector.spans() == {'till': ['GET /health/live'] * 20}
    headers = collector.got[0][1]
    assert (headers['path'], headers['x-key']) == ('/v1/traces', 'k')


def test_by_itself_the_environment_says_where_and_the_package_who(ask, collector):
    ask.environment['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.url
    done = ask('TRACING = True\n')
    assert done.stdout == 'done\n', done.stderr
    assert list(collector.spans()) == ['shop']
    ask.environment['OTEL_SERVICE_NAME'] = 'till'
    ask('TRACING = True\n')
    assert set(collector.spans()) == {'shop', 'till'}


@pytest.mark.parametrize(('sample', 'count'), [(0, 0), (1, 20)])
def test_a_part_of_the_requests_is_traced(ask, collector, sample, count):
    ask(f"TRACING = {{'endpoint': {collector.url!r}, 'sample': {sample}}}\n")
    assert sum(map(len, collector.spans().values())) == count


def test_a_provider_of_the_project_is_used(ask, collector):
    done = ask(
        f"TRACING = {{'endpoint': {collector.url!r}}}\n",
        app="""
            from opentelemetry import trace
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
            trace.set_tracer_provider(provider)
        """,
    )
    assert done.stdout.count('"name": "GET /health/live"') == 20
    assert collector.got == []


@pytest.mark.parametrize('answers', [False, True])
def test_the_end_does_not_wait_for_a_collector_that_is_away(ask, answers):
    """It is not there, or takes connections and never answers."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        if answers:
            server.listen()
        began = time.monotonic()
        done = ask(f"TRACING = {{'endpoint': 'http://127.0.0.1:{server.getsockname()[1]}', 'timeout': 60}}\n")
    assert done.stdout == 'done\n', done.stderr
    assert time.monotonic() - began < setup.LIMIT + 15
    assert done.returncode == 0


async def test_sending_does_not_hold_the_event_loop(project, monkeypatch):
    """A collector that takes its time is waited for in a thread."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        server.listen()
        monkeypatch.setattr(setup, 'LIMIT', 0.5)
        monkeypatch.setenv('OTEL_BSP_SCHEDULE_DELAY', '10')
        project(settings=f"TRACING = {{'endpoint': 'http://127.0.0.1:{server.getsockname()[1]}', 'timeout': 2}}\n")
        longest = 0.0
        async with setup.running():
            for _ in range(50):
                with tracing.span('work'):
                    before = time.perf_counter()
                    await asyncio.sleep(0.01)
                    longest = max(longest, time.perf_counter() - before)
        assert longest < 0.5


async def test_it_can_be_started_again(project):
    from colibris.tracing.testing import recorded

    for name in ('first', 'second'):
        async with recorded() as exporter:
            with tracing.span(name):
                pass
        assert [span.name for span in exporter.get_finished_spans()] == [name]


def test_without_the_setting_nothing_of_it_is_imported(project_folder):
    """Not so redis-py: it imports OpenTelemetry by itself if that is installed."""
    project_folder.write('shop/settings.py', "CACHE = {'backend': 'locmem'}\nEMAIL = {'backend': 'memory'}\n")
    project_folder.write(
        'shop/app.py',
        """
        import sys
        import colibris.persist.mysql, colibris.persist.postgresql, colibris.persist.sqlite

        def init(app):
            assert 'colibris.cache' in sys.modules
            assert not [name for name in sys.modules if name.startswith(('opentelemetry', 'colibris.tracing.'))]
        """,
    )
    project_folder.write('shop/commands.py', ASK)
    done = project_folder.run('ask')
    assert done.stdout == 'done\n', done.stderr


def test_without_the_setting_it_is_not_on_the_way(project):
    from colibris.edge import traces

    async def handle(request):
        raise NotImplementedError

    project()
    assert traces.layer(handle) is handle
