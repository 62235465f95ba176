"""The contract of authentication backends, as tests. A plug-in's tests subclass the suite and give it a backend:

from colibris.authentication.testing import AuthenticationBackendSuite

class TestMyBackend(AuthenticationBackendSuite):
    @pytest.fixture
    async def backend(self): ...   # bound and opened

    @pytest.fixture
    async def account(self, backend): ...   # one that may authenticate

    @pytest.fixture
    async def credentials(self, backend, account): ...   # headers by which that account is known

    @pytest.fixture
    def invalid(self, credentials): ...   # several headers, each of which has to be refused
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from colibris import api
from colibris.authentication.base import AuthenticationBackend, Identity, InvalidCredentials

Headers = Mapping[str, str]

_MANGLED = (
    '',
    ' ',
    'x',
    '.',
    '..',
    '.....',
    'a' * 100_000,
    '\u00e9',
    'null',
    'None',
    "' OR '1'='1",
    '../../etc/passwd',
)


def make_request(headers: Headers = {}, method: str = 'GET', path: str = '/') -> web.Request:  # noqa: B006
    """Return a request to test with."""
    return make_mocked_request(method, path, headers=headers)


class AuthenticationBackendSuite:
    """Every documented behaviour of an authentication backend."""

    #: Whether requests without credentials have no account; only where nobody is authenticated do they have one.
    needs_credentials = True

    @pytest.fixture
    async def backend(self) -> AuthenticationBackend:
        """Return the backend under test, bound and opened."""
        raise NotImplementedError('define the fixture "backend" in your subclass')

    @pytest.fixture
    async def account(self, backend: AuthenticationBackend) -> Any:
        """Return an account that may authenticate; it equals what the backend finds."""
        raise NotImplementedError('define the fixture "account" in your subclass')

    @pytest.fixture
    async def credentials(self, backend: AuthenticationBackend, account: Any) -> Headers:
        """Return the headers by which `account` is known."""
        raise NotImplementedError('define the fixture "credentials" in your subclass')

    @pytest.fixture
    def invalid(self, credentials: Headers) -> Sequence[Headers]:
        """Return headers, each of which has to be refused; by default the good ones, mangled."""
        if not self.needs_credentials:
            return []
        found = []
        for name, value in credentials.items():
            scheme, space, secret = value.rpartition(' ')
            spoilt = (*_MANGLED, secret[:-1], secret + 'x', secret[::-1], secret.swapcase())
            found += [{name: scheme + space + text} for text in spoilt]
        return found

    async def test_good_credentials_are_the_account(
        self, backend: AuthenticationBackend, account: Any, credentials: Headers
    ) -> None:
        identity = await backend.authenticate(make_request(credentials))
        assert isinstance(identity, Identity)
        assert identity.account == account

    async def test_every_method_is_authenticated_alike(
        self, backend: AuthenticationBackend, account: Any, credentials: Headers
    ) -> None:
        for method in ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'):
            identity = await backend.authenticate(make_request(credentials, method, '/some/path?with=query'))
            assert identity is not None
            assert identity.account == account

    async def test_without_credentials_there_is_nobody(self, backend: AuthenticationBackend) -> None:
        identity = await backend.authenticate(make_request())
        assert (identity is None) is self.needs_credentials

    async def test_credentials_come_in_the_headers_that_it_names(
        self, backend: AuthenticationBackend, credentials: Headers
    ) -> None:
        named = backend.credential_headers
        if named is not None:
            assert self.needs_credentials
            assert {name.lower() for name in credentials} & {name.lower() for name in named}

    async def test_other_schemes_are_left_alone(self, backend: AuthenticationBackend) -> None:
        for header in ('Basic YW5uOng=', 'Digest username="ann"', 'Negotiate YW5u'):
            identity = await backend.authenticate(make_request({'Authorization': header}))
            assert (identity is None) is self.needs_credentials

    async def test_invalid_credentials_are_refused(
        self, backend: AuthenticationBackend, invalid: Sequence[Headers]
    ) -> None:
        for headers in invalid:
            with pytest.raises(InvalidCredentials) as caught:
                await backend.authenticate(make_request(headers))
            assert caught.value.message == InvalidCredentials.default_message, 'a refusal must not say why'
            assert caught.value.details is None

    async def test_refusals_are_answers_of_the_api(self) -> None:
        assert issubclass(InvalidCredentials, api.Unauthenticated)

    async def test_only_null_lets_an_account_do_everything(
        self, backend: AuthenticationBackend, credentials: Headers
    ) -> None:
        identity = await backend.authenticate(make_request(credentials))
        assert identity is not None
        assert identity.unrestricted is not self.needs_credentials

    async def test_requests_at_once_do_not_mix(
        self, backend: AuthenticationBackend, account: Any, credentials: Headers, invalid: Sequence[Headers]
    ) -> None:
        async def ask(headers: Headers) -> Any:
            try:
                identity = await backend.authenticate(make_request(headers))
            except InvalidCredentials:
                return None
            return None if identity is None else identity.account

        wrong = list(invalid)[:3] or [{}]
        asked = [headers for other in wrong for headers in (credentials, other)] * 5
        answers = await asyncio.gather(*map(ask, asked))
        assert answers[::2] == [account] * (len(asked) // 2)
        if self.needs_credentials:
            assert answers[1::2] == [None] * (len(asked) // 2)

    async def test_no_credentials_are_logged(
        self,
        backend: AuthenticationBackend,
        credentials: Headers,
        invalid: Sequence[Headers],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for headers in (credentials, *invalid):
            with suppress(InvalidCredentials):
                await backend.authenticate(make_request(headers))
        # The drivers of databases log values with statements, if told to; that is not the backend's doing.
        ours = {'colibris', type(backend).__module__.partition('.')[0]}
        records = [record for record in caplog.records if record.name.partition('.')[0] in ours]
        logged = '\n'.join(record.getMessage() for record in records)
        for headers in (credentials, *invalid):
            for secret in (value.rpartition(' ')[2] for value in headers.values()):
                assert len(secret) < 20 or secret not in logged

    async def test_it_can_be_documented(self, backend: AuthenticationBackend) -> None:
        schemes = backend.security_schemes()
        assert bool(schemes) is self.needs_credentials
        for method in ('GET', 'POST'):
            for requirement in backend.security_requirements(method):
                assert set(requirement) <= set(schemes)

    async def test_the_challenge_is_a_scheme(self, backend: AuthenticationBackend) -> None:
        assert backend.challenge
        assert backend.challenge.isprintable()
