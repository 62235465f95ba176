"""How often the account is asked for, and in which requests."""

import pytest

from colibris.authentication import create_token
from colibris.authentication.jwt import JWTBackend

AUTHENTICATION = {'backend': 'jwt', 'model': 'shop.models.User', 'active_field': 'is_active'}
ANN = {'id': 1, 'username': 'ann', 'email': ''}


async def ask(client, path, token=None, method='GET'):
    headers = {} if token is None else {'Authorization': f'Bearer {token}'}
    async with client.request(method, path, headers=headers) as response:
        return response.status, (await response.json() if method != 'HEAD' else None)


async def test_the_account_is_one_query(serve, database, statements):
    client = await serve(database, AUTHENTICATION={**AUTHENTICATION, 'secret_field': 'password'})
    from shop.models import User

    token = create_token(await User.create(username='ann', password='x'))
    statements.clear()
    assert await ask(client, '/me', token) == (200, {'account': 'ann'})
    assert len(statements) == 1


async def test_claims_are_none(serve, statements):
    client = await serve(AUTHENTICATION={'backend': 'jwt'})
    statements.clear()
    status, body = await ask(client, '/me', create_token('ann'))
    assert (status, body['account']['sub']) == (200, 'ann')
    assert statements == []


async def test_a_view_of_the_account_itself_does_not_ask_again(serve, database, statements):
    client = await serve(database, AUTHENTICATION=AUTHENTICATION)
    from shop.models import User

    ann = await User.create(id=1, username='ann')
    await User.create(id=2, username='bob')
    token = create_token(ann)
    for path, expected, queries in (('/users/1', (200, ANN), 1), ('/users/2', None, 2), ('/users/01', None, 1)):
        statements.clear()
        answer = await ask(client, path, token)
        assert expected is None or answer == expected
        assert len(statements) == queries, path


async def test_what_is_not_there_asks_nothing(serve, sqlite, statements):
    client = await serve(sqlite, AUTHENTICATION=AUTHENTICATION)
    from shop.models import User

    token = create_token(await User.create(username='ann'))
    statements.clear()
    assert (await ask(client, '/nowhere', token))[0] == 404
    assert (await ask(client, '/me', token, 'DELETE'))[0] == 405
    assert (await ask(client, '/nowhere', 'nonsense'))[0] == 404
    assert statements == []


#: One that says nothing of headers, and one that does.
BACKENDS = """
    from colibris.authentication import Identity
    from colibris.authentication.jwt import JWTBackend

    class ByTicket(JWTBackend):
        async def authenticate(self, request):
            ticket = request.headers.get('X-Ticket')
            return None if ticket is None else Identity({'sub': ticket})

    class Named(ByTicket):
        credential_headers = ('X-Ticket',)
"""


@pytest.mark.parametrize('name', ['ByTicket', 'Named'])
async def test_an_open_view_knows_the_account_of_a_derived_backend(serve, name):
    client = await serve(AUTHENTICATION={'backend': f'shop.app.{name}'}, app=BACKENDS)
    for header, account in (({'X-Ticket': 'ann'}, 'ann'), ({}, None)):
        async with client.get('/open', headers=header) as response:
            answer = await response.json()
        assert (answer['account'] and answer['account']['sub']) == account


async def test_an_open_view_asks_nobody_for_credentials_that_did_not_come(serve, monkeypatch):
    asked = []
    monkeypatch.setattr(JWTBackend, 'authenticate', lambda self, request: asked.append(request))
    client = await serve(AUTHENTICATION={'backend': 'jwt'})
    async with client.get('/open') as response:
        assert (await response.json())['account'] is None
    assert asked == []
    await client.get('/open', headers={'Cookie': 'session=x'})
    assert len(asked) == 1


async def test_an_open_view_knows_the_account_too(serve, sqlite):
    client = await serve(sqlite, AUTHENTICATION=AUTHENTICATION)
    from shop.models import User

    token = create_token(await User.create(username='ann'))
    assert await ask(client, '/open', token) == (200, {'account': 'ann'})
    assert await ask(client, '/open') == (200, {'account': None})
    assert (await ask(client, '/open', 'nonsense'))[0] == 401
    async with client.get('/open', headers={'Authorization': 'Basic YTpi'}) as response:
        assert response.status == 200


