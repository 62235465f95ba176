"""What is refused before the first request, and how that is said."""

import logging

import pytest

from colibris.conf import ImproperlyConfigured
from colibris.persist import Model
from colibris.plugins import PluginError

JWT = {'backend': 'jwt', 'model': 'shop.models.User'}
KEY = {'backend': 'apikey', 'model': 'shop.models.User'}


class _Kept(Model):
    pass


WRONG = (ImproperlyConfigured, PluginError)


@pytest.mark.parametrize('key', [None, 'short', 'x' * 31, 'é' * 15])
@pytest.mark.parametrize('authentication', [{'backend': 'jwt'}, {'backend': 'jwt', 'cookie_name': 'x'}])
async def test_a_missing_or_short_secret_key(serve, key, authentication):
    with pytest.raises(ImproperlyConfigured, match='SECRET_KEY') as caught:
        await serve(AUTHENTICATION=authentication, SECRET_KEY=key)
    assert key is None or key not in str(caught.value)


@pytest.mark.parametrize('key', [None, 'short'])
async def test_in_debug_that_is_a_warning(serve, key, caplog):
    from colibris.authentication import create_token

    client = await serve(AUTHENTICATION={'backend': 'jwt'}, SECRET_KEY=key, DEBUG=True)
    assert 'SECRET_KEY' in caplog.text
    async with client.get('/me', headers={'Authorization': f'Bearer {create_token("ann")}'}) as response:
        assert response.status == 200


async def test_32_bytes_are_enough(serve):
    await serve(AUTHENTICATION={'backend': 'jwt'}, SECRET_KEY='é' * 16)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'model': 'shop.models.Nobody'}, "the module shop.models has no 'Nobody'"),
        ({'model': 'shop.nothing.User'}, "there is no module 'shop.nothing'"),
        ({'model': 'User'}, 'no import path'),
        ({'model': 'shop.models.fields'}, 'is no model'),
        ({'identity_field': 'nick'}, r"AUTHENTICATION\['identity_field'\]: the model User has no field 'nick'"),
        ({'secret_field': 'pasword'}, r"AUTHENTICATION\['secret_field'\]"),
        ({'active_field': 'alive'}, r"AUTHENTICATION\['active_field'\]"),
        ({'inactive_field': 'dead'}, r"AUTHENTICATION\['inactive_field'\]"),
        ({'login_field': 'name'}, r"AUTHENTICATION\['login_field'\]"),
        ({'identity_field': 'rights'}, 'with a column'),
        ({'cookie_name': 'a b'}, 'cookie_name'),
        ({'cookie_name': '__Host-x', 'cookie_domain': 'example.com'}, 'cookie_domain'),
        ({'cookie_domain': 'a;b'}, 'cookie_domain'),
        ({'validity_seconds': 0}, 'validity_seconds'),
        ({'validity_seconds': '3600'}, 'validity_seconds'),
        ({'leeway': -1}, 'leeway'),
        ({'algorithms': ['none']}, "algorithms: 'none'"),
        ({'algorithms': 'hs256'}, "algorithms: 'hs256'"),
        ({'algorithms': []}, 'algorithms'),
        ({'algorithms': ['RS256']}, 'needs public keys'),
        ({'algorithms': ['HS256', 'EdDSA']}, 'needs public keys'),
        ({'algorithms': ['HS256'], 'jwks_url': 'https://x/'}, 'no algorithm in HS256 uses public keys'),
        ({'public_key_file': '/nonexistent.pem'}, 'cannot be read'),
        ({'jwks_url': 'http://example.com/keys'}, 'https://'),
        ({'jwks_url': 'file:///etc/passwd'}, 'https://'),
        ({'jwks_url': 'https://x/', 'public_key_file': '/x'}, 'both'),
        ({'jwks_url': 'https://x/', 'secret_field': 'password'}, 'secret_field'),
        ({'issuer': ''}, 'issuer'),
        ({'audience': [5]}, 'audience'),
        ({'trusted_proxies': '10.0.0.1'}, 'trusted_proxies'),
        ({'trusted_proxies': ['nowhere']}, 'nowhere'),
        ({'identity_fild': 'username'}, "did you mean 'identity_field'"),
    ],
)
async def test_wrong_options_of_jwt(serve, sqlite, options, message):
    with pytest.raises(WRONG, match=message):
        await serve(sqlite, AUTHENTICATION={**JWT, **options})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'key_field': 'kee'}, r"AUTHENTICATION\['key_field'\]"),
        ({'plain': True}, 'plain'),
        ({'key_field': 'secret', 'identity_field': 'id'}, 'identity_field'),
        ({'header_name': 'Authorization'}, 'header_name'),
        ({'prefix': 'A_'}, 'prefix'),
    ],
)
async def test_wrong_options_of_apikey(serve, sqlite, options, message):
    with pytest.raises(WRONG, match=message):
        await serve(sqlite, AUTHENTICATION={**KEY, **options})


