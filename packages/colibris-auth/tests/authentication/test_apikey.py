"""API keys, on each database."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from colibris.authentication import create_api_key
from colibris.authentication.apikey import hash_key, make_key
from colibris.authentication.models.api_keys import APIKey

FIELD = {'backend': 'apikey', 'model': 'shop.models.User', 'key_field': 'secret', 'active_field': 'is_active'}
TABLE = {'backend': 'apikey', 'model': 'shop.models.User', 'active_field': 'is_active'}


async def ask(client, key, path='/me', **headers):
    async with client.get(path, headers={'X-API-Key': key, **headers}) as response:
        return response.status


def test_keys_are_random_and_can_be_recognised():
    keys = {make_key('shop') for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r'shop_[A-Za-z0-9_-]{43}', key) for key in keys)


@pytest.mark.parametrize('options', [FIELD, TABLE])
async def test_what_is_stored_cannot_be_presented(serve, database, options):
    client = await serve(database, AUTHENTICATION=options)
    from shop.models import User

    user = await User.create(username='ann')
    key = await create_api_key(user)
    stored = hash_key(key)
    if options is FIELD:
        assert (await User.get(id=user.id)).secret == stored
    else:
        assert (await APIKey.get()).key == stored
    assert await ask(client, key) == 200
    for wrong in (
        stored,
        stored.upper(),
        f' {stored}',
        stored.removeprefix('sha256$'),
        key[:-1],
        key.swapcase(),
        'x',
        '',
    ):
        assert await ask(client, wrong) == 401, wrong


async def test_a_new_key_in_the_field_replaces_the_old_one(serve, database):
    client = await serve(database, AUTHENTICATION=FIELD)
    from shop.models import User

    user = await User.create(username='ann')
    first, second = await create_api_key(user), await create_api_key(user)
    assert [await ask(client, key) for key in (first, second)] == [401, 200]
    await User.filter(id=user.id).update(is_active=False)
    assert await ask(client, second) == 401


async def test_accounts_without_a_key_have_none(serve, database):
    client = await serve(database, AUTHENTICATION=FIELD)
    from shop.models import User

    await User.create(username='ann', secret='')
    await User.create(username='bob', secret=None)
    for key in ('', 'None', 'null', 'a' * 513, 'x\x01'):
        if key.isprintable():
            assert await ask(client, key) == 401


async def test_plain_keys_only_if_that_is_said(serve, database, caplog):
    client = await serve(database, AUTHENTICATION={**FIELD, 'plain': True})
    from shop.models import User

    assert 'plain=True' in caplog.text
    user = await User.create(username='ann', secret='an-old-plain-key')
    await User.create(username='bob', secret='')
    assert await ask(client, 'an-old-plain-key') == 200
    for wrong in ('An-old-plain-key', 'an-old-plain-key ', 'an-old-plain-ke', ''):
        status = await ask(client, wrong)
        assert status == (200 if wrong.strip() == 'an-old-plain-key' else 401), wrong
    key = await create_api_key(user)
    assert await ask(client, key) == 200
    assert await ask(client, hash_key(key)) == 401


async def test_a_plain_key_is_nothing_without_that(serve, database):
    client = await serve(database, AUTHENTICATION=FIELD)
    from shop.models import User

    await User.create(username='ann', secret='an-old-plain-key')
    assert await ask(client, 'an-old-plain-key') == 401


async def test_several_keys_with_expiry_and_last_use(serve, database):
    client = await serve(database, AUTHENTICATION=TABLE)
    from shop.models import User

    ann, bob = await User.create(username='ann'), await User.create(username='bob')
    first = await create_api_key(ann, name='laptop')
    second = await create_api_key(ann, name='server', validity_seconds=3600)
    other = await create_api_key(bob)
    for key, name in ((first, 'ann'), (second, 'ann'), (other, 'bob')):
        async with client.get('/me', headers={'Authorization': f'Bearer {key}'}) as response:
            assert (await response.json())['account'] == name
    row = await APIKey.get(name='server')
    assert second.startswith(row.hint)
    assert len(row.hint) < 12
    assert datetime.now(UTC) - row.last_used_at < timedelta(minutes=1)
    await APIKey.filter(name='server').update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert [await ask(client, key) for key in (first, second)] == [200, 401]
    await APIKey.filter(name='laptop').delete()
    assert await ask(client, first) == 401
    await User.filter(id=bob.id).update(is_active=False)
    assert await ask(client, other) == 401


async def test_one_query_finds_a_key_and_its_account(serve, database, statements):
    client = await serve(database, AUTHENTICATION=TABLE)
    from shop.models import User

    key = await create_api_key(await User.create(username='ann'))
    assert await ask(client, key) == 200  # writes the last use
    statements.clear()
    assert await ask(client, key) == 200
    assert len(statements) == 1


@pytest.mark.parametrize('field', ['username', 'id'])
async def test_accounts_are_found_by_any_field(serve, database, field):
    client = await serve(database, AUTHENTICATION={**TABLE, 'identity_field': field})
    from shop.models import User

    ann = await User.create(username='Ann O\'Nym "x" `y`')
    key = await create_api_key(ann)
    assert await ask(client, key) == 200
    assert (await APIKey.get()).account == str(getattr(ann, field))


UUID_MODELS = """
    from colibris.persist import Model, fields

    class User(Model):
        id = fields.UUIDField(primary_key=True)
        username = fields.CharField(max_length=64, source_field='user_name')

        class Meta:
            table = 'order'
