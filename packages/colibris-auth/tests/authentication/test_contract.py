"""The contract suite, on every backend of ours."""

import json
import time
from typing import ClassVar

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from colibris.authentication import create_api_key, create_token
from colibris.authentication.claims import Claims
from colibris.authentication.jwt import JWTBackend
from colibris.authentication.null import NullBackend
from colibris.authentication.subsystem import subsystem
from colibris.authentication.testing import AuthenticationBackendSuite
from colibris.security import DummyAccount

MODEL = {'model': 'shop.models.User', 'active_field': 'is_active'}


class TestNull(AuthenticationBackendSuite):
    needs_credentials = False

    @pytest.fixture
    async def backend(self):
        backend = NullBackend()
        backend.bind(secret_key=None, debug=True)
        await backend.open()
        yield backend
        await backend.close()

    @pytest.fixture
    async def account(self, backend):
        found = backend._identity.account
        assert isinstance(found, DummyAccount)
        return found

    @pytest.fixture
    async def credentials(self):
        return {}


class TestJWTClaims(AuthenticationBackendSuite):
    @pytest.fixture
    async def backend(self):
        backend = JWTBackend()
        backend.bind(secret_key='s' * 32, debug=False)
        await backend.open()
        yield backend
        await backend.close()

    @pytest.fixture
    async def account(self, backend):
        return Claims(sub='ann')

    @pytest.fixture
    async def credentials(self, backend, account):
        token = backend.make_token('ann')
        account.update(pyjwt.decode(token, options={'verify_signature': False}))
        return {'Authorization': f'Bearer {token}'}


class TestJWTPublicKeys(AuthenticationBackendSuite):
    @pytest.fixture
    async def backend(self, tmp_path):
        self.key = ec.generate_private_key(ec.SECP256R1())
        file = tmp_path / 'keys.json'
        file.write_text(
            json.dumps(pyjwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True) | {'kid': 'a'})
        )
        backend = JWTBackend(public_key_file=str(file), issuer='x', audience='y')
        backend.bind(secret_key=None, debug=False)
        await backend.open()
        yield backend
        await backend.close()

    @pytest.fixture
    async def account(self):
        return Claims(sub='ann', iss='x', aud='y', exp=int(time.time()) + 60)

    @pytest.fixture
    async def credentials(self, account):
        return {'Authorization': f'Bearer {pyjwt.encode(dict(account), self.key, "ES256", headers={"kid": "a"})}'}


class OfAccounts(AuthenticationBackendSuite):
    options: ClassVar = {}

    @pytest.fixture
    async def backend(self, serve, database):
        await serve(database, AUTHENTICATION=self.options)
        return subsystem.backend

    @pytest.fixture
    async def account(self, backend):
        from shop.models import User

        await User.create(username='bob', password='y')
        return await User.create(username='ann', password='x')


class TestJWT(OfAccounts):
    options: ClassVar = {'backend': 'jwt', **MODEL}

    @pytest.fixture
    async def credentials(self, account):
        return {'Authorization': f'Bearer {create_token(account)}'}


class TestJWTSecret(TestJWT):
    options: ClassVar = {'backend': 'jwt', **MODEL, 'identity_field': 'username', 'secret_field': 'password'}


class TestAPIKeyField(OfAccounts):
    options: ClassVar = {'backend': 'apikey', **MODEL, 'key_field': 'secret'}

    @pytest.fixture
    async def credentials(self, account):
        return {'X-API-Key': await create_api_key(account)}


class TestAPIKeyPlain(TestAPIKeyField):
    options: ClassVar = {'backend': 'apikey', **MODEL, 'key_field': 'secret', 'plain': True}


class TestAPIKeyTable(TestAPIKeyField):
    options: ClassVar = {'backend': 'apikey', **MODEL}
