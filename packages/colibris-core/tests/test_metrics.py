"""Metrics: what is counted, by whom, and where it is served."""

import asyncio
import os
import re
import socket
import subprocess
import sys

import pytest

from colibris import metrics, subsystems
from colibris.app import create_app
from colibris.conf import ImproperlyConfigured
from colibris.measures import Kind, Measure
from colibris.metrics import exposition, series, setup
from colibris.metrics.series import Numbers, Series, read_all

ROUTES = """
    import asyncio
    from aiohttp import web
    from colibris import api

    async def item(request):
        return {'id': request.match_info['id']}

    async def slow(request):
        await asyncio.sleep(0.3)
        return {}

    async def taken(request):
        raise api.Conflict

    async def fail(request):
        raise LookupError('x')

    ROUTES = [('/items/{id}', item), ('/slow', slow), ('/taken', taken), ('/fail', fail)]
"""


@pytest.fixture(autouse=True)
def own_numbers(monkeypatch):
    monkeypatch.setattr(setup, '_numbers', None)
    monkeypatch.delenv(metrics.FOLDER, raising=False)


@pytest.fixture
def serve(project, aiohttp_client):
    async def make(settings="METRICS = {'path': '/metrics', 'public': True}"):
        project(settings=settings, routes=ROUTES)
        return await aiohttp_client(create_app())

    return make


async def scraped(client, path='/metrics'):
    """Return the numbers by their names and labels as they are written."""
    resp = await client.get(path)
    assert resp.status == 200
    assert resp.headers['Content-Type'].startswith('text/plain; version=')
    lines = [line for line in (await resp.text()).splitlines() if not line.startswith('#')]
    return {name: float(value) for name, value in (line.rsplit(' ', 1) for line in lines)}


async def test_by_itself_there_are_none(serve):
    assert (await (await serve('')).get('/metrics')).status == 404


async def test_requests_are_counted_by_method_route_and_status(serve):
    client = await serve()
    for number in range(3):
        await client.get(f'/items/{number}')
    for path in ('/taken', '/fail', '/nothing', '/elsewhere'):
        await client.get(path)
    await client.post('/taken')
    found = await scraped(client)
    counts = {name: value for name, value in found.items() if name.startswith('colibris_http_requests_total')}
    assert counts == {
        f'colibris_http_requests_total{{method="{method}",route="{route}",status="{status}"}}': count
        for method, route, status, count in [
            ('GET', '/items/{id}', 200, 3),
            ('GET', '/taken', 409, 1),
            ('GET', '/fail', 500, 1),
            ('GET', 'none', 404, 2),
            ('POST', 'none', 405, 1),
        ]
    }


async def test_durations_are_a_histogram_by_method_and_route(serve):
    client = await serve()
    await client.get('/slow')
    await client.get('/items/1')
    found = await scraped(client)
    name = 'colibris_http_request_duration_seconds'
    slow = 'method="GET",route="/slow"'
    assert found[f'{name}_count{{{slow}}}'] == 1
    assert 0.3 <= found[f'{name}_sum{{{slow}}}'] < 3
    bounds = re.findall(r'le="([^"]+)"', ''.join(key for key in found if f'{name}_bucket' in key and '/slow' in key))
    assert bounds[0] == '0.005'
    assert bounds[-1] == '+Inf'
    counts = [found[f'{name}_bucket{{le="{bound}",{slow}}}'] for bound in bounds]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 1)


async def test_methods_that_are_none_of_http_are_one(serve):
    client = await serve()
    for method in ('PROPFIND', 'LOCK', 'SEARCH'):
        await client.request(method, '/items/1')
    found = await scraped(client)
    names = [name for name in found if name.startswith('colibris_http_requests_total')]
    assert names == ['colibris_http_requests_total{method="OTHER",route="none",status="405"}']


async def test_requests_in_flight_are_told(serve):
    client = await serve()
    slow = [asyncio.create_task(client.get('/slow')) for _ in range(4)]
    await asyncio.sleep(0.1)
    assert (await scraped(client))['colibris_http_requests_in_flight'] == 5
    await asyncio.gather(*slow)
    assert (await scraped(client))['colibris_http_requests_in_flight'] == 1