async def test_protection_of_a_method_a_class_and_a_handler(serve, sqlite):
    views = """
        from colibris.authentication import require_authentication
        from colibris.views import APIView

        class MethodView(APIView):
            async def get(self):
                return {}

            @require_authentication
            async def post(self):
                return {}

        @require_authentication
        class ClassView(APIView):
            async def get(self):
                return {}

        class SubView(ClassView):
            pass

        @require_authentication
        def handler(request):
            return {}
    """
    routes = """
        from aiohttp import web
        from shop import views

        ROUTES = [
            ('/method', views.MethodView),
            ('/class', views.ClassView),
            ('/sub', views.SubView),
            ('/handler', views.handler),
            web.post('/posted', views.handler),
        ]
    """
    client = await serve(sqlite, views=views, routes=routes, AUTHENTICATION=AUTHENTICATION)
    from shop.models import User

    token = create_token(await User.create(username='ann'))
    cases = [
        ('GET', '/method', 200),
        ('POST', '/method', 401),
        ('GET', '/class', 401),
        ('HEAD', '/class', 401),
        ('GET', '/sub', 401),
        ('GET', '/handler', 401),
        ('HEAD', '/handler', 401),
        ('POST', '/posted', 401),
    ]
    for method, path, expected in cases:
        assert (await ask(client, path, None, method))[0] == expected, (method, path)
        assert (await ask(client, path, token, method))[0] == 200, (method, path)


async def test_a_request_of_nobody_learns_nothing_of_the_body(serve, sqlite):
    client = await serve(sqlite, AUTHENTICATION=AUTHENTICATION)
    async with client.patch('/users/1', data=b'{') as response:
        assert response.status == 401
        assert await response.json() == {
            'code': 'unauthenticated',
            'message': 'this request needs valid credentials',
            'details': None,
        }
        assert response.headers['WWW-Authenticate'] == 'Bearer'


async def test_the_documentation_says_what_needs_what(serve, sqlite):
    routes = """
        from colibris.authentication.views import LoginView, RefreshView, LogoutView, ChangePasswordView
        from shop import views

        ROUTES = [
            ('/me', views.MeView),
            ('/open', views.OpenView),
            ('/login', LoginView),
            ('/refresh', RefreshView),
            ('/logout', LogoutView),
            ('/password', ChangePasswordView),
        ]
    """
    client = await serve(sqlite, routes=routes, AUTHENTICATION=AUTHENTICATION)
    async with client.get('/api/docs/openapi.json') as response:
        document = await response.json()
    from openapi_spec_validator import validate

    validate(document)
    paths = document['paths']
    assert paths['/me']['get']['security'] == [{'bearer': []}, {'cookie': []}]
    assert paths['/me']['post']['security'] == [{'bearer': []}, {'cookie': [], 'csrf': []}]
    assert 'security' not in paths['/open']['get']
    assert 'security' not in paths['/login']['post']
    assert 'security' in paths['/password']['post']
    assert {'200', '401', '429'} <= paths['/login']['post']['responses'].keys()
    schemes = document['components']['securitySchemes']
    assert schemes['bearer'] == {'type': 'http', 'scheme': 'bearer', 'bearerFormat': 'JWT'}
    assert schemes['cookie'] == {'type': 'apiKey', 'in': 'cookie', 'name': '__Host-auth_token'}
    assert schemes['csrf']['name'] == 'X-CSRF-Token'


async def test_the_documentation_says_which_permissions(serve, sqlite):
    views = """
        from colibris.authorization import Permission
        from colibris.views import APIView

        class V(APIView):
            permissions = Permission('editor') | Permission('admin')

            async def get(self):
                \"\"\"Look.

                It is worth it.
                \"\"\"
                return {}

            async def post(self):
                return {}
    """
    client = await serve(
        sqlite,
        views=views,
        routes="from shop.views import V\nROUTES = [('/', V)]\n",
        AUTHENTICATION=AUTHENTICATION,
        AUTHORIZATION={'backend': 'role', 'role_field': 'role'},
    )
    async with client.get('/api/docs/openapi.json') as response:
        operations = (await response.json())['paths']['/']
    assert operations['get']['description'] == 'It is worth it.\n\nNeeds the permission editor or admin.'
    assert operations['post']['description'] == 'Needs the permission editor or admin.'
    assert operations['post']['x-permissions'] == 'editor or admin'
