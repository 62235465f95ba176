"""The way of a request: the same middlewares in the same order, whichever way aiohttp or we take."""

import asyncio
import warnings

import pytest
from aiohttp import web

from colibris.app import create_app
from colibris.middleware import special
from colibris.pipeline import wrap

SETTINGS = """
    MIDDLEWARE = [
        'shop.middlewares.first',
        'colibris.middleware.handle_errors_json',
        'colibris.middleware.handle_auth',
        'shop.middlewares.second',
        'colibris.middleware.handle_schema_validation',
        'shop.middlewares.third',
    ]
"""
MIDDLEWARES = """
    from colibris.middleware import specialises

    PASSED = []
    MADE = []

    async def first(request, handler):
        endpoint = getattr(handler, 'endpoint', None)
        PASSED.append(('first', endpoint and endpoint.path))
        response = await handler(request)
        response.headers['X-First'] = '1'
        return response

    async def second(request, handler):
        PASSED.append('second')
        return await handler(request)

    @specialises(second)
    def for_one(endpoint, handler):
        MADE.append(endpoint.path)
        if endpoint.path == '/health':
            return handler

        async def special(request):
            PASSED.append(('second for', endpoint.method, endpoint.path))
            return await handler(request)

        return special

    async def third(request, handler):
        PASSED.append('third')
        return await handler(request)
"""
VIEWS = """
    from aiohttp import web
    from colibris.schemas import Schema, fields
    from colibris.views import APIView, View

    class ItemSchema(Schema):
        name = fields.String(required=True)

    class ItemView(APIView):
        body_schema_class = ItemSchema

        async def get(self):
            info = self.request.match_info
            assert self.request.app is info.current_app is info.apps[0]
            return {'name': info['name'], 'apps': len(info.apps)}

        async def post(self):
            return await self.get_validated_body()

    class OwnView(web.View):
        async def get(self):
            return web.json_response('own')

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'streamed')
        return response

    async def socket(request):
        response = web.WebSocketResponse()
        await response.prepare(request)
        await response.send_str('hello')
        await response.close()
        return response

    async def plain(request):
        return 'plain'
"""
ROUTES = """
    from aiohttp import web
    from shop import views

    ROUTES = [
        ('/items', views.ItemView),
        ('/items/{name}', views.ItemView),
        ('/own', views.OwnView),
        web.get('/stream', views.stream),
        web.get('/socket', views.socket),
        ('/plain', views.plain),
    ]
    STATIC_ROUTES = [('static', '/static')]
"""
APP = """
    from aiohttp import web
    from shop.views import ItemView

    async def part_of_it(request):
        names = [request.app is request.match_info.apps[-1], len(request.match_info.apps)]
        return web.json_response(names)

    @web.middleware
    async def of_part(request, handler):
        from shop.middlewares import PASSED
        PASSED.append('of part')
        return await handler(request)

    def init(app):
        part = web.Application(middlewares=[of_part])
        part.router.add_get('/it', part_of_it)
        app.add_subapp('/part', part)
        app.router.add_get('/late/{name}', part_of_it)
        app.router.add_view('/bare/{name}', ItemView)
"""


@pytest.fixture
async def shop(project, aiohttp_client, tmp_path):
    project(settings=SETTINGS, middlewares=MIDDLEWARES, views=VIEWS, routes=ROUTES, app=APP)
    (tmp_path / 'shop' / 'static').mkdir()
    (tmp_path / 'shop' / 'static' / 'a.txt').write_text('a file')
    client = await aiohttp_client(create_app())
    from shop import middlewares

    client.passed = middlewares.PASSED
    client.made = middlewares.MADE
    return client


ASKED = [
    ('GET', '/items/a%20b', 200, ('second for', 'GET', '/items/{name}')),
    ('HEAD', '/items/a', 200, ('second for', 'GET', '/items/{name}')),
    ('POST', '/items', 200, ('second for', 'POST', '/items')),
    ('GET', '/stream', 200, ('second for', 'GET', '/stream')),
    ('GET', '/plain', 200, ('second for', 'GET', '/plain')),
    ('GET', '/late/x', 200, ('second for', 'GET', '/late/{name}')),
    ('GET', '/own', 200, 'second'),
    ('GET', '/bare/x', 200, 'second'),
    ('GET', '/static/a.txt', 200, 'second'),
    ('GET', '/part/it', 200, 'second'),
    ('GET', '/none', 404, 'second'),
    ('DELETE', '/items', 405, 'second'),
    ('GET', '/static/none.txt', 404, 'second'),
]


@pytest.mark.parametrize(('method', 'path', 'status', 'second'), ASKED)
async def test_each_way_leads_through_all_middlewares_in_order(shop, method, path, status, second):
    response = await shop.request(method, path, json={'name': 'x'} if method == 'POST' else None)
    assert response.status == status
    passed = [entry[0] if entry[0] == 'first' else entry for entry in shop.passed]
    assert passed[:3] == ['first', second, 'third']
    assert passed[3:] == (['of part'] if path == '/part/it' else [])
    assert ('X-First' in response.headers) == (path != '/stream')


