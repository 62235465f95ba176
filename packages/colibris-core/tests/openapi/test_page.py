"""The routes of the documentation: the page, its files, the document, and the way there."""

import re

import pytest
from yarl import URL

from colibris.app import create_app
from colibris.conf import ImproperlyConfigured

ROUTES = """
    def hello(request):
        return 'hello'

    ROUTES = [('/hello', hello)]
"""

ADDRESS = re.compile(r'(?:href|src|data-document)="([^"]+)"')


@pytest.fixture
def serve(project, aiohttp_client):
    async def start(settings='', routes=ROUTES):
        project(settings=settings, routes=routes)
        return await aiohttp_client(create_app())

    return start


@pytest.mark.parametrize('path', ['/api/docs', '/api/docs/'])
async def test_the_page_finds_its_files_by_relative_addresses(serve, path):
    client = await serve()
    page = await client.get(path)
    assert (page.status, page.headers['Content-Type']) == (200, 'text/html; charset=utf-8')
    addresses = ADDRESS.findall(await page.text())
    assert len(addresses) == 7
    for address in addresses:
        assert not re.match('[a-z]+:|/', address), 'as a proxy may put a prefix before ours'
        resp = await client.get(page.url.join(URL(address)).relative())
        assert resp.status == 200, address
        assert resp.content_length > 20


@pytest.mark.parametrize(('path', 'root'), [('/api/docs', '../'), ('/api/docs/', '../../')])
async def test_the_page_knows_where_the_service_begins(serve, path, root):
    client = await serve()
    page = await client.get(path)
    assert f'data-root="{root}"' in await page.text()
    assert page.url.join(URL(root)).path == '/'


@pytest.mark.parametrize('setting', ['/docs', '/docs/', '/a/b/c'])
async def test_the_path_is_a_setting(serve, setting):
    client = await serve(f'API_DOCS_PATH = {setting!r}')
    for path in (setting, setting.rstrip('/') + '/', setting.rstrip('/') + '/openapi.json'):
        assert (await client.get(path)).status == 200
    assert (await client.get('/api/docs')).status == 404


async def test_the_documentation_can_be_at_the_root(serve):
    client = await serve('API_DOCS_PATH = "/"')
    page = await client.get('/')
    assert page.content_type == 'text/html'
    assert 'data-root="./"' in await page.text()
    assert (await client.get('/openapi.json')).status == 200


async def test_none_turns_page_and_document_off(serve):
    client = await serve('API_DOCS_PATH = None')
    for path in ('/', '/api/docs', '/api/docs/', '/api/docs/openapi.json', '/api/docs/swagger-ui.css'):
        assert (await client.get(path)).status == 404


async def test_the_root_leads_to_the_documentation(serve):
    client = await serve()
    resp = await client.get('/', allow_redirects=False)
    assert (resp.status, resp.headers['Location']) == (302, 'api/docs')
    assert (await client.get('/')).url.path == '/api/docs'


@pytest.mark.parametrize('path', ['/', '/{anything:[a-z]*}'])
async def test_a_project_that_serves_the_root_keeps_it(serve, path):
    client = await serve(routes=ROUTES.replace('/hello', path))
    assert await (await client.get('/')).json() == 'hello'
    assert (await client.get('/api/docs')).status == 200


async def test_a_route_for_another_method_is_not_in_the_way(serve):
    routes = 'from aiohttp import web\ndef add(request):\n    return {}\n'
    client = await serve(routes=f"{routes}ROUTES = [web.post('/', add), web.post('/api/{{name}}', add)]")
    assert (await client.get('/')).url.path == '/api/docs'
    assert await (await client.post('/')).json() == {}


@pytest.mark.parametrize('path', ['/api/docs', '/api/{name}'])
async def test_a_route_of_the_project_in_its_place_is_an_error(serve, path):
    with pytest.raises(ImproperlyConfigured, match="'/api/docs' is already a route of the project") as caught:
        await serve(routes=ROUTES.replace('/hello', path))
    assert caught.value.setting == 'API_DOCS_PATH'


@pytest.mark.parametrize('setting', ['api/docs', '', '/api/{name}', '/a//b', '/a b'])
async def test_what_is_no_path_is_an_error(serve, setting):
    with pytest.raises(ImproperlyConfigured, match='API_DOCS_PATH'):
        await serve(f'API_DOCS_PATH = {setting!r}')


async def test_the_document_lists_the_routes_of_the_project_and_not_its_own(serve):
    client = await serve()
    resp = await client.get('/api/docs/openapi.json')
    assert resp.content_type == 'application/json'
    assert list((await resp.json())['paths']) == ['/health', '/health/live', '/health/ready', '/hello']


@pytest.mark.parametrize('path', ['/api/docs', '/api/docs/openapi.json', '/api/docs/page.js'])
async def test_what_a_client_has_is_not_sent_again(serve, path):
    client = await serve()
    first = await client.get(path)
    again = await client.get(path, headers={'If-None-Match': first.headers['ETag']})
    assert (again.status, await again.read()) == (304, b'')
    assert again.headers['ETag'] == first.headers['ETag']
    other = await client.get(path, headers={'If-None-Match': '"other"'})
    assert other.status == 200


@pytest.mark.parametrize('path', ['/api/docs', '/api/docs/openapi.json', '/api/docs/page.js', '/'])
async def test_head_answers_as_get_without_a_body(serve, path):
    client = await serve()
    head = await client.head(path, allow_redirects=False)
    got = await client.get(path, allow_redirects=False)
    assert (head.status, await head.read()) == (got.status, b'')
    for name in ('Content-Type', 'ETag', 'Location'):
        assert head.headers.get(name) == got.headers.get(name)


@pytest.mark.parametrize(
    ('name', 'content_type'),
    [
        ('swagger-ui-bundle.js', 'text/javascript; charset=utf-8'),
        ('page.js', 'text/javascript; charset=utf-8'),
        ('swagger-ui.css', 'text/css; charset=utf-8'),
        ('favicon-32x32.png', 'image/png'),
    ],
)
async def test_files_bear_their_type_and_are_kept_by_version(serve, name, content_type):
    client = await serve()
    resp = await client.get(f'/api/docs/{name}', params={'v': '1'})
    assert resp.headers['Content-Type'] == content_type
    assert resp.headers['Cache-Control'] == 'public, max-age=31536000, immutable'
    assert (await client.get(f'/api/docs/{name}')).headers['Cache-Control'] == 'no-cache'


async def test_only_the_files_of_the_page_are_served(serve):
    client = await serve()
    for name in ('swagger-editor.css', 'page.html', 'page.py', '..%2fpage.py', 'oauth2-redirect.html'):
        assert (await client.get(f'/api/docs/{name}')).status == 404


async def test_the_page_allows_nothing_inline_and_nothing_from_elsewhere(serve):
    client = await serve()
    page = await client.get('/api/docs')
    policy = page.headers['Content-Security-Policy']
    assert "default-src 'none'" in policy
    assert 'unsafe' not in policy
    text = await page.text()
    assert not re.search(r'<script>|<style|style=|\son\w+=|https?:', text)


async def test_a_document_that_cannot_be_made_is_an_error_that_is_tried_again(serve, monkeypatch):
    from colibris.openapi import document

    client = await serve()
    with monkeypatch.context() as patched:
        patched.setattr(document, 'describe_project', lambda: 1 / 0)
        resp = await client.get('/api/docs/openapi.json')
        assert (resp.status, (await resp.json())['code']) == (500, 'server_error')
    assert (await client.get('/api/docs/openapi.json')).status == 200
