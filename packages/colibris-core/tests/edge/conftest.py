"""A service that tells what it knows of a request, behind the edge that a test asks for."""

import pytest

from colibris.app import create_app

ROUTES = """
    from aiohttp import web
    from colibris import api
    from colibris.security import ACCOUNT

    async def who(request):
        return {'remote': request.remote, 'scheme': request.scheme, 'host': request.host}

    async def mine(request):
        request[ACCOUNT] = {'sub': 'Zo\\u00eb "\\udc80"'}
        return {}

    async def fail_at(request):
        raise RuntimeError('broken')

    async def fail(request):
        raise RuntimeError('broken')

    async def taken(request):
        raise api.Conflict

    async def large(request):
        return {'results': ['the same text again'] * 500}

    async def huge(request):
        return {'results': ['the same text again'] * 20_000}

    async def small(request):
        return {'results': []}

    async def login(request):
        response = api.json_response({'token': 'x' * 5000})
        response.set_cookie('token', 'secret')
        return response

    async def unstored(request):
        return api.json_response({'token': 'x' * 5000}, headers={'Cache-Control': 'no-store'})

    async def tagged(request):
        response = api.json_response({'text': 'x' * 5000})
        response.etag = 'abc'
        return response

    async def image(request):
        return web.Response(body=b'x' * 5000, content_type='image/png')

    async def own(request):
        return web.Response(text='x', headers={'X-Frame-Options': 'SAMEORIGIN', 'Vary': 'Accept-Language'})

    async def sharing(request):
        headers = {'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'false',
                   'vary': 'ORIGIN, Cookie', 'X-Request-ID': 'own', 'Strict-Transport-Security': 'max-age=1',
                   'Link': '</own>'}
        return {'json': json, 'text': web.Response, 'error': refused}[request.query['as']](headers=headers)

    def json(headers):
        return api.json_response({}, headers=headers)

    def refused(headers):
        raise api.Conflict(headers=headers)

    async def streamed(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'x' * 5000)
        return response

    async def public(request):
        return {'results': ['the same text again'] * 500}
    public.compress = True

    ROUTES = [(f'/{f.__name__}', f) for f in
              (who, mine, fail, taken, large, huge, small, login, unstored, tagged, image, own, sharing, streamed,
               public)]
    ROUTES.append(('/fail/{token}', fail_at))
"""


@pytest.fixture
def serve(project, aiohttp_client):
    """Serve the project with *settings*, the text of its settings.py."""

    async def make(settings: str = ''):
        project(settings=settings, routes=ROUTES)
        return await aiohttp_client(create_app(), auto_decompress=False)

    return make
