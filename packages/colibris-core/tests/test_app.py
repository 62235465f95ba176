"""The application: routes, life cycle, health, and what is refused at start-up."""

import asyncio
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError, FormData, WSCloseCode
from yarl import URL

from colibris import health
from colibris.app import HealthException, create_app
from colibris.conf import ImproperlyConfigured
from colibris.plugins import PluginError

ITEMS = """
    from aiohttp import web
    from colibris.schemas import Schema, fields
    from colibris.views import APIView

    class ItemSchema(Schema):
        name = fields.String(required=True)
        price = fields.Decimal(as_string=True)

    class QuerySchema(Schema):
        size = fields.Integer(required=True)
        tag = fields.List(fields.String())

    class ItemsView(APIView):
        body_schema_class = ItemSchema
        query_schema_class = QuerySchema

        async def get(self):
            args = await self.get_validated_query()
            return web.json_response(args)

        async def post(self):
            return await self.get_validated_body()
"""
ROUTES = """
    from shop.views import ItemsView
    ROUTES = [('/items', ItemsView)]
"""


@pytest.fixture
async def client(project, aiohttp_client):
    project(views=ITEMS, routes=ROUTES)
    return await aiohttp_client(create_app())


async def test_a_view_finds_its_checked_query(client):
    resp = await client.get('/items', params=[('size', '3'), ('tag', 'a'), ('tag', 'b')])
    assert (resp.status, await resp.json()) == (200, {'size': 3, 'tag': ['a', 'b']})


async def test_a_view_finds_its_checked_body_and_data_becomes_json(client):
    resp = await client.post('/items', json={'name': 'x', 'price': '1.50'})
    assert (resp.status, await resp.json()) == (200, {'name': 'x', 'price': '1.50'})


@pytest.mark.parametrize('multipart', [False, True])
async def test_a_form_is_a_body_too(client, multipart):
    form = FormData({'name': 'x', 'price': '2'}, default_to_multipart=multipart)
    resp = await client.post('/items', data=form)
    assert (resp.status, await resp.json()) == (200, {'name': 'x', 'price': '2'})


async def test_an_unknown_query_parameter_is_named(client):
    resp = await client.get('/items?size=1&colour=red')
    body = await resp.json()
    assert (resp.status, body['code'], body['details']) == (400, 'schema_error', {'colour': ['Unknown field.']})


async def test_a_query_that_is_no_utf_8_is_refused(client):
    resp = await client.get(URL('/items?size=1&tag=%ff', encoded=True))
    assert (resp.status, (await resp.json())['message']) == (400, 'the query is not valid UTF-8')
    assert (await client.get(URL('/items?size=1&tag=%EF%BF%BD', encoded=True))).status == 200


async def test_a_form_that_is_no_utf_8_is_refused(client):
    for body in (b'name=%ff', b'name=\xff'):
        resp = await client.post('/items', data=body, headers={'Content-Type': 'application/x-www-form-urlencoded'})
        assert (resp.status, (await resp.json())['code']) == (400, 'parse_error')


async def test_a_query_parameter_given_twice_is_refused(client):
    resp = await client.get('/items?size=1&size=2')
    assert (resp.status, (await resp.json())['details']) == (400, {'size': ['Given 2 times; give it once.']})


@pytest.mark.parametrize(
    ('body', 'content_type', 'status', 'code'),
    [
        (b'{"name": ', 'application/json', 400, 'parse_error'),
        (b'{"name": NaN}', 'application/json', 400, 'parse_error'),
        (b'"\xff"', 'application/json', 400, 'parse_error'),
        (b'[' * 100_000, 'application/json', 400, 'parse_error'),
        (b'1' * 5_000, 'application/json', 400, 'parse_error'),
        (b'', 'application/json', 400, 'parse_error'),
        (b'[]', 'application/json', 400, 'schema_error'),
        (b'{}', 'application/json', 400, 'schema_error'),
        (b'{"name": "x", "color": 1}', 'application/json', 400, 'schema_error'),
        (b'name: x', 'application/yaml', 415, 'unsupported_media_type'),
        (b'{"name": "x"}', 'application/json; charset=utf-16', 415, 'unsupported_media_type'),
        (b'--', 'multipart/form-data', 400, 'parse_error'),
        (b'nonsense', 'multipart/form-data; boundary=x', 400, 'parse_error'),
        (b'{"name": "' + b'x' * 11_000_000 + b'"}', 'application/json', 413, 'payload_too_large'),
    ],
)
async def test_bad_bodies_get_an_error_that_tells_them_apart(client, body, content_type, status, code):
    resp = await client.post('/items', data=body, headers={'Content-Type': content_type})
    answer = await resp.json()
    assert (resp.status, answer['code']) == (status, code)
    assert set(answer) == {'code', 'message', 'details'}


