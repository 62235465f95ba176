"""Permissions of views: what is said on classes, methods and handlers is enforced, whatever way a request takes."""

import logging

import pytest

from colibris.authentication import create_api_key
from colibris.conf import ImproperlyConfigured

AUTHENTICATION = {'backend': 'apikey', 'model': 'shop.models.User', 'key_field': 'secret'}
AUTHORIZATION = {'backend': 'role', 'role_field': 'role', 'order': ['viewer', 'editor', 'admin']}

VIEWS = """
    from aiohttp import web

    from colibris.authentication import require_authentication
    from colibris.authorization import Permission, has_permission, require_permission
    from colibris.schemas import ModelSchema
    from colibris.views import APIView, CreateMixin, ListMixin, ModelView, RetrieveUpdateDestroyModelView

    from shop.models import User

    done = []

    class DocumentView(APIView):
        permissions = 'viewer'

        async def get(self):
            done.append('get')
            return {'may_delete': await has_permission(self.request, 'admin')}

        @require_permission('editor')
        async def post(self):
            done.append('post')
            return {}

        @require_permission(Permission('editor') & Permission('admin'))
        async def delete(self):
            done.append('delete')
            return {}

    class EitherView(APIView):
        permissions = Permission('admin') | Permission('viewer') & 'editor'

        async def get(self):
            return {}

    class AllView(APIView):
        permissions = ['viewer', 'admin']

        async def get(self):
            return {}

    class AccountView(APIView):
        @require_authentication
        async def get(self):
            return {}

        async def post(self):
            return {}

    @require_permission('admin')
    async def handler(request):
        return {'done': True}

    @require_permission('admin')
    def plain_handler(request):
        return {'done': True}

    @require_authentication
    async def account_handler(request):
        return {}

    @require_permission('admin')
    class PlainView(web.View):
        async def get(self):
            return web.json_response({})

    class UserSchema(ModelSchema):
        class Meta:
            model = User
            fields = ('id', 'username')

    class UsersView(ModelView, ListMixin, CreateMixin):
        model = User
        body_schema_class = UserSchema
        permissions = 'viewer'
        post = require_permission('admin')(CreateMixin.post)

    class UserView(RetrieveUpdateDestroyModelView):
        model = User
        body_schema_class = UserSchema
        permissions = 'admin'
"""
ROUTES = """
    from aiohttp import web

    from shop import views

    ROUTES = [
        ('/documents', views.DocumentView),
        ('/either', views.EitherView),
        ('/all', views.AllView),
        ('/account', views.AccountView),
        ('/handler', views.handler),
        web.post('/handler', views.plain_handler),
        ('/account_handler', views.account_handler),
        ('/plain', views.PlainView),
        ('/users', views.UsersView),
        ('/users/{id}', views.UserView),
    ]
"""


@pytest.fixture
async def ask(serve, database):
    """Ask the service as somebody with a role, and return the status."""
    client = await serve(
        database, AUTHENTICATION=AUTHENTICATION, AUTHORIZATION=AUTHORIZATION, views=VIEWS, routes=ROUTES
    )
    from shop.models import User

    users = {}

    async def ask(method, path, role=None, *, headers=(), **options):
        headers = dict(headers)
        if role is not None:
            if role not in users:
                users[role] = await User.create(username=f'user {len(users)}', role=role)
            user = users[role]
            headers['X-API-Key'] = await create_api_key(user)
        async with client.request(method, path, headers=headers, allow_redirects=False, **options) as response:
            if response.status == 403 and method != 'HEAD':
                assert (await response.json())['code'] == 'forbidden'
            if response.status == 401:
                assert response.headers['WWW-Authenticate'].startswith('Bearer')
            return response.status

    return ask


REFUSED = ['nobody', 'adm', 'administrator', 'Admin', 'viewe', 'viewers']


@pytest.mark.parametrize(
    ('method', 'path', 'lowest'),
    [
        ('GET', '/documents', 'viewer'),
        ('POST', '/documents', 'editor'),
        ('DELETE', '/documents', 'admin'),
        ('GET', '/either', 'editor'),
        ('GET', '/all', 'admin'),
        ('GET', '/handler', 'admin'),
        ('POST', '/handler', 'admin'),
        ('GET', '/plain', 'admin'),
        ('GET', '/users', 'viewer'),
        ('DELETE', '/users/999999', 'admin'),
    ],
)
async def test_who_has_the_role_or_a_higher_one_may(ask, method, path, lowest):
    order = AUTHORIZATION['order']
    good = 404 if path.endswith('999999') else 200
    assert await ask(method, path) == 401
    for role in [*order, *REFUSED]:
        may = role in order and order.index(role) >= order.index(lowest)
        assert await ask(method, path, role) == (good if may else 403), role


async def test_an_account_is_enough_where_no_permission_is_needed(ask):
    for path in ('/account', '/account_handler'):
        assert await ask('GET', path) == 401
        assert await ask('GET', path, 'nobody') == 200
    assert await ask('POST', '/account') == 200


async def test_a_decorated_method_of_a_mixin_is_that_views_own(ask):
    body = {'username': 'carl'}
    assert await ask('POST', '/users', json=body) == 401
    assert await ask('POST', '/users', 'editor', json=body) == 403
    assert await ask('POST', '/users', 'admin', json=body) == 201