async def test_subsystems_tell_their_numbers(serve, monkeypatch):
    class Told:
        name = 'told'

        def measures(self):
            yield Measure('things_done', 7, Kind.COUNTER, 'Done.')
            yield Measure('things', 2, Kind.GAUGE, 'There.', (('a', 'b'),))

    class Slow:
        name = 'slow'

        async def measures(self):
            await asyncio.sleep(0)
            return [Measure('queued', 5, Kind.SHARED_GAUGE, 'In the queue.')]

    class Broken:
        name = 'broken'

        def measures(self):
            raise LookupError

    client = await serve()
    monkeypatch.setattr(subsystems, 'opened', lambda: (Broken(), Told(), Slow()))
    found = await scraped(client)
    assert (found['colibris_things_done_total'], found['colibris_things{a="b"}']) == (7, 2)
    assert found['colibris_queued'] == 5


async def test_a_gauge_that_is_told_no_more_is_zero(serve, monkeypatch):
    lengths = {'mail': 3, 'other': 1}

    class Queues:
        name = 'queues'

        def measures(self):
            yield Measure('done', 4, Kind.COUNTER, 'Done.', (('times', str(len(lengths))),))
            for name, length in lengths.items():
                yield Measure('queued', length, Kind.SHARED_GAUGE, 'In the queue.', (('queue', name),))

    client = await serve()
    monkeypatch.setattr(subsystems, 'opened', lambda: (Queues(),))
    await scraped(client)
    del lengths['mail']
    found = await scraped(client)
    assert (found['colibris_queued{queue="mail"}'], found['colibris_queued{queue="other"}']) == (0, 1)
    assert found['colibris_done_total{times="2"}'] == 4