async def test_unknown_addresses_and_methods_get_the_envelope(client):
    missing = await client.get('/nothing')
    assert (missing.status, (await missing.json())['code']) == (404, 'not_found')
    wrong = await client.delete('/items')
    assert (wrong.status, (await wrong.json())['code']) == (405, 'method_not_allowed')
    assert set(wrong.headers['Allow'].split(',')) == {'GET', 'HEAD', 'POST'}


async def test_head_is_answered_like_get_without_a_body(client):
    resp = await client.head('/items?size=1')
    assert (resp.status, await resp.read()) == (200, b'')


async def test_a_fault_is_a_500_without_details(project, aiohttp_client):
    project(
        routes="""
        def broken(request):
            raise RuntimeError('the secret')
        ROUTES = [('/broken', broken)]
    """
    )
    client = await aiohttp_client(create_app())
    resp = await client.get('/broken')
    assert (resp.status, await resp.json()) == (
        500,
        {'code': 'server_error', 'message': 'the server failed to answer this request', 'details': None},
    )


async def test_debug_shows_the_fault(project, aiohttp_client):
    project(
        settings='DEBUG = True',
        routes="""
        def broken(request):
            raise RuntimeError('the reason')
        ROUTES = [('/broken', broken)]
    """,
    )
    client = await aiohttp_client(create_app())
    resp = await client.get('/broken')
    assert (await resp.json())['details']['error'] == 'the reason'


async def test_all_kinds_of_routes_work(project, aiohttp_client):
    project(
        routes="""
        import functools
        from aiohttp import web
        from colibris.views import View

        def plain(request):
            return {'kind': 'sync'}

        async def coroutine(request):
            return web.json_response({'kind': 'async'})

        class Both(View):
            def get(self):
                return {'kind': 'view', 'path': self.request.path}

            async def put(self):
                return {'kind': 'put'}

        @functools.wraps(plain)
        async def wrapped(request):
            return plain(request) | {'kind': 'wrapped'}

        @functools.wraps(coroutine)
        def wrapping(request):
            return coroutine(request)

        ROUTES = [
            ('/wrapped', wrapped),
            ('/wrapping', wrapping),
            ('/plain', plain),
            ('/coroutine', coroutine),
            web.post('/posted', plain),
            web.view('/viewed', Both),
            web.get('/got', Both),
            ('/both', Both),
        ]
        STATIC_ROUTES = [('static', '/static')]
    """,
        app="""
        from shop.routes import Both

        def init(app):
            app.router.add_view('/raw', Both)
    """,
    )
    Path('shop/static').mkdir()
    Path('shop/static/a.txt').write_text('static')
    client = await aiohttp_client(create_app())
    for method, path, kind in [
        ('get', '/plain', 'sync'),
        ('get', '/wrapped', 'wrapped'),
        ('get', '/wrapping', 'async'),
        ('get', '/coroutine', 'async'),
        ('post', '/posted', 'sync'),
        ('put', '/viewed', 'put'),
        ('get', '/got', 'view'),
        ('put', '/both', 'put'),
        ('get', '/raw', 'view'),
        ('put', '/raw', 'put'),
    ]:
        resp = await client.request(method, path)
        assert (resp.status, (await resp.json())['kind']) == (200, kind), path
    assert (await client.put('/got')).status == 405
    assert (await client.delete('/raw')).status == 405
    assert await (await client.get('/static/a.txt')).text() == 'static'


async def test_a_view_that_asks_for_an_account_is_an_error_at_start_up(project, aiohttp_client):
    project(
        routes="""
        from colibris.views import View

        class Secret(View):
            authentication_required = True

            async def get(self):
                return {}

        ROUTES = [('/secret', Secret)]
    """
    )
    with pytest.raises(ImproperlyConfigured, match=r'GET /secret .*Secret.* requires authentication.*AUTHENTICATION'):
        await aiohttp_client(create_app())


