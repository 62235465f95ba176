"""The keys of a provider: fetched, kept, renewed."""

import asyncio
import json
import time

import jwt as pyjwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from colibris.authentication import jwks

ISSUER = 'https://id.example.com/'


class Provider:
    """An identity provider: publishes keys, and makes tokens with them."""

    def __init__(self):
        self.keys = {}
        self.asked = 0
        self.answer = None

    def add(self, key_id, key, algorithm):
        self.keys[key_id] = (key, algorithm)

    async def publish(self, request):
        self.asked += 1
        if self.answer is not None:
            return await self.answer(request)
        readers = {'R': pyjwt.algorithms.RSAAlgorithm, 'E': pyjwt.algorithms.ECAlgorithm}
        keys = []
        for key_id, (key, algorithm) in self.keys.items():
            reader = pyjwt.algorithms.OKPAlgorithm if algorithm == 'EdDSA' else readers[algorithm[0]]
            keys.append({**json.loads(reader.to_jwk(key.public_key())), 'kid': key_id, 'use': 'sig', 'alg': algorithm})
        return web.json_response({'keys': keys})

    def token(self, key_id, **claims):
        key, algorithm = self.keys[key_id]
        given = {'sub': 'ann', 'iss': ISSUER, 'aud': 'shop', 'exp': int(time.time()) + 60, **claims}
        return pyjwt.encode(given, key, algorithm, headers={'kid': key_id})


@pytest.fixture
def provider():
    made = Provider()
    made.add('r1', rsa.generate_private_key(public_exponent=65537, key_size=2048), 'RS256')
    made.add('e1', ec.generate_private_key(ec.SECP256R1()), 'ES256')
    made.add('d1', ed25519.Ed25519PrivateKey.generate(), 'EdDSA')
    return made


@pytest.fixture
async def url(provider, aiohttp_server):
    app = web.Application()
    app.router.add_get('/keys', provider.publish)
    return str((await aiohttp_server(app)).make_url('/keys'))


@pytest.fixture
async def client(serve, url):
    options = {'backend': 'jwt', 'jwks_url': url, 'issuer': ISSUER, 'audience': 'shop'}
    return await serve(AUTHENTICATION=options, DEBUG=True, SECRET_KEY=None)


async def ask(client, token):
    async with client.get('/me', headers={'Authorization': f'Bearer {token}'}) as response:
        return response.status


def remote():
    from colibris.authentication.subsystem import subsystem

    return subsystem.backend._remote


async def test_tokens_of_a_provider(client, provider):
    for key_id in ('r1', 'e1', 'd1'):
        assert await ask(client, provider.token(key_id)) == 200
    assert await ask(client, provider.token('r1', iss='https://evil.example.com/')) == 401
    assert await ask(client, provider.token('r1', aud='others')) == 401
    assert provider.asked == 1


async def test_a_provider_makes_no_tokens_here(client):
    from colibris.authentication import create_token
    from colibris.conf import ImproperlyConfigured

    with pytest.raises(ImproperlyConfigured, match='only verifies tokens'):
        create_token('ann')


async def test_an_unknown_key_is_fetched_at_most_once_a_minute(client, provider, monkeypatch):
    provider.add('r2', rsa.generate_private_key(public_exponent=65537, key_size=2048), 'RS256')
    assert await ask(client, provider.token('r2')) == 401  # the minute since the start has not passed
    assert provider.asked == 1
    remote()._tried -= jwks.MINIMUM_INTERVAL
    assert set(await asyncio.gather(*(ask(client, provider.token('r2')) for _ in range(10)))) == {200}
    assert provider.asked == 2
    key, _ = provider.keys['r2']
    for number in range(10):
        claims = {'sub': 'ann', 'exp': time.time() + 60}
        assert await ask(client, pyjwt.encode(claims, key, 'RS256', headers={'kid': f'x{number}'})) == 401
    assert provider.asked == 2


