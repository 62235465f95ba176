"""`Router.find`: what aiohttp's router finds, or nothing."""

from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from colibris.router import Router

METHODS = ('GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'BREW', '*')


async def handler(request):
    return web.Response()


async def other(request):
    return web.Response()


PATHS = (
    *('/', '', '/items', '/items/', '/items/new', '/items/{id}', '/items/{id}/', r'/items/{id:\d+}'),
    *('/items/{id}/parts', '/items/{id}/parts/{part}', '/{tail:.*}', '/files/{path:.+}', '/a.b', '/a b'),
    *('/é', '/é/{name}', '/%20', '/a%2Fb', '/x{y}z', '/{a}-{b}', '/{lang:de|fr}/items', '/Items', '//'),
    *('/items//new', '/q?x=1', '/plus+plus', '/~', '/;v=1'),
)
ASKED = (
    *('/', '', '/items', '/items/', '/items//', '/items/new', '/items/new/', '/items/1', '/items/1/'),
    *('/items/x%2Fy', '/items/%31', '/items/a%20b', '/items/a+b', '/items/%', '/items/%ff', '/items/%C3%A9'),
    *('/items/é', '/items/1/parts', '/items/1/parts/2', '/items/1/parts/', '/files/', '/files/a/b/c'),
    *('/files/a%2Fb', '/a.b', '/a%20b', '/a b', '/%C3%A9', '/é', '/%c3%a9/x', '/%20', '/%2520', '/a%2Fb'),
    *('/a/b', '/xyz', '/xyyz', '/a-b', '/a-b-c', '/de/items', '/it/items', '/ITEMS', '/Items', '//', '///'),
    *('/items//new', '/q?x=1', '/q', '/plus+plus', '/plus%2Bplus', '/~', '/%7E', '/;v=1'),
    *('/items?x=/items/new', '/items#x', '/items/../items', '/items/./new', '/none', '/none/of/these', '*'),
    *('http://h/items', 'http://h', '/items/{id}', '/items/%7Bid%7D', '/items/\u202e'),
    *('/items/' + 'x' * 5000, '/' + '/'.join('abc' * 200)),
)


async def check(build, asked, methods=METHODS):
    """Hold what the router that *build* fills finds for *asked* against what aiohttp's router finds; count it."""
    ours, theirs = Router(), web.UrlDispatcher()
    for router in (ours, theirs):
        build(router)
        router.freeze()
    fixed, found = ours.fixed(), 0
    for target in asked:
        for method in methods:
            request = make_mocked_request(method, target)
            request._rel_url = URL(target, encoded=True).relative() if '://' in target else URL(target, encoded=True)
            request._cache.pop('rel_url', None)
            path = request._rel_url.path_safe
            expected = await theirs.resolve(request)
            match = ours.find(method, path)
            if (method, path) in fixed:
                assert match is not None
                assert match == (fixed[method, path], {})
            if match is None:
                continue
            found += 1
            route, values = match
            assert expected.http_exception is None, (method, target)
            same = (route.method, route.resource.canonical, route.resource.get_info(), dict(values))
            theirs_route = expected.route
            assert same == (
                theirs_route.method,
                theirs_route.resource.canonical,
                theirs_route.resource.get_info(),
                dict(expected),
            ), (method, target)
            assert getattr(route.handler, '__wrapped__', route.handler) is theirs_route.handler
    return found


def adder(routes):
    def build(router):
        for method, path, function in routes:
            try:
                router.add_route(method, path, function)
            except (RuntimeError, ValueError):  # of routes that there are already
                continue

    return build


routes = st.lists(
    st.tuples(st.sampled_from(('GET', 'POST', 'HEAD', '*')), st.sampled_from(PATHS), st.sampled_from((handler, other))),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(routes=routes, asked=st.lists(st.sampled_from(ASKED), max_size=25, unique=True))
async def test_it_finds_what_aiohttp_finds(routes, asked):
    await check(adder(routes), asked)


@settings(max_examples=60, deadline=None)
@given(routes=routes, path=st.text(max_size=12), safe=st.sampled_from(('', '/', '/%', '/{}')))
async def test_it_finds_what_aiohttp_finds_of_any_path(routes, path, safe):
    await check(adder(routes), ['/' + quote(path, safe=safe, errors='replace')], ('GET', 'POST'))


async def test_it_finds_every_route_of_an_ordinary_project():
    paths = [path for i in range(20) for path in (f'/things{i}', f'/things{i}/{{id}}', f'/things{i}/{{id}}/parts')]
    asked = [path.replace('{id}', '7') for path in paths]
    build = adder([(method, path, handler) for path in paths for method in ('GET', 'POST')])
    assert await check(build, asked) == len(paths) * 2


def subapp():
    app = web.Application()
    app.router.add_get('/items', other)
    return app


@pytest.mark.parametrize(
    'add',
    [
        lambda app: app.add_subapp('/items', subapp()),
        lambda app: app.add_domain('example.com', subapp()),
        lambda app: app.router.add_static('/items', '.'),
    ],
)
async def test_what_only_aiohttp_can_tell_is_left_to_it(add):
    app, reached = web.Application(), ('/items/items', '/items')
    app._router = router = Router()
    add(app)
    router.add_get('/items/{id}', handler)
    router.add_get('/items', handler)
    router.freeze()
    assert [router.find('GET', path) for path in reached] == [None, None]
    assert router.fixed() == {}


async def test_a_route_that_comes_before_a_sub_application_is_found():
    app = web.Application()
    app._router = router = Router()
    router.add_get('/items', handler)
    app.add_subapp('/items', subapp())
    router.freeze()
    assert [path for _, path in router.fixed()] == ['/items', '/items']