async def test_a_permission_on_one_method_is_enough_to_refuse_the_start(project, aiohttp_client):
    project(
        routes="""
        from colibris.views import View

        class Secret(View):
            async def get(self):
                return {}
            get.permissions = ('read',)

        ROUTES = [('/secret', Secret)]
    """
    )
    with pytest.raises(ImproperlyConfigured, match='requires a permission'):
        await aiohttp_client(create_app())


@pytest.mark.parametrize('keyword', ['', 'async '])
async def test_get_health_is_asked(project, aiohttp_client, keyword):
    project(
        app=f"""
        from colibris import app
        sick = False

        {keyword}def get_health():
            if sick:
                raise app.HealthException('no more')
            return 'healthy'
    """
    )
    client = await aiohttp_client(create_app())
    resp = await client.get('/health')
    assert (resp.status, await resp.json()) == (200, 'healthy')
    import_module('shop.app').sick = True
    resp = await client.get('/health')
    assert (resp.status, (await resp.json())['code'], (await resp.json())['message']) == (500, 'unhealthy', 'no more')
    live = await client.get('/health/live')
    assert live.status == 200


async def test_a_health_check_has_a_time_limit(monkeypatch):
    monkeypatch.setattr('colibris.health.TIME_LIMIT', 0.05)

    async def get_health():
        await asyncio.sleep(60)

    with pytest.raises(HealthException, match='takes longer than'):
        await health.check(get_health)


async def test_an_unhealthy_service_does_not_start(project, aiohttp_client):
    project(
        app="""
        from colibris import app

        def get_health():
            raise app.HealthException('not today')
    """
    )
    with pytest.raises(HealthException, match='not today'):
        await aiohttp_client(create_app())


@pytest.mark.parametrize('keyword', ['', 'async '])
async def test_init_gets_the_app_and_may_add_routes(project, aiohttp_client, keyword):
    project(
        app=f"""
        from aiohttp import web

        async def extra(request):
            return web.Response(text='extra')

        {keyword}def init(app):
            app.router.add_get('/extra', extra)
    """
    )
    client = await aiohttp_client(create_app())
    assert await (await client.get('/extra')).text() == 'extra'


def test_a_wrong_route_is_named_by_its_place(project):
    project(routes="ROUTES = [('/a', 42)]")
    with pytest.raises(ImproperlyConfigured, match=r"shop\.routes\.ROUTES\[0\] \('/a'\): 42 is neither"):
        create_app()


def test_two_routes_for_the_same_request_are_refused(project):
    project(
        routes="""
        def handler(request):
            return {}

        ROUTES = [('/a', handler), ('/b', handler), ('/a', handler)]
    """
    )
    with pytest.raises(ImproperlyConfigured, match='GET /a is routed twice'):
        create_app()


async def test_an_error_in_a_stream_closes_the_connection_and_is_not_written_into_it(project, aiohttp_client, caplog):
    project(
        routes="""
        from aiohttp import web

        async def stream(request):
            response = web.StreamResponse(headers={'Content-Length': '1000'})
            await response.prepare(request)
            await response.write(b'abc')
            raise RuntimeError('in the middle')

        ROUTES = [('/stream', stream)]
        """
    )
    client = await aiohttp_client(create_app())
    response = await client.get('/stream')
    with pytest.raises(ClientPayloadError):
        await response.read()
    assert 'GET /stream failed after its answer had begun' in caplog.text


@pytest.mark.parametrize('body', [b'{"a"', b'', b'"\xff"'])
async def test_a_plain_handler_that_is_sent_bad_json_answers_400(project, aiohttp_client, body):
    project(
        routes="""
        from aiohttp import web

        async def echo(request):
            return await request.json()

        ROUTES = [web.post('/echo', echo)]
        """
    )
    client = await aiohttp_client(create_app())
    response = await client.post('/echo', data=body, headers={'Content-Type': 'application/json'})
    assert (response.status, (await response.json())['code']) == (400, 'parse_error')


async def test_bad_json_that_is_not_the_body_is_a_fault_of_the_server(project, aiohttp_client):
    project(
        routes="""
        import json
        from aiohttp import web

        async def ask(request):
            await request.read()
            return json.loads('{"from": "elsewhere"')

        ROUTES = [web.post('/ask', ask)]
        """
    )
    client = await aiohttp_client(create_app())
    assert (await client.post('/ask', data=b'{}')).status == 500