async def test_a_port_of_its_own_serves_nothing_else(serve, caplog):
    caplog.set_level('INFO')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    client = await serve(f"METRICS = {{'port': {port}}}")
    assert (await client.get('/metrics')).status == 404
    caplog.clear()  # the server of the tests logs itself
    await client.get('/items/1')
    assert (await client.session.get(f'http://127.0.0.1:{port}/')).status == 404
    assert (await client.session.post(f'http://127.0.0.1:{port}/metrics')).status == 405
    found = await scraped(client.session, f'http://127.0.0.1:{port}/metrics')
    assert found['colibris_http_requests_total{method="GET",route="/items/{id}",status="200"}'] == 1
    assert '/metrics' not in caplog.text


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ({}, "give either a 'path' of the service or a 'port'"),
        ({'path': '/m', 'port': 1}, 'give either'),
        ({'path': 'metrics'}, "path must be one such as '/metrics'"),
        ({'path': '/metrics/{id}', 'public': True}, "path must be one such as '/metrics'"),
        ({'path': '/metrics'}, "who reaches the service would read the numbers at '/metrics': give a 'token'"),
        ({'path': '/metrics', 'public': 'yes'}, 'public must be True or False'),
        ({'path': '/metrics', 'public': True, 'token': 'a'}, "public is for a 'path' without a 'token'"),
        ({'port': 9100, 'public': True}, "public is for a 'path'"),
        ({'path': '/metrics', 'token': 'two words'}, 'token must be text without spaces'),
        ({'path': '/metrics', 'token': ''}, 'token must be text without spaces'),
        ({'port': 0}, 'port must be the number of a port'),
        ({'address': 'x'}, "has no key 'address'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(project, value, message):
    project(settings=f'METRICS = {value!r}')
    with pytest.raises(ImproperlyConfigured, match=message):
        create_app()


@pytest.mark.parametrize(
    'routes',
    [
        "web.get('/first', item), web.get('/metrics', item), web.get('/last', item)",
        "('/metrics', item)",
        "web.route('*', '/metrics', item)",
    ],
)
@pytest.mark.parametrize('path', ['/metrics', '/health/live'])
def test_a_path_that_has_another_meaning_is_refused_at_the_start(project, routes, path):
    project(
        settings=f"METRICS = {{'path': {path!r}, 'public': True}}",
        routes=f'from aiohttp import web\n\nasync def item(request):\n    return 1\n\nROUTES = [{routes}]\n',
    )
    with pytest.raises(
        ImproperlyConfigured, match=rf"METRICS \(.*: a route or a directory of the service has the path '{path}'"
    ):
        create_app()


async def test_a_path_that_init_gives_another_meaning_is_refused_at_the_start(project, aiohttp_client):
    app = """
        async def own(request):
            return 1

        def init(app):
            app.router.add_get('/own', own)
            app.router.add_get('/metrics', own)
    """
    project(settings="METRICS = {'path': '/metrics', 'public': True}", app=app)
    with pytest.raises(ImproperlyConfigured, match='/metrics is routed twice'):
        await aiohttp_client(create_app())


def test_a_directory_that_hides_the_path_is_refused_at_the_start(project, tmp_path):
    (tmp_path / 'files').mkdir()
    project(
        settings="METRICS = {'path': '/metrics', 'public': True}",
        routes=f"STATIC_ROUTES = [({str(tmp_path / 'files')!r}, '/metrics')]",
    )
    with pytest.raises(ImproperlyConfigured, match="a directory of the service has the path '/metrics'"):
        create_app()


async def test_who_has_no_token_is_refused_without_any_middleware(project, aiohttp_client):
    project(settings=f"METRICS = {{'path': '/metrics', 'token': {TOKEN!r}}}; MIDDLEWARE = []")
    client = await aiohttp_client(create_app())
    refused = await client.get('/metrics')
    assert (refused.status, refused.headers['WWW-Authenticate']) == (401, 'Bearer')
    assert (await refused.json())['code'] == 'unauthenticated'


async def test_a_path_with_a_placeholder_hides_nothing(project, aiohttp_client):
    routes = "async def item(request):\n    return 'item'\n\nROUTES = [('/{name}', item)]\n"
    project(settings="METRICS = {'path': '/metrics', 'public': True}", routes=routes)
    client = await aiohttp_client(create_app())
    assert 'colibris_http_requests_in_flight' in await scraped(client)


TOKEN = 'of-prometheus-1234'


@pytest.mark.parametrize(
    ('given', 'status'),
    [
        (f'Bearer {TOKEN}', 200),
        (f'bearer {TOKEN}', 200),
        *((None, 401), ('Bearer', 401), (f'Basic {TOKEN}', 401), (f'Bearer {TOKEN}x', 401), ('Bearer \xff', 401)),
    ],
)
async def test_a_token_lets_in(serve, given, status):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    headers = {} if given is None else {'Authorization': given}
    client = await serve(f"METRICS = {{'path': '/metrics', 'token': '{TOKEN}'}}")
    resp = await client.get('/metrics', headers=headers)
    assert resp.status == status
    assert status == 200 or (resp.headers['WWW-Authenticate'], (await resp.json())['code']) == (
        'Bearer',
        'unauthenticated',
    )
    runner = await setup._serve(setup.Options(None, port, '127.0.0.1', TOKEN, public=False), port)
    try:
        assert (await client.session.get(f'http://127.0.0.1:{port}/metrics', headers=headers)).status == status
    finally:
        await runner.cleanup()


def test_a_missing_module_is_named(project, monkeypatch):
    project(settings="METRICS = {'path': '/metrics', 'public': True}")
    monkeypatch.setattr(setup, 'find_spec', lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"pip install 'colibris\[metrics\]'"):
        create_app()


COUNTER = Series('colibris_done', Kind.COUNTER, 'Done.', (('kind', 'a'),))
GAUGE = Series('colibris_now', Kind.GAUGE, 'Now.')


def test_the_numbers_of_several_processes_add_up_and_survive_them(tmp_path):
    script = (
        'import os, sys; from pathlib import Path; from colibris.measures import Kind;'
        'from colibris.metrics.series import Numbers, Series; n = Numbers(Path(sys.argv[1]));'
        "n.values[n.place(Series('colibris_done', Kind.COUNTER, 'Done.', (('kind', 'a'),)))] += 5;"
        "n.values[n.place(Series('colibris_now', Kind.GAUGE, 'Now.'))] = 3; os.kill(os.getpid(), 9)"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, '-c', script, tmp_path], check=False).returncode == -9
    own = Numbers(tmp_path)
    own.values[own.place(COUNTER)] += 1
    own.values[own.place(GAUGE)] = 4
    text = exposition.render(read_all(tmp_path)).decode()
    assert 'colibris_done_total{kind="a"} 11.0' in text
    assert 'colibris_now 4.0' in text


