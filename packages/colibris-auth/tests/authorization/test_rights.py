"""Authorization by rights, on each database."""

import pytest
from aiohttp.test_utils import make_mocked_request

from colibris import plugins
from colibris.authentication import create_api_key
from colibris.authorization.base import AuthorizationBackend
from colibris.authorization.rights import RightsBackend
from colibris.authorization.testing import AuthorizationBackendSuite
from colibris.conf import ImproperlyConfigured

AUTHENTICATION = {'backend': 'apikey', 'model': 'shop.models.User', 'key_field': 'secret'}
AUTHORIZATION = {
    'backend': 'colibris.authorization.rights.RightsBackend',
    'model': 'shop.models.Right',
    'account_field': 'user',
    'resource_field': 'resource',
    'operation_field': 'operation',
}
MODELS = """
    import enum

    from colibris.persist import Model, fields

    class Operation(enum.StrEnum):
        READ = 'read'
        UPDATE = 'update'

    class User(Model):
        id = fields.IntField(primary_key=True)
        username = fields.CharField(max_length=64, unique=True)
        secret = fields.CharField(max_length=128, null=True)

    class Right(Model):
        id = fields.IntField(primary_key=True)
        user = fields.ForeignKeyField('models.User', related_name='rights')
        resource = fields.CharField(max_length=64)
        operation = fields.CharField(max_length=64)

    class EnumRight(Model):
        id = fields.IntField(primary_key=True)
        user = fields.ForeignKeyField('models.User', related_name='enum_rights', to_field='username')
        resource = fields.CharField(max_length=64)
        operation = fields.CharEnumField(Operation)

    class ClaimedRight(Model):
        id = fields.IntField(primary_key=True)
        subject = fields.CharField(max_length=64)
        resource = fields.CharField(max_length=64)
        operation = fields.CharField(max_length=64)
"""
VIEWS = """
    from colibris.authorization import Permission, has_permission, require_permission
    from colibris.views import APIView

    class UsersView(APIView):
        permissions = 'users:read'

        async def get(self):
            return {'may_update': await has_permission(self.request, 'users:update')}

        @require_permission('users:update')
        async def patch(self):
            return {}

        @require_permission(Permission('users:read') & 'users:update' & (Permission('a:b') | 'users:delete'))
        async def delete(self):
            return {}
"""
ROUTES = """
    from shop import views

    ROUTES = [('/users', views.UsersView)]
"""


@pytest.fixture
async def client(serve, database):
    return await serve(
        database,
        AUTHENTICATION=AUTHENTICATION,
        AUTHORIZATION=AUTHORIZATION,
        models=MODELS,
        views=VIEWS,
        routes=ROUTES,
    )


async def make_user(*rights, name='ann'):
    from shop.models import Right, User

    user = await User.create(username=name)
    for right in rights:
        resource, operation = right.split(':')
        await Right.create(user=user, resource=resource, operation=operation)
    return {'X-API-Key': await create_api_key(user)}


async def test_the_example_of_the_seed(client):
    headers = await make_user('users:read', 'users:update')
    await make_user('users:delete', 'a:b', name='bob')

    for method, status in (('GET', 200), ('PATCH', 200), ('DELETE', 403)):
        async with client.request(method, '/users', headers=headers) as response:
            assert response.status == status, method


async def test_it_takes_one_query_for_the_account_and_one_for_its_rights(client, statements):
    headers = await make_user('users:read', 'users:update', 'users:delete')
    statements.clear()

    async with client.delete('/users', headers=headers) as response:
        assert response.status == 200
    assert len(statements) == 2


@pytest.mark.parametrize(
    'right', ['Users:read', 'users:Read', 'user:read', 'users:rea', 'users:reads', 'users :read', 'users:read ', 'a:b']
)
async def test_only_the_very_right_counts(client, right):
    headers = await make_user(right)

    async with client.get('/users', headers=headers) as response:
        assert response.status == 403
        assert (await response.json())['code'] == 'forbidden'


async def test_rights_to_one_operation_on_another_resource_are_not_mixed(client):
    headers = await make_user('users:delete', 'notes:read')

    async with client.get('/users', headers=headers) as response:
        assert response.status == 403


