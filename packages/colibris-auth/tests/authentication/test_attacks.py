"""Each attack that has to be refused, by requests to a service."""

import base64
import hashlib
import hmac
import json
import time

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from yarl import URL

from colibris.authentication import create_token
from colibris.authentication.keys import SecretKeys

SECRET_KEY = 'a-secret-key-of-the-tests-that-is-long-enough'
KEY = SecretKeys(SECRET_KEY).derive('jwt.access.HS256')
CLAIMS = {'backend': 'jwt'}
ACCOUNTS = {'backend': 'jwt', 'model': 'shop.models.User', 'identity_field': 'username', 'active_field': 'is_active'}


def part(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def sign(header, payload, key=KEY, digest='sha256'):
    """Return a token of any header and payload, given as values or as bytes."""
    signed = f'{part(header)}.{part(payload)}'
    return f'{signed}.{part(hmac.digest(key, signed.encode(), digest))}'


def good(**claims):
    return {'sub': 'ann', 'exp': int(time.time()) + 60, **claims}


HEADER = {'alg': 'HS256', 'typ': 'JWT'}


@pytest.fixture
async def client(serve):
    return await serve(AUTHENTICATION=CLAIMS)


@pytest.fixture
def private_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def public_pem(private_key):
    return private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


async def status(client, token, path='/me', **headers):
    async with client.get(path, headers={'Authorization': f'Bearer {token}', **headers}) as response:
        if response.status == 401:
            body = await response.json()
            assert body == {'code': 'unauthenticated', 'message': 'the credentials are not valid', 'details': None}
            assert response.headers['WWW-Authenticate'] == 'Bearer error="invalid_token"'
        return response.status


async def test_what_is_good_is_accepted(client):
    assert await status(client, sign(HEADER, good())) == 200
    assert await status(client, sign({'alg': 'HS256'}, good(nbf=time.time() - 1, iat=int(time.time())))) == 200


@pytest.mark.parametrize('name', ['none', 'None', 'NONE', 'nOnE', 'none ', ' none', '', 'null', None, 0, [], ['none']])
@pytest.mark.parametrize('signature', ['', 'signed'])
async def test_no_algorithm(client, name, signature):
    signed = f'{part({"alg": name, "typ": "JWT"})}.{part(good())}'
    for_real = part(hmac.digest(KEY, signed.encode(), 'sha256'))
    assert await status(client, f'{signed}.{for_real if signature else ""}') == 401


@pytest.mark.parametrize(
    'header', [{'typ': 'JWT'}, {'alg': 'hs256'}, {'alg': 'HS512'}, {'alg': 'HS384'}, {'alg': 'RS256'}]
)
async def test_an_algorithm_that_is_not_configured(client, header):
    digest = {'HS512': 'sha512', 'HS384': 'sha384'}.get(header.get('alg'), 'sha256')
    assert await status(client, sign(header, good(), digest=digest)) == 401


@pytest.mark.parametrize('algorithms', [None, ['RS256'], ['RS256', 'HS256']])
async def test_a_secret_signature_by_the_public_key(serve, tmp_path, public_pem, private_key, algorithms):
    file = tmp_path / 'public.pem'
    file.write_bytes(public_pem)
    options = {} if algorithms is None else {'algorithms': algorithms}
    client = await serve(AUTHENTICATION={**CLAIMS, 'public_key_file': str(file), **options})
    der = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for key in (public_pem, public_pem.strip(), public_pem.replace(b'\n', b'\r\n'), der):
        assert await status(client, sign(HEADER, good(), key)) == 401
    assert await status(client, pyjwt.encode(good(), private_key, 'RS256')) == 200


@pytest.mark.parametrize('key_id', ['../../../../dev/null', '/dev/null', "x' UNION SELECT 'k", 'a' * 257, 5, ['a'], {}])
async def test_a_key_identifier_that_leads_elsewhere(serve, tmp_path, private_key, key_id):
    jwk = pyjwt.algorithms.RSAAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    file = tmp_path / 'keys.json'
    file.write_text(json.dumps({'keys': [{**jwk, 'kid': 'ours'}]}))
    client = await serve(AUTHENTICATION={**CLAIMS, 'public_key_file': str(file), 'algorithms': ['RS256', 'HS256']})
    assert await status(client, pyjwt.encode(good(), private_key, 'RS256', headers={'kid': 'ours'})) == 200
    assert await status(client, sign({'alg': 'HS256', 'kid': key_id}, good(), b'\0')) == 401
    assert await status(client, sign({'alg': 'HS256', 'kid': key_id}, good(), b'')) == 401
    signed = f'{part({"alg": "RS256", "kid": key_id})}.{part(good())}'
    made = pyjwt.get_algorithm_by_name('RS256').sign(signed.encode(), private_key)
    assert await status(client, f'{signed}.{part(made)}') == 401


@pytest.mark.parametrize('algorithms', ['HS256', 'RS256'])
async def test_a_key_that_the_token_brings(serve, tmp_path, public_pem, aiohttp_server, algorithms):
    from aiohttp import web

    file = tmp_path / 'public.pem'
    file.write_bytes(public_pem)
    mine = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = {**pyjwt.algorithms.RSAAlgorithm.to_jwk(mine.public_key(), as_dict=True), 'kid': 'mine', 'use': 'sig'}
    asked = []

    async def keys(request):
        asked.append(request.path)
        return web.json_response({'keys': [jwk]})

    app = web.Application()
    app.router.add_get('/keys', keys)
    address = str((await aiohttp_server(app)).make_url('/keys'))
    options = {'algorithms': algorithms} | ({'public_key_file': str(file)} if algorithms == 'RS256' else {})
    client = await serve(AUTHENTICATION={**CLAIMS, **options})
    symmetric = {'kty': 'oct', 'k': part(b'k' * 32), 'kid': 'mine'}
    for headers in ({'jwk': jwk}, {'jku': address, 'kid': 'mine'}, {'x5u': address}, {'x5c': ['MIIB']}):
        assert await status(client, pyjwt.encode(good(), mine, 'RS256', headers=headers)) == 401
        assert await status(client, sign({**HEADER, **headers, 'jwk': symmetric}, good(), b'k' * 32)) == 401
    assert asked == []


@pytest.mark.parametrize(
    'claims',
    [
        {'exp': time.time() - 1},
        {'exp': 0},
        {'exp': -1},
        {'exp': str(int(time.time()) + 60)},
        {'exp': True},
        {'exp': None},
        {'exp': [9999999999]},
        {'nbf': time.time() + 3600},
        {'nbf': 'soon'},
        {'iat': time.time() + 3600},
        {'iat': None},
    ],
)
async def test_times_that_are_not_good(client, claims):
    assert await status(client, sign(HEADER, good(**claims))) == 401


@pytest.mark.parametrize('number', [b'1e400', b'NaN', b'Infinity', b'-Infinity', b'9' * 5000])
async def test_times_that_are_no_numbers(client, number):
    assert await status(client, sign(HEADER, b'{"sub": "ann", "exp": %s}' % number)) == 401


@pytest.mark.parametrize('claim', ['exp', 'nbf', 'iat'])
@pytest.mark.parametrize('number', [10**400, -(10**400)])
async def test_times_that_no_float_can_hold(serve, sqlite, claim, number):
    # With a secret_field the claims are read before the account, and so the key, is known: anybody may send these.
    client = await serve(sqlite, AUTHENTICATION={**ACCOUNTS, 'secret_field': 'password'})
    assert await status(client, sign(HEADER, good(**{claim: number}), b'nobody')) == 401


async def test_a_token_without_an_end(client):
    assert await status(client, sign(HEADER, {'sub': 'ann'})) == 401


async def test_another_issuer_or_audience(serve):
    client = await serve(AUTHENTICATION={**CLAIMS, 'issuer': 'https://us', 'audience': ['shop', 'store']})
    for aud in ('shop', ['x', 'store']):
        assert await status(client, sign(HEADER, good(iss='https://us', aud=aud))) == 200
    wrong = [
        {'aud': 'shop'},
        {'iss': 'https://us'},
        {'iss': 'https://us/', 'aud': 'shop'},
        {'iss': 'https://u', 'aud': 'shop'},
        {'iss': ['https://us'], 'aud': 'shop'},
        {'iss': None, 'aud': 'shop'},
        {'iss': 'https://us', 'aud': 'sho'},
        {'iss': 'https://us', 'aud': 'shops'},
        {'iss': 'https://us', 'aud': []},
        {'iss': 'https://us', 'aud': None},
        {'iss': 'https://us', 'aud': {'shop': 1}},
        {'iss': 'https://us', 'aud': ['shop', 5]},
    ]
    for claims in wrong:
        assert await status(client, sign(HEADER, good(**claims))) == 401, claims


async def test_an_audience_that_nobody_expects(client):
    assert await status(client, sign(HEADER, good(aud='others'))) == 401


@pytest.mark.parametrize('subject', [1, 1.5, True, None, [], ['ann'], {}, {'$ne': ''}, ''])
async def test_a_subject_that_is_no_text(client, subject):
    assert await status(client, sign(HEADER, good(sub=subject))) == 401


async def test_a_token_without_a_subject(client):
    assert await status(client, sign(HEADER, {'exp': time.time() + 60})) == 401


async def test_a_token_of_a_megabyte(serve):
    client = await serve(AUTHENTICATION=CLAIMS)
    token = sign(HEADER, good(filler='x' * 750_000))
    async with client.get('/me', headers={'Authorization': f'Bearer {token[:1_000_000]}'}) as response:
        assert response.status in (400, 401, 431)
    from colibris.authentication.subsystem import subsystem
    from colibris.authentication.tokens import InvalidToken

    for text in (token, '.' * 1_000_000, 'a' * 1_000_000):
        with pytest.raises(InvalidToken):
            await subsystem.backend.verify(text)


@pytest.mark.parametrize(
    'token', ['.....', '....', '...', '..', '.', 'a.b.c.d.e', 'a.b.c.d.e.f', ' ', 'a', 'a.b', 'é.é.é']
)
async def test_dots(client, token):
    async with client.get('/me', headers={'Authorization': f'Bearer {token}'}) as response:
        assert response.status == 401


async def test_bad_encodings_of_the_parts(client):
    header, payload, signature = sign(HEADER, good()).split('.')
    last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    twin = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    for token in (
        f'{header}.{payload}.{signature}=',
        f'{header}.{payload}.{signature}==',
        f'{header}.{payload}=.{signature}',
        f'{header}=.{payload}.{signature}',
        f'{header}.{payload}.{signature[:-1]}',
        f'{header}.{payload}.{signature[:-1]} {signature[-1]}',
        f'{header}.{payload}.{twin}',
        f'{header}.{payload}.',
        f'{header}..{signature}',
        f'.{payload}.{signature}',
    ):
        assert await status(client, token) == 401, token
    for spelled in ('+/', '%3D', '\t', '!', 'A==='):
        changed = f'{header}.{payload}{spelled}'
        assert await status(client, f'{changed}.{part(hmac.digest(KEY, changed.encode(), "sha256"))}') == 401
    # signed over a payload whose base64 has bits left over: the same bytes in another spelling
    spelled = payload[:-1] + last[last.index(payload[-1]) | 3] if len(payload) % 4 else payload + 'A'
    changed = f'{header}.{spelled}'
    assert await status(client, f'{changed}.{part(hmac.digest(KEY, changed.encode(), "sha256"))}') == 401


@pytest.mark.parametrize(
    'payload',
    [
        b'{"sub": "bob", "sub": "ann", "exp": 9999999999}',
        b'{"sub": "ann", "exp": 1, "exp": 9999999999}',
        b'{"sub": "ann", "exp": 9999999999, "more": {"a": 1, "a": 2}}',
        b'{"sub": "ann", "s\\u0075b": "ann", "exp": 9999999999}',
    ],
)
async def test_duplicate_claims(client, payload):
    assert await status(client, sign(HEADER, payload)) == 401


async def test_a_duplicate_header(client):
    for header in (b'{"alg": "none", "alg": "HS256"}', b'{"alg": "HS256", "alg": "none"}'):
        assert await status(client, sign(header, good())) == 401


@pytest.mark.parametrize(
    'payload',
    [
        b'',
        b'null',
        b'[]',
        b'"ann"',
        b'{',
        b'{"sub": "ann"} ',
        b'\xff\xfe',
        b'\xef\xbb\xbf{}',
        b'[' * 5000,
        b'{"a":' * 1000,
    ],
)
async def test_a_payload_that_is_no_object(client, payload):
    assert await status(client, sign(HEADER, payload)) == 401


@pytest.mark.parametrize(
    'header',
    [
        {**HEADER, 'crit': ['exp']},
        {**HEADER, 'crit': []},
        {**HEADER, 'b64': False},
        {**HEADER, 'typ': 'refresh'},
        {**HEADER, 'typ': 'logout+jwt'},
        {**HEADER, 'typ': 5},
        b'[]',
        b'"HS256"',
    ],
)
async def test_headers_that_demand_what_is_not_there(client, header):
    assert await status(client, sign(header, good())) == 401


@pytest.mark.parametrize(
    ('name', 'value'), [('typ', 'Refresh'), ('token_use', 'id'), ('token_type', 'refresh'), ('typ', 'ID')]
)
async def test_tokens_of_other_uses(client, name, value):
    assert await status(client, sign(HEADER, good(**{name: value}))) == 401


@pytest.mark.parametrize(
    'more',
    [
        {'use': 'enc'},
        {'key_ops': ['sign']},
        {'key_ops': []},
        {'key_ops': 'verify'},
        {'use': 5},
        {'alg': 'RS512'},
        {'alg': 'none'},
    ],
)
async def test_keys_that_may_not_verify(serve, tmp_path, private_key, more):
    jwk = pyjwt.algorithms.RSAAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    jwk.pop('key_ops', None)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    second = {**pyjwt.algorithms.RSAAlgorithm.to_jwk(other.public_key(), as_dict=True), 'kid': 'other'}
    file = tmp_path / 'keys.json'
    file.write_text(json.dumps({'keys': [{**jwk, 'kid': 'first', **more}, second]}))
    client = await serve(AUTHENTICATION={**CLAIMS, 'public_key_file': str(file)})
    assert await status(client, pyjwt.encode(good(), private_key, 'RS256', headers={'kid': 'first'})) == 401
    assert await status(client, pyjwt.encode(good(), other, 'RS256', headers={'kid': 'other'})) == 200


async def test_the_key_is_neither_the_secret_nor_the_column(serve, sqlite):
    client = await serve(sqlite, AUTHENTICATION={**ACCOUNTS, 'secret_field': 'password'})
    from shop.models import User

    user = await User.create(username='ann', password='p' * 40)
    for key in (SECRET_KEY.encode(), b'p' * 40, KEY, hashlib.sha256(SECRET_KEY.encode()).digest(), b''):
        assert await status(client, sign(HEADER, good(), key)) == 401
    assert await status(client, create_token(user)) == 200


async def test_a_token_of_a_deactivated_account(serve, sqlite):
    client = await serve(sqlite, AUTHENTICATION={**ACCOUNTS, 'inactive_field': 'is_banned'})
    from shop.models import User

    user = await User.create(username='ann')
    token = create_token(user)
    assert await status(client, token) == 200
    await User.filter(id=user.id).update(is_active=False)
    assert await status(client, token) == 401
    await User.filter(id=user.id).update(is_active=True, is_banned=True)
    assert await status(client, token) == 401
    await user.delete()
    assert await status(client, token) == 401


@pytest.mark.parametrize(
    'subject', ['Ann', 'ANN', 'ann ', ' ann', 'ann\0', '\ud800', "ann' OR '1'='1", 'ańn', 'a' * 5000]
)
async def test_a_subject_that_is_nearly_an_account(serve, database, subject):
    client = await serve(database, AUTHENTICATION=ACCOUNTS)
    from shop.models import User

    await User.create(username='ann')
    assert await status(client, sign(HEADER, good(sub=subject))) == 401
    assert await status(client, sign(HEADER, good())) == 200


@pytest.mark.parametrize(
    'subject', ['01', '+1', '1.0', '\u0661', '1 ', '99999999999999999999', '-0', '0x1', str(2**40)]
)
async def test_a_subject_that_is_nearly_an_id(serve, database, subject):
    client = await serve(database, AUTHENTICATION={'backend': 'jwt', 'model': 'shop.models.User'})
    from shop.models import User

    await User.create(id=1, username='ann')
    assert await status(client, sign(HEADER, good(sub=subject))) == 401
    assert await status(client, sign(HEADER, good(sub='1'))) == 200


async def test_several_headers(client):
    token = sign(HEADER, good())
    headers = [('Authorization', f'Bearer {token}'), ('Authorization', f'Bearer {token}')]
    async with client.get('/me', headers=headers) as response:
        assert response.status == 401


async def test_the_method_cannot_be_overridden(serve, sqlite):
    views = """
        from colibris.authorization import require_permission
        from colibris.views import APIView

        class ThingView(APIView):
            authentication_required = True

            async def get(self):
                return {}

            @require_permission('admin')
            async def delete(self):
                return {}

        class SecretView(APIView):
            permissions = 'admin'

            async def get(self):
                return {}
    """
    routes = "from shop import views\nROUTES = [('/things/{id}', views.ThingView), ('/secret', views.SecretView)]\n"
    client = await serve(
        sqlite,
        views=views,
        routes=routes,
        AUTHENTICATION=ACCOUNTS,
        AUTHORIZATION={'backend': 'role', 'role_field': 'role', 'order': ['viewer', 'admin']},
    )
    from shop.models import User

    token = create_token(await User.create(username='ann', role='viewer'))
    headers = {'Authorization': f'Bearer {token}'}
    for name in ('X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'):
        async with client.get('/things/1', headers={**headers, name: 'DELETE'}) as response:
            assert response.status == 200  # as GET, and nothing else
        async with client.delete('/things/1', headers={**headers, name: 'GET'}) as response:
            assert response.status == 403
    for path in ('/secret', '/%73ecret', '/secre%74', '/secret/', '/./secret', '/x/../secret', '/Secret'):
        for method in ('GET', 'HEAD'):
            async with client.request(method, URL(path, encoded=True), headers=headers) as response:
                assert response.status in (403, 404), path
    async with client.post('/secret', headers=headers) as response:
        assert response.status == 405
    async with client.head('/secret') as response:
        assert response.status == 401


async def test_a_role_that_begins_like_another(serve, sqlite):
    client = await serve(
        sqlite,
        views='from colibris.views import APIView\nclass V(APIView):\n    permissions = "administrator"\n'
        '    async def get(self):\n        return {}\n',
        routes="from shop import views\nROUTES = [('/', views.V)]\n",
        AUTHENTICATION=ACCOUNTS,
        AUTHORIZATION={'backend': 'role', 'role_field': 'role'},
    )
    from shop.models import User

    for role, expected in (('admin', 403), ('Administrator', 403), ('administrator ', 403), ('administrator', 200)):
        user = await User.create(username=role, role=role)
        assert await status(client, create_token(user), '/') == expected


async def test_mass_assignment(serve, sqlite):
    client = await serve(sqlite, AUTHENTICATION=ACCOUNTS)
    from shop.models import User

    user = await User.create(username='ann', password='hash', role='viewer')
    headers = {'Authorization': f'Bearer {create_token(user)}'}
    for name, value in (('role', 'admin'), ('password', 'x'), ('is_active', False), ('secret', 'x')):
        async with client.patch(f'/users/{user.id}', json={'email': 'a@b.c', name: value}, headers=headers) as response:
            assert response.status == 400
            assert name in (await response.json())['details']
    user = await User.get(id=user.id)
    assert (user.role, user.password, user.is_active, user.secret) == ('viewer', 'hash', True, None)
