"""Cookies and CSRF tokens."""

from http.cookies import SimpleCookie

import pytest

from colibris.authentication import create_token
from colibris.authentication.csrf import HEADER

AUTHENTICATION = {'backend': 'jwt', 'model': 'shop.models.User', 'identity_field': 'username'}


@pytest.fixture
def start(serve, sqlite):
    """Serve with other options, and two accounts."""

    async def start(debug=False, **options):
        client = await serve(sqlite, AUTHENTICATION={**AUTHENTICATION, **options}, DEBUG=debug)
        from shop.models import User

        for name in ('ann', 'bob'):
            await User.create(username=name)
        return client

    return start


async def enter(client, name='ann', query='', headers=None):
    """Log in; return the cookies as the answer sets them, by name, and the CSRF token of the body."""
    async with client.post(f'/enter?name={name}{query}', headers=headers) as response:
        assert response.status == 200
        found = SimpleCookie()
        for line in response.headers.getall('Set-Cookie'):
            found.load(line)
        return found, (await response.json())['csrf_token']


def sent(cookies):
    return '; '.join(f'{name}={morsel.value}' for name, morsel in cookies.items())


async def ask(client, method, path, cookies=None, token=None, **more):
    headers = {**({} if cookies is None else {'Cookie': cookies}), **({} if token is None else {HEADER: token}), **more}
    async with client.request(method, path, headers=headers) as response:
        return response.status, await response.json()


async def test_the_default_cookies(start):
    client = await start()
    cookies, token = await enter(client)
    assert set(cookies) == {'__Host-auth_token', '__Host-csrf_token'}
    hidden, readable = cookies['__Host-auth_token'], cookies['__Host-csrf_token']
    for cookie in (hidden, readable):
        assert (cookie['secure'], cookie['samesite'], cookie['path'], cookie['domain']) == (True, 'Lax', '/', '')
        assert cookie['max-age'] == cookie['expires'] == ''
    assert hidden['httponly']
    assert not readable['httponly']
    assert readable.value == token
    assert await ask(client, 'GET', '/me', sent(cookies)) == (200, {'account': 'ann'})


async def test_a_given_name_and_domain(start):
    client = await start(cookie_name='auth_token', cookie_domain='example.com')
    cookies, _ = await enter(client)
    assert set(cookies) == {'auth_token', '__Secure-csrf_token'}
    assert all(cookie['domain'] == 'example.com' and cookie['secure'] for cookie in cookies.values())
    assert await ask(client, 'GET', '/me', sent(cookies)) == (200, {'account': 'ann'})


async def test_a_domain_with_the_default_name(start):
    cookies, _ = await enter(await start(cookie_domain='example.com'))
    assert set(cookies) == {'__Secure-auth_token', '__Secure-csrf_token'}


async def test_persistent_cookies_last_as_long_as_the_token(start):
    cookies, _ = await enter(await start(validity_seconds=1234), query='&persistent')
    assert [cookie['max-age'] for cookie in cookies.values()] == ['1234', '1234']


@pytest.mark.parametrize(
    ('debug', 'host', 'secure'),
    [
        (True, 'localhost:8888', False),
        (True, '127.0.0.1', False),
        (True, '[::1]:8888', False),
        (True, 'example.com', True),
        (True, 'localhost.example.com', True),
        (False, 'localhost:8888', True),
    ],
)
async def test_only_localhost_in_debug_does_without_tls(start, debug, host, secure):
    client = await start(debug)
    cookies, _ = await enter(client, headers={'Host': host})
    assert [bool(cookie['secure']) for cookie in cookies.values()] == [secure, secure]
    assert set(cookies) == ({'__Host-auth_token', '__Host-csrf_token'} if secure else {'auth_token', 'csrf_token'})
    assert (await ask(client, 'GET', '/me', sent(cookies), Host=host))[0] == 200


async def test_the_header_wins(start):
    client = await start()
    from shop.models import User

    cookies, _ = await enter(client, 'ann')
    bearer = f'Bearer {create_token(await User.get(username="bob"))}'
    assert await ask(client, 'GET', '/me', sent(cookies), Authorization=bearer) == (200, {'account': 'bob'})
    assert await ask(client, 'POST', '/me', sent(cookies), Authorization=bearer) == (200, {'account': 'bob'})
    assert (await ask(client, 'GET', '/me', sent(cookies), Authorization='Bearer x'))[0] == 401