"""


async def test_accounts_with_uuids_and_odd_names(serve, database):
    client = await serve(
        database,
        models=UUID_MODELS,
        routes="from shop import views\nROUTES = [('/me', views.MeView)]\n",
        views=_VIEWS,
        AUTHENTICATION={'backend': 'apikey', 'model': 'shop.models.User'},
    )
    from shop.models import User

    key = await create_api_key(await User.create(username='ann'))
    async with client.get('/me', headers={'X-API-Key': key}) as response:
        assert await response.json() == {'account': 'ann'}


_VIEWS = """
    from colibris.authentication import get_account
    from colibris.views import APIView

    class MeView(APIView):
        authentication_required = True

        async def get(self):
            return {'account': get_account(self.request).username}
"""

SCOPED = """
    from colibris.authorization import require_permission
    from colibris.views import APIView

    class ItemsView(APIView):
        permissions = 'reader'

        async def get(self):
            return {}

        @require_permission('admin')
        async def post(self):
            return {}
"""


async def test_scopes_narrow_what_the_account_may_do(serve, database):
    client = await serve(
        database,
        views=SCOPED,
        routes="from shop import views\nROUTES = [('/items', views.ItemsView)]\n",
        AUTHENTICATION=TABLE,
        AUTHORIZATION={'backend': 'role', 'role_field': 'role', 'order': ['reader', 'admin']},
    )
    from shop.models import User

    ann = await User.create(username='ann', role='admin')
    bob = await User.create(username='bob', role='reader')
    answers = {}
    for name, account, scopes in (
        ('all', ann, None),
        ('some', ann, ['reader']),
        ('none', ann, []),
        ('too many', bob, ['reader', 'admin']),
    ):
        key = await create_api_key(account, scopes=scopes)
        answers[name] = []
        for method in ('GET', 'POST'):
            async with client.request(method, '/items', headers={'X-API-Key': key}) as response:
                answers[name].append(response.status)
    assert answers == {'all': [200, 200], 'some': [200, 403], 'none': [403, 403], 'too many': [200, 403]}


@pytest.mark.parametrize('options', [{'name': 'x'}, {'scopes': ['a']}, {'validity_seconds': 5}])
async def test_a_key_in_a_field_has_nothing_beside_it(serve, sqlite, options):
    await serve(sqlite, AUTHENTICATION=FIELD)
    from shop.models import User

    with pytest.raises(ValueError, match='key_field'):
        await create_api_key(await User.create(username='ann'), **options)


async def test_mistakes_in_making_keys(serve, sqlite):
    await serve(sqlite, AUTHENTICATION=TABLE)
    from shop.models import User

    ann = await User.create(username='ann')
    with pytest.raises(ValueError, match='several texts'):
        await create_api_key(ann, scopes='admin')
    with pytest.raises(TypeError, match='has to be a User'):
        await create_api_key('ann')


async def test_headers(serve, sqlite):
    client = await serve(sqlite, AUTHENTICATION={**FIELD, 'header_name': 'X-Shop-Key', 'prefix': 'shop'})
    from shop.models import User

    key = await create_api_key(await User.create(username='ann'))
    assert key.startswith('shop_')
    wanted = {
        200: [
            {'X-Shop-Key': key},
            {'Authorization': f'Bearer {key}'},
            {'Authorization': f'token {key}'},
            {'X-Shop-Key': key, 'Authorization': f'Bearer {key}'},
        ],
        401: [
            {'X-API-Key': key},
            {'Authorization': f'Basic {key}'},
            {'Authorization': key},
            {},
            {'X-Shop-Key': key, 'Authorization': 'Bearer other'},
            {'Authorization': 'Bearer '},
        ],
    }
    for expected, cases in wanted.items():
        for headers in cases:
            async with client.get('/me', headers=headers) as response:
                assert response.status == expected, headers
                assert expected == 200 or response.headers['WWW-Authenticate'].startswith('Bearer')


async def test_a_manager_hides_accounts(serve, database):
    models = """
        from colibris.persist import Manager, Model, fields

        class Living(Manager):
            def get_queryset(self):
                return super().get_queryset().filter(deleted=False)

        class User(Model):
            id = fields.IntField(primary_key=True)
            username = fields.CharField(max_length=64)
            deleted = fields.BooleanField(default=False)

            class Meta:
                manager = Living()
    """
    client = await serve(
        database,
        models=models,
        views=_VIEWS,
        routes="from shop import views\nROUTES = [('/me', views.MeView)]\n",
        AUTHENTICATION={'backend': 'apikey', 'model': 'shop.models.User'},
    )
    from shop.models import User

    user = await User.create(username='ann')
    key = await create_api_key(user)
    assert await ask(client, key) == 200
    await User.filter(id=user.id).update(deleted=True)
    assert await ask(client, key) == 401