@pytest.mark.parametrize('header', ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'])
@pytest.mark.parametrize(('method', 'path'), [('GET', '/documents'), ('POST', '/documents?_method=DELETE')])
async def test_a_method_cannot_be_overridden(ask, header, method, path):
    from shop import views

    await ask(method, path, 'editor', headers={header: 'DELETE'}, data='_method=DELETE')
    assert views.done == [method.lower()]


async def test_head_needs_what_get_needs(ask):
    for path, role in (('/documents', None), ('/handler', 'viewer'), ('/plain', 'viewer'), ('/users', 'nobody')):
        assert await ask('HEAD', path, role) in (401, 403, 405)
    assert await ask('HEAD', '/documents', 'viewer') == 200


@pytest.mark.parametrize(
    'path',
    [
        '/handler/',
        '/handler//',
        '/./handler',
        '/x/../handler',
        '/%68andler',
        '/handler%2f',
        '/handler%00',
        '/HANDLER',
        '/handler;x',
        '/handler?x',
        '/handler%3f',
        '/%2e/handler',
    ],
)
async def test_no_other_way_of_writing_a_path_leads_past_the_guard(ask, path):
    from yarl import URL

    assert await ask('GET', URL(path, encoded=True), 'viewer') in (400, 403, 404)


@pytest.mark.parametrize('method', ['OPTIONS', 'TRACE', 'PROPFIND', 'get', 'Get', 'GETX'])
async def test_other_methods_are_none(ask, method):
    assert await ask(method, '/handler', 'viewer') in (400, 403, 405)


async def test_nobody_learns_what_a_view_takes_who_may_not_use_it(ask):
    assert await ask('POST', '/users', 'editor', json={'wrong': 1}) == 403
    assert await ask('GET', '/users?wrong=1', 'nobody') == 403
    assert await ask('POST', '/users', data='{') == 401


async def test_role_and_password_cannot_be_assigned_with_others(ask):
    from shop.models import User

    body = {'username': 'carl', 'role': 'admin', 'password': 'x', 'is_active': False}
    assert await ask('POST', '/users', 'admin', json=body) == 400
    user = await User.create(username='dora', role='viewer')
    for method in ('PUT', 'PATCH'):
        assert await ask(method, f'/users/{user.id}', 'admin', json=body) == 400
    assert (await User.get(username='dora')).role == 'viewer'


@pytest.fixture
def start(serve, sqlite):
    """Start the service with one view that says something, and other settings."""

    async def start(says, **values):
        views = f"""
            from colibris.authorization import Permission
            from colibris.views import APIView

            class SecretView(APIView):
                {says}

                async def get(self):
                    return {{}}
        """
        routes = "from shop import views\nROUTES = [('/secret', views.SecretView)]"
        values = {'AUTHENTICATION': AUTHENTICATION, 'AUTHORIZATION': AUTHORIZATION, **values}
        return await serve(sqlite, views=views, routes=routes, **values)

    return start


@pytest.mark.parametrize(
    ('says', 'values', 'said'),
    [
        ("permissions = 'superuser'", {}, r"'superuser'.* viewer, editor, admin"),
        ("permissions = ('viewer', 'adm')", {}, r"'adm'"),
        ("permissions = Permission('viewer') | 'viewr'", {}, r"'viewr'"),
        ("permissions = 'users:read'", {}, r"'users:read'"),
        ("permissions = ''", {}, r'permissions must be'),
        ("permissions = ('',)", {}, r'permissions must be'),
        ('permissions = 7', {}, r'permissions must be'),
        ("permissions = 'viewer'", {'AUTHORIZATION': None}, r'AUTHORIZATION is not set'),
        ("permissions = 'viewer'", {'AUTHORIZATION': None, 'AUTHENTICATION': {'backend': 'null'}}, r'AUTHORIZATION is'),
        ("permissions = 'viewer'", {'AUTHENTICATION': None}, r'AUTHENTICATION is not'),
        ('hidden = True', {'AUTHENTICATION': None}, r'AUTHORIZATION is set, but AUTHENTICATION is not'),
        ("permissions = 'viewer'", {'AUTHORIZATION': None, 'AUTHENTICATION': None}, r'AUTHENTICATION is not set'),
        ('authentication_required = True', {'AUTHORIZATION': None, 'AUTHENTICATION': None}, r'AUTHENTICATION is not'),
        (
            'hidden = True',
            {'AUTHORIZATION': {'backend': 'role', 'role_field': 'rank'}},
            r"AUTHORIZATION\['role_field'\].*User has no column 'rank'.*role",
        ),
    ],
)
async def test_what_would_not_be_enforced_is_an_error_at_the_start(start, says, values, said):
    with pytest.raises(ImproperlyConfigured, match=said):
        await start(says, **values)


async def test_null_in_so_many_words_lets_everybody_do_everything(start, caplog):
    caplog.set_level(logging.WARNING)
    client = await start(
        "permissions = 'anything'", AUTHENTICATION={'backend': 'null'}, AUTHORIZATION={'backend': 'null'}, DEBUG=False
    )

    async with client.get('/secret') as response:
        assert response.status == 200
    assert caplog.text.count("AUTHENTICATION is 'null'") >= 1
    assert caplog.text.count("AUTHORIZATION is 'null'") == 1


async def test_null_authorization_still_needs_an_account(start):
    client = await start("permissions = 'anything'", AUTHORIZATION={'backend': 'null'}, DEBUG=True)

    async with client.get('/secret') as response:
        assert response.status == 401