async def test_a_key_of_another_algorithm_is_another_key(client, provider):
    key, _ = provider.keys['r1']
    claims = {'sub': 'ann', 'iss': ISSUER, 'aud': 'shop', 'exp': int(time.time()) + 60}
    assert await ask(client, pyjwt.encode(claims, key, 'RS512', headers={'kid': 'r1'})) == 401
    assert await ask(client, pyjwt.encode(claims, key, 'PS256', headers={'kid': 'r1'})) == 401
    assert await ask(client, pyjwt.encode(claims, key, 'RS256', headers={'kid': 'e1'})) == 401


async def test_old_keys_are_used_while_newer_ones_are_fetched(client, provider):
    keys = remote()
    keys._fetched -= jwks.LIFETIME + 1
    keys._tried -= jwks.LIFETIME + 1
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slowly(request):
        arrived.set()
        await go.wait()
        provider.answer = None
        return await provider.publish(request)

    provider.answer = slowly
    assert await asyncio.wait_for(ask(client, provider.token('e1')), 2) == 200
    await asyncio.wait_for(arrived.wait(), 2)
    go.set()
    await keys._fetching
    assert time.monotonic() - keys._fetched < 5


async def test_while_a_provider_is_away_its_keys_stay(client, provider, caplog):
    async def broken(request):
        raise web.HTTPInternalServerError

    provider.answer = broken
    keys = remote()
    keys._fetched -= jwks.LIFETIME + 1
    keys._tried -= jwks.LIFETIME + 1
    assert await ask(client, provider.token('e1')) == 200
    await asyncio.sleep(0.1)
    assert await ask(client, provider.token('e1')) == 200
    assert 'cannot be fetched' in caplog.text


async def _too_large(request):
    return web.Response(body=b' ' * (jwks.SIZE_LIMIT + 1))


async def _redirect(request):
    raise web.HTTPFound('http://127.0.0.1:1/keys')


async def _nonsense(request):
    return web.Response(text='<html>')


async def _none(request):
    return web.json_response({'keys': [{'kty': 'oct', 'k': 'AAAA', 'kid': 'r1'}]})


async def _slow(request):
    await asyncio.sleep(1)


@pytest.mark.parametrize('answer', [_too_large, _redirect, _nonsense, _none, _slow])
async def test_answers_that_are_no_keys(provider, url, answer, monkeypatch, caplog):
    monkeypatch.setattr(jwks, 'TIME_LIMIT', 0.2)
    provider.answer = answer
    keys = jwks.RemoteKeys(url)
    assert await keys.refresh() is False
    assert 'cannot be fetched' in caplog.text
    with pytest.raises(jwks.JWKSError):
        await keys.check_health()
    from colibris.api import ServiceUnavailable

    with pytest.raises(ServiceUnavailable):
        await keys.find('RS256', 'r1')
    assert provider.asked == 1
    await keys.close()


async def test_a_request_that_ends_early_does_not_end_the_fetch(provider, url):
    keys = jwks.RemoteKeys(url)
    asking = asyncio.create_task(keys.find('RS256', 'r1'))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    for _ in range(100):
        if keys._keys is not None:
            break
        await asyncio.sleep(0.01)
    assert await keys.find('RS256', 'r1') is not None
    await keys.close()


async def test_accounts_of_a_provider(serve, url, provider, database):
    client = await serve(
        database,
        AUTHENTICATION={
            'backend': 'jwt',
            'jwks_url': url,
            'model': 'shop.models.User',
            'identity_claim': 'email',
            'identity_field': 'email',
            'issuer': ISSUER,
            'audience': 'shop',
        },
        DEBUG=True,
    )
    from shop.models import User

    await User.create(username='ann', email='ann@example.com')
    assert await ask(client, provider.token('r1', email='ann@example.com')) == 200
    for email in ('Ann@example.com', 'bob@example.com', None, ['ann@example.com'], ''):
        assert await ask(client, provider.token('r1', email=email)) == 401
    assert await ask(client, provider.token('r1')) == 401