async def test_a_middleware_is_specialised_once_for_each_endpoint(shop):
    for _ in range(3):
        await shop.get('/items/a')
    assert sorted(set(shop.made)) == sorted(
        {'/items', '/items/{name}', '/stream', '/socket', '/plain', '/late/{name}'}
        | {'/health', '/health/live', '/health/ready'}
        | {path for path in shop.made if path == '/' or path.startswith('/api/docs')}
    )
    assert shop.made.count('/items') == len(['GET', 'POST'])


async def test_where_there_is_nothing_to_do_the_handler_itself_is_called(shop):
    assert (await shop.get('/health')).status == 200
    assert shop.passed == [('first', '/health'), 'third']


async def test_what_a_handler_says_of_itself_is_seen_by_each_middleware(shop):
    await shop.get('/plain')
    await shop.get('/part/it')
    assert [entry for entry in shop.passed if entry[0] == 'first'] == [('first', '/plain'), ('first', None)]


async def test_a_sub_application_has_its_own_application(shop):
    assert await (await shop.get('/part/it')).json() == [True, 2]
    assert await (await shop.get('/late/x')).json() == [True, 1]


async def test_errors_before_the_way_begins_are_those_of_aiohttp(shop):
    response = await shop.delete('/items')
    assert response.headers['Allow'] == 'GET,HEAD,POST'
    assert (await response.json())['code'] == 'method_not_allowed'


async def test_websockets_pass_the_middlewares(shop):
    async with shop.ws_connect('/socket') as socket:
        assert await socket.receive_str() == 'hello'
    assert shop.passed[1] == ('second for', 'GET', '/socket')


async def test_who_expects_to_be_told_to_continue_is_told(shop):
    reader, writer = await asyncio.open_connection('127.0.0.1', shop.port)
    writer.write(
        b'POST /items HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n'
        b'Content-Length: 12\r\n\r\n'
    )
    assert await reader.readuntil(b'\r\n\r\n') == b'HTTP/1.1 100 Continue\r\n\r\n'
    writer.write(b'{"name":"a"}')
    assert (await reader.readline()).startswith(b'HTTP/1.1 200')
    writer.close()


async def test_middlewares_of_the_old_style_work(project, aiohttp_client):
    project(
        routes="""
            async def hello(request):
                return 'hello'

            ROUTES = [('/', hello)]
        """,
        app="""
            async def old(app, handler):
                async def handle(request):
                    response = await handler(request)
                    response.headers['X-Old'] = '1'
                    return response

                return handle

            def init(app):
                app.middlewares.append(old)
        """,
    )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        client = await aiohttp_client(create_app())
    response = await client.get('/')
    assert (response.headers['X-Old'], await response.json()) == ('1', 'hello')


async def test_a_middleware_that_is_added_after_the_routes_are_frozen_is_passed(project, aiohttp_client):
    project(
        routes="""
            async def hello(request):
                return 'hello'

            ROUTES = [('/', hello)]
        """,
        app="""
            from aiohttp import web

            @web.middleware
            async def late(request, handler):
                raise web.HTTPForbidden

            def init(app):
                app.router.freeze()
                app.middlewares.append(late)
        """,
        settings='API_DOCS_PATH = None',
    )
    client = await aiohttp_client(create_app())
    assert (await client.get('/')).status == 403


async def test_a_route_of_a_known_path_may_be_added_while_it_serves(project, aiohttp_client):
    project(
        app="""
            async def hello(request):
                return 'hello'

            def init(app):
                global resource
                resource = app.router.add_resource('/late')
                resource.add_route('POST', hello)
        """
    )
    client = await aiohttp_client(create_app())
    assert (await client.get('/late')).status == 405
    from shop import app

    async def late(request):
        return web.json_response('late')

    app.resource.add_route('GET', late)
    assert await (await client.get('/late')).json() == 'late'


@pytest.fixture
def specialise():
    """Specialise middlewares for the time of a test."""
    known = dict(special._special)
    yield special.specialises
    special._special.clear()
    special._special.update(known)


async def test_what_is_no_handler_is_refused_at_the_start_and_all_is_closed_again(project, specialise):
    project(
        settings="MIDDLEWARE = ['shop.middlewares.own']",
        middlewares="""
            from colibris.middleware import specialises

            async def own(request, handler):
                return await handler(request)

            @specialises(own)
            def wrong(endpoint, handler):
                pass
        """,
        app="""
            CLOSED = []

            async def close(app):
                CLOSED.append(True)

            def init(app):
                app.on_cleanup.append(close)
        """,
    )
    runner = web.AppRunner(create_app())
    with pytest.raises(special.ImproperlyConfigured, match=r'shop\.middlewares\.wrong must return a handler, not None'):
        await runner.setup()
    await runner.cleanup()
    from shop import app

    assert app.CLOSED == [True]


def test_who_wraps_a_middleware_is_not_passed_by(specialise):
    import functools

    from colibris.endpoints import function_handler
    from colibris.middleware import handle_auth

    @functools.wraps(handle_auth)
    async def stricter(request, handler):
        return 'refused'

    async def hello(request):
        return 'hello'

    handler = wrap(function_handler('GET', '/', hello), [stricter])
    with pytest.raises(StopIteration) as stopped:
        handler(None).send(None)
    assert stopped.value.value == 'refused'