async def test_fields_without_a_model(serve):
    with pytest.raises(WRONG, match='secret_field is a field of accounts: give their model'):
        await serve(AUTHENTICATION={'backend': 'jwt', 'secret_field': 'password'})


async def test_a_model_without_a_database(serve):
    with pytest.raises(WRONG, match='DATABASE must be set'):
        await serve(AUTHENTICATION={'backend': 'jwt', 'model': _Kept})


async def test_authorization_without_authentication(serve):
    with pytest.raises(ImproperlyConfigured, match='AUTHORIZATION is set, but AUTHENTICATION is not'):
        await serve(AUTHORIZATION={'backend': 'null'})


PERMISSION = """
    from colibris.authentication import require_authentication
    from colibris.authorization import require_permission

    @require_permission('admin')
    async def handler(request):
        return {}

    @require_authentication
    async def closed(request):
        return {}
"""


async def test_a_permission_without_authorization(serve):
    with pytest.raises(ImproperlyConfigured, match=r'GET / \(shop.views.handler\): .*AUTHORIZATION is not set'):
        await serve(
            views=PERMISSION,
            routes="from shop import views\nROUTES = [('/', views.handler)]\n",
            AUTHENTICATION={'backend': 'jwt'},
        )


@pytest.mark.parametrize('name', ['handler', 'closed'])
async def test_protection_without_authentication(serve, name):
    with pytest.raises(ImproperlyConfigured, match='AUTHENTICATION is not set'):
        await serve(views=PERMISSION, routes=f"from shop import views\nROUTES = [('/', views.{name})]\n")


INIT = """
    from aiohttp import web
    from shop import views

    class PlainView(web.View):
        async def get(self):
            return web.json_response({})

        async def post(self):
            return web.json_response({})

    class ClosedView(PlainView):
        @views.require_authentication
        async def post(self):
            return web.json_response({})

    async def closed(request):
        return web.json_response({})

    def init(app):
        app.router.add_get('/closed', views.require_authentication(closed))
        app.router.add_view('/view', ClosedView)
        app.router.add_view('/plain', PlainView)
"""


async def test_what_init_adds_to_the_router_is_guarded_too(serve):
    with pytest.raises(ImproperlyConfigured, match='AUTHENTICATION is not set'):
        await serve(views=PERMISSION, routes='', app=INIT)


async def test_what_init_adds_to_the_router_is_refused(serve):
    client = await serve(views=PERMISSION, routes='', app=INIT, AUTHENTICATION={'backend': 'jwt'})
    answers = {}
    for method, path in (
        ('GET', '/closed'),
        ('HEAD', '/closed'),
        ('GET', '/view'),
        ('POST', '/view'),
        ('POST', '/plain'),
    ):
        async with client.request(method, path) as response:
            answers[method, path] = response.status
    assert list(answers.values()) == [401, 401, 200, 401, 200]


async def test_an_unknown_permission_with_roles(serve, sqlite):
    with pytest.raises(ImproperlyConfigured, match='admin'):
        await serve(
            sqlite,
            views=PERMISSION,
            routes="from shop import views\nROUTES = [('/', views.handler)]\n",
            AUTHENTICATION=JWT,
            AUTHORIZATION={'backend': 'role', 'role_field': 'role', 'order': ['viewer', 'editor']},
        )