async def test_a_view_can_ask_by_itself(client):
    for name, rights, expected in (('ann', ['users:read'], False), ('bob', ['users:read', 'users:update'], True)):
        async with client.get('/users', headers=await make_user(*rights, name=name)) as response:
            assert await response.json() == {'may_update': expected}


@pytest.mark.parametrize('variant', ['enumeration and to_field', 'claims'])
async def test_rights_of_other_shapes(serve, database, variant):
    if variant == 'claims':
        options = {'model': 'shop.models:ClaimedRight', 'account_field': 'subject'}
    else:
        options = {'model': 'shop.models.EnumRight', 'account_field': 'user'}
    await serve(
        database, AUTHENTICATION=AUTHENTICATION, models=MODELS, views='', routes='ROUTES = []', AUTHORIZATION=None
    )
    backend = RightsBackend(**options, resource_field='resource', operation_field='operation')
    await backend.open()
    from shop.models import ClaimedRight, EnumRight, User

    ann = await User.create(username='ann')
    await EnumRight.create(user=ann, resource='users', operation='update')
    await ClaimedRight.create(subject='ann', resource='users', operation='update')
    account, stranger = ({'sub': 'ann'}, {'sub': 'Ann'}) if variant == 'claims' else (ann, User(username='bob'))
    request = make_mocked_request('GET', '/')

    assert await backend.permitted(account, {'users:update', 'users:read'}, request) == {'users:update'}
    assert not await backend.permits(stranger, 'users:update', request)
    assert not await backend.permits(account, f'{"users" * 20}:update', request)
    if variant != 'claims':
        assert not await backend.permits(account, 'users:destroy', request)
        with pytest.raises(ValueError, match=r"'destroy' is no operation \(there are: read, update\)"):
            backend.check_permission('users:destroy')


class TestContract(AuthorizationBackendSuite):
    granted = 'users:update'
    refused = 'users:delete'
    impossible = 'users'

    @pytest.fixture
    async def backend(self, serve, database):
        await serve(database, AUTHENTICATION=AUTHENTICATION, models=MODELS, views='', routes='ROUTES = []')
        options = {**AUTHORIZATION, 'backend': 'rights'}
        backend = plugins.build('AUTHORIZATION', options, 'colibris.authorization', AuthorizationBackend)
        await backend.open()
        return backend

    @pytest.fixture
    async def account(self, backend):
        from shop.models import User

        await make_user('users:update', 'notes:read')
        return await User.get(username='ann')

    @pytest.fixture
    async def stranger(self, backend):
        from shop.models import User

        await make_user(name='bob')
        return await User.get(username='bob')


@pytest.mark.parametrize(
    ('changed', 'said'),
    [
        ({'model': 'shop.models.Wrong'}, r"AUTHORIZATION\['model'\].*'Wrong'"),
        ({'model': 'Right'}, r"AUTHORIZATION\['model'\].*no import path"),
        ({'model': 'shop.views.UsersView'}, r"AUTHORIZATION\['model'\].*no model"),
        ({'account_field': 'owner'}, r"AUTHORIZATION\['account_field'\].*Right has no column 'owner'"),
        ({'resource_field': 'user'}, r"AUTHORIZATION\['resource_field'\].*no column 'user'"),
        ({'operation_field': 'operations'}, r"AUTHORIZATION\['operation_field'\].*it has: .*operation"),
    ],
)
async def test_a_wrong_option_is_named(serve, sqlite, changed, said):
    with pytest.raises(ImproperlyConfigured, match=said):
        await serve(
            sqlite,
            AUTHENTICATION=AUTHENTICATION,
            AUTHORIZATION={**AUTHORIZATION, **changed},
            models=MODELS,
            views=VIEWS,
            routes=ROUTES,
        )


async def test_accounts_of_another_model_are_an_error(serve, sqlite):
    with pytest.raises(ImproperlyConfigured, match='refers to User, but accounts are of the model Right'):
        await serve(
            sqlite,
            AUTHENTICATION={'backend': 'apikey', 'model': 'shop.models.Right', 'key_field': 'resource'},
            AUTHORIZATION=AUTHORIZATION,
            models=MODELS,
            views=VIEWS,
            routes=ROUTES,
        )