@pytest.mark.parametrize('path', ['/me', '/open'])
async def test_unsafe_requests_need_the_token(start, path):
    client = await start()
    cookies, token = await enter(client)
    _, other = await enter(client, 'bob')
    _, newer = await enter(client, 'ann')
    auth = f'__Host-auth_token={cookies["__Host-auth_token"].value}'
    both = sent(cookies)
    assert await ask(client, 'POST', path, both, token) == (200, {'account': 'ann'})
    refused = [
        (both, None),
        (both, ''),
        (both, 'x'),
        (both, token[:-1]),
        (both, token + 'x'),
        (both, other),
        (both, newer),
        (auth, token),
        (f'{auth}; __Host-csrf_token={other}', other),
        (f'{auth}; __Host-csrf_token={newer}', newer),
        (f'{auth}; __Host-csrf_token=', ''),
        (f'{auth}; __Host-csrf_token=.', '.'),
        (f'{auth}; __Host-csrf_token={other}', token),
        (f'{auth}; csrf_token={token}', token),
    ]
    for given, header in refused:
        status, body = await ask(client, 'POST', path, given, header)
        assert (status, body['code']) == (403, 'csrf_failed'), (given, header)
    assert (await ask(client, 'GET', path, auth))[0] == 200
    async with client.post(path, headers=[('Cookie', both), (HEADER, token), (HEADER, token)]) as response:
        assert response.status == 403


async def test_a_bearer_token_needs_no_csrf_token(start):
    client = await start()
    from shop.models import User

    bearer = f'Bearer {create_token(await User.get(username="ann"))}'
    assert (await ask(client, 'POST', '/me', Authorization=bearer))[0] == 200


async def test_the_csrf_key_is_not_that_of_tokens(start):
    import hashlib
    import hmac

    client = await start()
    from colibris.authentication.subsystem import subsystem

    cookies, _ = await enter(client)
    session = hashlib.sha256(cookies['__Host-auth_token'].value.encode()).hexdigest()
    nonce = '0' * 32
    auth = f'__Host-auth_token={cookies["__Host-auth_token"].value}'
    keys = (*subsystem.backend._keys.values(), subsystem.backend._refresh_key)
    for key, expected in (*((key, 403) for key in keys), (subsystem.backend._csrf_key, 200)):
        token = f'{nonce}.{hmac.digest(key, f"{session}.{nonce}".encode(), "sha256").hex()}'
        assert (await ask(client, 'POST', '/me', f'{auth}; __Host-csrf_token={token}', token))[0] == expected


async def test_a_session_that_was_fixed_before_the_login_is_not_kept(start):
    client = await start()
    planted, planted_token = await enter(client, 'bob')
    async with client.post('/enter?name=ann', headers={'Cookie': sent(planted), HEADER: planted_token}) as response:
        fresh = SimpleCookie()
        for line in response.headers.getall('Set-Cookie'):
            fresh.load(line)
    for name in planted:
        assert fresh[name].value != planted[name].value
    assert await ask(client, 'GET', '/me', sent(planted)) == (200, {'account': 'bob'})
    assert await ask(client, 'GET', '/me', sent(fresh)) == (200, {'account': 'ann'})
    assert (await ask(client, 'POST', '/me', sent(fresh), planted_token))[0] == 403
    mixed = f'__Host-auth_token={fresh["__Host-auth_token"].value}; __Host-csrf_token={planted_token}'
    assert (await ask(client, 'POST', '/me', mixed, planted_token))[0] == 403


async def test_logout_deletes_the_cookies(start):
    client = await start()
    cookies, token = await enter(client)
    async with client.post('/leave', headers={'Cookie': sent(cookies), HEADER: token}) as response:
        deleted = SimpleCookie()
        for line in response.headers.getall('Set-Cookie'):
            deleted.load(line)
    assert {name: (cookie.value, cookie['max-age']) for name, cookie in deleted.items()} == {
        '__Host-auth_token': ('', '0'),
        '__Host-csrf_token': ('', '0'),
    }
    assert all(cookie['secure'] and cookie['path'] == '/' for cookie in deleted.values())