@pytest.mark.parametrize('view', ['LoginView', 'CookieLoginView', 'RefreshView', 'LogoutView', 'ChangePasswordView'])
@pytest.mark.parametrize('authentication', [{'backend': 'jwt'}, {'backend': 'null'}])
async def test_ready_views_that_could_not_work(serve, view, authentication):
    routes = f"from colibris.authentication.views import {view}\nROUTES = [('/', {view})]\n"
    with pytest.raises(ImproperlyConfigured, match=f"{view} needs AUTHENTICATION to be by the backend 'jwt'"):
        await serve(routes=routes, AUTHENTICATION=authentication)


async def test_ready_views_need_the_password(serve, sqlite):
    routes = "from colibris.authentication.views import LoginView\nROUTES = [('/', LoginView)]\n"
    with pytest.raises(ImproperlyConfigured, match=r"AUTHENTICATION\['password_field'\]"):
        await serve(sqlite, routes=routes, AUTHENTICATION={**JWT, 'password_field': 'hash'})


async def test_null_lets_everybody_do_everything_and_says_so(serve, caplog):
    views = PERMISSION
    routes = "from shop import views\nROUTES = [('/', views.handler), ('/closed', views.closed)]\n"
    client = await serve(
        views=views, routes=routes, AUTHENTICATION={'backend': 'null'}, AUTHORIZATION={'backend': 'null'}
    )
    assert "AUTHENTICATION is 'null' and DEBUG is off" in caplog.text
    for path in ('/', '/closed'):
        async with client.get(path) as response:
            assert response.status == 200


async def test_null_in_debug_is_no_warning(serve, caplog):
    caplog.set_level(logging.INFO)
    await serve(AUTHENTICATION={'backend': 'null'}, DEBUG=True)
    assert "'null'" not in caplog.text


async def test_public_keys_for_nobody_in_particular_are_warned_about(serve, tmp_path, caplog):
    import jwt as pyjwt
    from cryptography.hazmat.primitives.asymmetric import ed25519

    file = tmp_path / 'key.json'
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    file.write_text(pyjwt.algorithms.OKPAlgorithm.to_jwk(key))
    await serve(AUTHENTICATION={'backend': 'jwt', 'public_key_file': str(file), 'issuer': 'https://x'}, SECRET_KEY=None)
    assert 'audience is not given' in caplog.text
    assert 'issuer is not given' not in caplog.text


@pytest.mark.parametrize('content', [b'', b'{', b'{}', b'[]', b'hello', b'{"keys": []}', b'{"keys": [{"kty": "oct"}]}'])
async def test_a_file_without_keys(serve, tmp_path, content):
    file = tmp_path / 'keys'
    file.write_bytes(content)
    with pytest.raises(WRONG, match='the file of public keys'):
        await serve(AUTHENTICATION={'backend': 'jwt', 'public_key_file': str(file)})


async def test_a_file_with_a_private_key(serve, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / 'key.pem'
    file.write_bytes(pem)
    with pytest.raises(WRONG, match='it holds a private key'):
        await serve(AUTHENTICATION={'backend': 'jwt', 'public_key_file': str(file)})


async def test_a_refresh_view_without_refresh_tokens(serve, sqlite):
    routes = "from colibris.authentication.views import RefreshView\nROUTES = [('/', RefreshView)]\n"
    with pytest.raises(ImproperlyConfigured, match='has nothing to exchange'):
        await serve(sqlite, routes=routes, AUTHENTICATION={**JWT, 'refresh_validity_seconds': None})


async def test_a_login_view_without_refresh_tokens(serve, sqlite):
    from colibris import subsystems
    from colibris.authentication import hash_password

    routes = "from colibris.authentication.views import LoginView\nROUTES = [('/login', LoginView)]\n"
    options = {**JWT, 'login_field': 'username', 'refresh_validity_seconds': None}
    client = await serve(sqlite, routes=routes, AUTHENTICATION=options)
    from shop.models import User

    assert subsystems.model_modules() == ('shop.models',)
    await User.create(username='ann', password=await hash_password('correct horse'))
    async with client.post('/login', json={'username': 'ann', 'password': 'correct horse'}) as response:
        assert set(await response.json()) == {'access_token', 'token_type', 'expires_in'}