def test_numbers_of_processes_that_are_gone_are_kept_in_one_file(tmp_path):
    script = (
        'import sys; from pathlib import Path; from colibris.measures import Kind;'
        'from colibris.metrics.series import Numbers, Series; n = Numbers(Path(sys.argv[1]));'
        "n.values[n.place(Series('colibris_done', Kind.COUNTER, 'Done.', (('kind', 'a'),)))] += 5"
    )
    for _ in range(3):
        subprocess.run([sys.executable, '-c', script, tmp_path], check=True)
    own = Numbers(tmp_path)
    own.values[own.place(COUNTER)] += 1
    assert 'colibris_done_total{kind="a"} 16.0' in exposition.render(read_all(tmp_path)).decode()
    assert len(list(tmp_path.glob('*.values'))) == 1


def test_a_process_may_get_the_number_of_one_that_is_gone(tmp_path, monkeypatch):
    first = Numbers(tmp_path)  # with the number of this process
    first.values[first.place(COUNTER)] += 5
    first.values[first.place(GAUGE)] = 3
    first._names.close()  # as when it ends
    second = Numbers(tmp_path)
    second.values[second.place(COUNTER)] += 1
    second.values[second.place(GAUGE)] = 4
    text = exposition.render(read_all(tmp_path)).decode()
    assert ('colibris_done_total{kind="a"} 6.0' in text, 'colibris_now 4.0' in text) == (True, True)


def test_a_line_that_is_being_written_and_a_folder_that_was_removed_do_no_harm(tmp_path):
    numbers = Numbers(tmp_path / 'removed' / 'folder')
    numbers.values[numbers.place(COUNTER)] += 1
    numbers._names.write('[2, "colib')
    numbers._names.flush()
    assert [value for _, value in read_all(tmp_path / 'removed' / 'folder')] == [1]


def test_what_all_processes_see_is_told_once(tmp_path):
    series = Series('colibris_queued', Kind.SHARED_GAUGE, 'In the queue.')
    text = exposition.render([(series, 4.0), (series, 5.0), (series, 5.0)]).decode()
    assert 'colibris_queued 5.0' in text


def test_there_are_only_so_many_numbers(monkeypatch):
    monkeypatch.setattr(series, 'PLACES', 4)
    numbers = Numbers()
    for name in 'abcdef':
        numbers.values[numbers.place(Series(name, Kind.COUNTER, ''))] += 1
    assert [(each.name, value) for each, value in numbers.read()] == [('a', 1), ('b', 1), ('c', 1)]


def test_without_the_setting_nothing_of_it_is_imported(project_folder):
    project_folder.write(
        'shop/app.py',
        'import sys\n\n\ndef init(app):\n    assert not {"prometheus_client", "colibris.metrics"} & set(sys.modules)\n',
    )
    project_folder.write('shop/commands.py', CHECK)
    assert 'started' in project_folder.run('start').stdout


CHECK = """
    import click
    from aiohttp.test_utils import TestServer
    from colibris.app import create_app
    from colibris.commands.context import project_command

    @click.command()
    @project_command
    async def start():
        async with TestServer(create_app()):
            click.echo('started')
"""


async def test_each_worker_tells_the_numbers_of_all(project_folder):
    project_folder.write('shop/settings.py', "METRICS = {'path': '/metrics', 'public': True}\nLISTEN = '127.0.0.1'\n")
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    command = project_folder.command('runserver', '--workers', '2', '--port', str(port))
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, env={**os.environ, 'DEBUG': ''})
    import aiohttp

    try:
        async with asyncio.timeout(30):
            await process.stdout.readline()
        for _ in range(40):
            async with aiohttp.ClientSession() as session:  # a new connection, so that both are asked
                assert (await session.get(f'http://127.0.0.1:{port}/health/live')).status == 200
        found = []
        for _ in range(6):
            async with aiohttp.ClientSession() as session:
                found.append(await scraped(session, f'http://127.0.0.1:{port}/metrics'))
    finally:
        process.terminate()
        await process.wait()
    name = 'colibris_http_requests_total{method="GET",route="/health/live",status="200"}'
    assert [each[name] for each in found] == [40] * 6


def test_a_port_that_another_service_has_is_not_shared(project):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        project(settings=f"METRICS = {{'port': {port}}}")
        with pytest.raises(ImproperlyConfigured, match=f'port {port} of 127.0.0.1 cannot be listened on'):
            metrics.check_port()
    metrics.check_port()
