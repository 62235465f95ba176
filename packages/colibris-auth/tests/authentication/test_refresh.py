"""Refresh tokens, on each database."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from colibris.authentication import hash_password, passwords
from colibris.authentication.models.refresh_tokens import RefreshTokenFamily

AUTHENTICATION = {
    'backend': 'jwt',
    'model': 'shop.models.User',
    'login_field': 'username',
    'secret_field': 'password',
    'active_field': 'is_active',
}
ROUTES = """
    from colibris.authentication.views import ChangePasswordView, LoginView, LogoutView, RefreshView
    from shop import views

    ROUTES = [
        ('/me', views.MeView),
        ('/login', LoginView),
        ('/refresh', RefreshView),
        ('/logout', LogoutView),
        ('/password', ChangePasswordView),
    ]
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Hash quickly."""
    from argon2 import PasswordHasher

    monkeypatch.setattr(passwords, '_hasher', PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@pytest.fixture
async def client(serve, database):
    client = await serve(database, routes=ROUTES, AUTHENTICATION=AUTHENTICATION)
    from shop.models import User

    await User.create(username='ann', password=await hash_password('correct horse'))
    return client


async def post(client, path, data=None, token=None):
    headers = {} if token is None else {'Authorization': f'Bearer {token}'}
    async with client.post(path, json=data, headers=headers) as response:
        return response.status, (None if response.status == 204 else await response.json())


async def log_in(client):
    status, found = await post(client, '/login', {'username': 'ann', 'password': 'correct horse'})
    assert status == 200
    return found


async def me(client, token):
    async with client.get('/me', headers={'Authorization': f'Bearer {token}'}) as response:
        return response.status


async def refresh(client, token):
    return await post(client, '/refresh', {'refresh_token': token})


async def test_a_login_gives_tokens_that_work(client):
    found = await log_in(client)
    assert found['token_type'] == 'Bearer'
    assert found['expires_in'] == 3600
    assert await me(client, found['access_token']) == 200


async def test_nothing_in_the_database_can_be_used(client):
    found = await log_in(client)
    row = await RefreshTokenFamily.get()
    assert found['refresh_token'] not in (row.current, row.id)
    for text in (row.id, row.current, f'rt.{row.id}.{row.current}.{row.current}'):
        assert (await refresh(client, text))[0] == 401
    assert (await refresh(client, found['refresh_token']))[0] == 200


async def test_each_exchange_gives_new_tokens(client):
    first = await log_in(client)
    status, second = await refresh(client, first['refresh_token'])
    assert status == 200
    assert second['refresh_token'] != first['refresh_token']
    assert await me(client, second['access_token']) == 200
    assert (await refresh(client, second['refresh_token']))[0] == 200
    assert await RefreshTokenFamily.all().count() == 1


async def test_a_token_that_comes_twice_ends_its_family(client):
    first = await log_in(client)
    other = await log_in(client)
    _, second = await refresh(client, first['refresh_token'])
    _, third = await refresh(client, second['refresh_token'])
    status, body = await refresh(client, first['refresh_token'])
    assert (status, body['code']) == (401, 'unauthenticated')
    assert (await refresh(client, third['refresh_token']))[0] == 401
    assert (await refresh(client, other['refresh_token']))[0] == 200


async def test_of_many_exchanges_at_once_one_wins_and_the_family_ends(client):
    found = await log_in(client)
    answers = await asyncio.gather(*(refresh(client, found['refresh_token']) for _ in range(8)))
    won = [body for status, body in answers if status == 200]
    assert len(won) == 1
    assert (await refresh(client, won[0]['refresh_token']))[0] == 401


async def test_a_forged_token_does_not_end_a_family(client):
    found = await log_in(client)
    prefix, family, nonce, mac = found['refresh_token'].split('.')
    for text in (
        f'{prefix}.{family}.{nonce}.{"0" * 64}',
        f'{prefix}.{family}.{"0" * 64}.{mac}',
        f'{prefix}.{"0" * 32}.{nonce}.{mac}',
        f'{prefix}.{family.upper()}.{nonce}.{mac}',
        f'{prefix}.{family}.{nonce}.{mac}.',
        f'xx.{family}.{nonce}.{mac}',
        'rt...',
        'é' * 20,
        '\0',
    ):
        assert (await refresh(client, text))[0] == 401, text
    assert (await refresh(client, found['refresh_token']))[0] == 200


async def test_a_refresh_token_is_no_access_token_nor_the_reverse(client):
    found = await log_in(client)
    assert await me(client, found['refresh_token']) == 401
    assert (await refresh(client, found['access_token']))[0] == 401


async def test_an_expired_family(client):
    found = await log_in(client)
    await RefreshTokenFamily.all().update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert (await refresh(client, found['refresh_token']))[0] == 401


async def test_a_deactivated_account(client):
    from shop.models import User

    found = await log_in(client)
    await User.all().update(is_active=False)
    assert (await refresh(client, found['refresh_token']))[0] == 401
    await User.all().update(is_active=True)
    assert (await refresh(client, found['refresh_token']))[0] == 401


async def test_a_changed_secret_ends_all_tokens(client):
    from shop.models import User

    found = await log_in(client)
    await User.all().update(password=await hash_password('another'))
    assert await me(client, found['access_token']) == 401
    assert (await refresh(client, found['refresh_token']))[0] == 401


async def test_logout_ends_the_family(client):
    found = await log_in(client)
    assert (await post(client, '/logout', {'refresh_token': found['refresh_token']}))[0] == 204
    assert (await refresh(client, found['refresh_token']))[0] == 401
    assert (await post(client, '/logout', {'refresh_token': 'nonsense'}))[0] == 204
    assert (await post(client, '/logout'))[0] == 204


async def test_change_of_password(client):
    first, other = await log_in(client), await log_in(client)
    change = {'old_password': 'correct horse', 'new_password': 'battery staple'}
    assert (await post(client, '/password', change))[0] == 401
    wrong = {**change, 'old_password': 'wrong'}
    status, body = await post(client, '/password', wrong, first['access_token'])
    assert (status, list(body['details'])) == (400, ['old_password'])
    status, body = await post(client, '/password', {**change, 'new_password': 'short'}, first['access_token'])
    assert (status, list(body['details'])) == (400, ['new_password'])
    status, found = await post(client, '/password', change, first['access_token'])
    assert status == 200
    assert await me(client, found['access_token']) == 200
    assert (await refresh(client, found['refresh_token']))[0] == 200
    for old in (first, other):
        assert await me(client, old['access_token']) == 401
        assert (await refresh(client, old['refresh_token']))[0] == 401
    assert (await post(client, '/login', {'username': 'ann', 'password': 'correct horse'}))[0] == 401
    assert (await post(client, '/login', {'username': 'ann', 'password': 'battery staple'}))[0] == 200


@pytest.mark.parametrize(('password', 'expected'), [('battery staple', 401), ('correct horse', 200)])
async def test_a_login_by_a_password_that_is_changed_meanwhile(serve, sqlite, monkeypatch, password, expected):
    from colibris.authentication import logins, views
    from colibris.authentication.subsystem import subsystem

    plain = {key: value for key, value in AUTHENTICATION.items() if key != 'secret_field'}
    client = await serve(sqlite, routes=ROUTES, AUTHENTICATION=plain)
    from shop.models import User

    await User.create(username='ann', password=await hash_password('correct horse'))

    async def find(backend, *args):
        account = await logins.find_by_password(backend, *args)
        await User.filter(username='ann').update(password=await hash_password(password))
        await subsystem.backend.refresh_tokens.end_all(backend.identity_of(account))
        return account

    monkeypatch.setattr(views, 'find_by_password', find)
    status, _ = await post(client, '/login', {'username': 'ann', 'password': 'correct horse'})
    assert status == expected
    assert await RefreshTokenFamily.filter(ended_at=None).count() == (expected == 200)


async def test_what_has_expired_is_deleted(client):
    from colibris.authentication.subsystem import subsystem

    await log_in(client)
    await RefreshTokenFamily.all().update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    subsystem.backend.refresh_tokens._cleaned = None
    await log_in(client)
    assert await RefreshTokenFamily.all().count() == 1


async def test_answers_are_not_stored_on_the_way(client):
    async with client.post('/login', json={'username': 'ann', 'password': 'correct horse'}) as response:
        assert response.headers['Cache-Control'] == 'no-store'