async def test_init_may_add_sub_applications_and_signal_handlers(project, aiohttp_client):
    package = project(
        app="""
        from aiohttp import web

        calls = []

        async def init(app):
            part = web.Application()
            part.router.add_get('/x', answer)
            part.on_startup.append(remember('part starts'))
            app.add_subapp('/part', part)
            app.on_startup.append(remember('starts'))
            app.on_cleanup.append(remember('cleans up'))

        async def answer(request):
            return web.json_response('x')

        def remember(what):
            async def handler(app):
                calls.append(what)
            return handler
        """
    )
    client = await aiohttp_client(create_app())
    response = await client.get('/part/x')
    assert (response.status, await response.json()) == (200, 'x')
    await client.close()
    assert import_module(f'{package}.app').calls == ['part starts', 'starts', 'cleans up']


async def test_what_init_opened_is_cleaned_up_before_the_subsystems_close(project, aiohttp_client, monkeypatch):
    order = []

    @asynccontextmanager
    async def running():
        yield
        order.append('subsystems')

    monkeypatch.setattr('colibris.subsystems.running', running)
    package = project(
        app="""
        def init(app):
            app.on_cleanup.append(clean_up)

        async def clean_up(app):
            order.append('project')
        """
    )
    import_module(f'{package}.app').order = order
    client = await aiohttp_client(create_app())
    await client.close()
    assert order == ['project', 'subsystems']


@pytest.mark.parametrize('path', ['nowhere.handle', 'os.path.join'])
def test_a_wrong_middleware_is_told_with_its_setting(project, path):
    project(settings=f"MIDDLEWARE = ['{path}']")
    with pytest.raises((ImproperlyConfigured, PluginError), match=r'^MIDDLEWARE \(settings.py\): .*' + path):
        create_app()


async def test_websockets_are_told_that_the_service_stops(project, aiohttp_client):
    project(
        routes="""
        from aiohttp import web

        async def echo(request):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(message.data)
            return socket

        ROUTES = [('/echo', echo)]
        """
    )
    client = await aiohttp_client(create_app())
    socket = await client.ws_connect('/echo')
    await socket.send_str('hello')
    assert await socket.receive_str() == 'hello'
    stopping = asyncio.create_task(client.server.runner.shutdown())
    assert (await socket.receive()).data == WSCloseCode.GOING_AWAY
    await asyncio.wait_for(stopping, 5)


@pytest.mark.parametrize('keyword', ['', 'async '])
async def test_handlers_that_init_adds_may_return_data_like_all_others(project, aiohttp_client, keyword):
    project(
        app=f"""
        {keyword}def extra(request):
            return {{'extra': True}}

        def init(app):
            app.router.add_get('/extra', extra)
            app.router.add_post('/extra', extra)
    """
    )
    client = await aiohttp_client(create_app())
    for response in (await client.get('/extra'), await client.post('/extra')):
        assert (response.status, await response.json()) == (200, {'extra': True})
    assert (await client.head('/extra')).status == 200


async def test_an_init_that_does_not_take_the_application_is_an_error(project, aiohttp_client):
    project(app='def init(): ...')
    with pytest.raises(ImproperlyConfigured, match=r'shop\.app\.init is given the application'):
        await aiohttp_client(create_app())


@pytest.mark.parametrize('route', [('/static', 'static'), ('static', 3), ('static',), ('nowhere', '/static')])
def test_a_wrong_static_route_is_named_by_its_place(project, route):
    project(routes=f'STATIC_ROUTES = [{route!r}]')
    with pytest.raises(ImproperlyConfigured, match=r'shop\.routes\.STATIC_ROUTES\[0\] must be a directory and'):
        create_app()


@pytest.mark.parametrize('parameters', ['request', 'request, call_next', ''])
def test_a_middleware_of_other_arguments_is_refused_at_the_start(project, parameters):
    project(settings="MIDDLEWARE = ['shop.own.handle']", own=f'async def handle({parameters}): ...')
    with pytest.raises(ImproperlyConfigured, match=r'^MIDDLEWARE \(settings.py\): shop\.own\.handle must take two'):
        create_app()


def test_a_directory_that_hides_the_health_is_refused_at_the_start(project, tmp_path):
    (tmp_path / 'files').mkdir()
    project(routes=f"STATIC_ROUTES = [({str(tmp_path / 'files')!r}, '/health')]")
    with pytest.raises(ImproperlyConfigured, match="a directory of the service has the path '/health'"):
        create_app()