async def test_a_cookie_that_is_no_good_is_as_none(start):
    client = await start()
    for value in ('x', '', 'a.b.c', 'ey.ey.ey'):
        cookie = f'__Host-auth_token={value}'
        assert await ask(client, 'GET', '/open', cookie) == (200, {'account': None})
        assert (await ask(client, 'GET', '/me', cookie))[0] == 401
        assert (await ask(client, 'POST', '/open', cookie))[0] == 200


COOKIE_ROUTES = """
    from colibris.authentication.views import ChangePasswordView, CookieLoginView, LogoutView
    from shop import views

    ROUTES = [
        ('/me', views.MeView),
        ('/login', CookieLoginView),
        ('/logout', LogoutView),
        ('/password', ChangePasswordView),
    ]
"""


async def test_the_ready_views(serve, sqlite):
    from colibris.authentication import hash_password

    client = await serve(sqlite, routes=COOKIE_ROUTES, AUTHENTICATION={**AUTHENTICATION, 'secret_field': 'password'})
    from shop.models import User

    await User.create(username='ann', password=await hash_password('correct horse'))

    async def send(path, data, cookies='', token=None, **headers):
        headers |= {'Cookie': cookies} | ({HEADER: token} if token else {})
        async with client.post(path, json=data, headers=headers) as response:
            found = SimpleCookie()
            for line in response.headers.getall('Set-Cookie', []):
                found.load(line)
            return response.status, found, await response.read()

    data = {'username': 'ann', 'password': 'correct horse', 'persistent': True}
    status, cookies, body = await send('/login', data)
    assert status == 200
    assert cookies['__Host-auth_token'].value.encode() not in body
    token = cookies['__Host-csrf_token'].value
    assert (await ask(client, 'GET', '/me', sent(cookies)))[0] == 200
    assert (await send('/login', data, **{'Sec-Fetch-Site': 'cross-site'}))[0] == 403
    assert (await send('/login', data, sent(cookies)))[0] == 200  # logging in again needs no token of before
    assert (await send('/login', {**data, 'password': 'x'}))[:2] == (401, SimpleCookie())
    change = {'old_password': 'correct horse', 'new_password': 'battery staple'}
    assert (await send('/password', change, sent(cookies)))[0] == 403
    status, changed, _ = await send('/password', change, sent(cookies), token)
    assert status == 200
    assert (await ask(client, 'GET', '/me', sent(cookies)))[0] == 401
    assert (await ask(client, 'GET', '/me', sent(changed)))[0] == 200
    assert (await send('/logout', None, sent(changed)))[0] == 403
    status, deleted, _ = await send('/logout', {}, sent(changed), changed['__Host-csrf_token'].value)
    assert (status, deleted['__Host-auth_token'].value) == (204, '')


async def test_an_error_after_the_login_sets_no_cookie(serve, sqlite):
    views = """
        from colibris import api
        from colibris.authentication import login
        from colibris.views import APIView
        from shop.models import User

        class V(APIView):
            async def post(self):
                login(self.request, await User.create(username='ann'))
                raise api.Conflict
    """
    client = await serve(
        sqlite, views=views, routes="from shop.views import V\nROUTES = [('/', V)]\n", AUTHENTICATION=AUTHENTICATION
    )
    async with client.post('/') as response:
        assert response.status == 409
        assert 'Set-Cookie' not in response.headers


async def test_a_redirect_after_the_login_sets_the_cookie(serve, sqlite):
    views = """
        from aiohttp import web
        from colibris.authentication import login
        from colibris.views import APIView
        from shop.models import User

        class V(APIView):
            async def post(self):
                login(self.request, await User.create(username='ann'))
                raise web.HTTPSeeOther('/')
    """
    client = await serve(
        sqlite, views=views, routes="from shop.views import V\nROUTES = [('/', V)]\n", AUTHENTICATION=AUTHENTICATION
    )
    async with client.post('/', allow_redirects=False) as response:
        assert response.status == 303
        assert len(response.headers.getall('Set-Cookie')) == 2
