"""The contract of authorization backends, as tests. A plug-in's tests subclass the suite and give it a backend:

from colibris.authorization.testing import AuthorizationBackendSuite

class TestMyBackend(AuthorizationBackendSuite):
    granted = 'users:read'      # what the account has
    refused = 'users:update'    # what it has not, though another may

    @pytest.fixture
    async def backend(self): ...   # opened

    @pytest.fixture
    async def account(self, backend): ...

    @pytest.fixture
    async def stranger(self, backend): ...   # an account that has nothing
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from colibris.authorization.base import AuthorizationBackend


class AuthorizationBackendSuite:
    """Every documented behaviour of an authorization backend."""

    #: A permission that `account` has.
    granted: str
    #: One that it has not, but that somebody may have.
    refused: str
    #: A permission that is not possible at all; None if any name is.
    impossible: str | None = None
    #: Whether the backend refuses anything at all; that of no authorization does not.
    refuses = True

    @pytest.fixture
    async def backend(self) -> AuthorizationBackend:
        """Return the backend under test, opened."""
        raise NotImplementedError('define the fixture "backend" in your subclass')

    @pytest.fixture
    async def account(self, backend: AuthorizationBackend) -> Any:
        """Return an account that has `granted`, and not `refused`."""
        raise NotImplementedError('define the fixture "account" in your subclass')

    @pytest.fixture
    async def stranger(self, backend: AuthorizationBackend) -> Any:
        """Return an account that has neither `granted` nor `refused`."""
        raise NotImplementedError('define the fixture "stranger" in your subclass')

    @pytest.fixture
    def request_(self) -> web.Request:
        return make_mocked_request('GET', '/')

    def _skip_unless_it_refuses(self) -> None:
        if not self.refuses:
            pytest.skip('this backend refuses nothing')

    async def test_what_an_account_has_is_permitted(
        self, backend: AuthorizationBackend, account: Any, request_: web.Request
    ) -> None:
        assert await backend.permits(account, self.granted, request_) is True

    async def test_what_it_has_not_is_not(
        self, backend: AuthorizationBackend, account: Any, stranger: Any, request_: web.Request
    ) -> None:
        self._skip_unless_it_refuses()
        assert await backend.permits(account, self.refused, request_) is False
        assert await backend.permits(stranger, self.granted, request_) is False

    async def test_several_are_answered_at_once(
        self, backend: AuthorizationBackend, account: Any, request_: web.Request
    ) -> None:
        asked = frozenset({self.granted, self.refused})
        expected = {self.granted} if self.refuses else asked
        assert await backend.permitted(account, asked, request_) == expected
        assert not await backend.permitted(account, frozenset(), request_)

    async def test_nothing_is_permitted_that_was_not_asked_for(
        self, backend: AuthorizationBackend, account: Any, request_: web.Request
    ) -> None:
        assert await backend.permitted(account, frozenset({self.granted}), request_) == {self.granted}

    @pytest.mark.parametrize('change', ['prefix', 'longer', 'case', 'space', 'null', 'pattern', 'quote', 'half'])
    async def test_only_the_very_name_is_the_permission(
        self, backend: AuthorizationBackend, account: Any, request_: web.Request, change: str
    ) -> None:
        self._skip_unless_it_refuses()
        name = self.granted
        other = {
            'prefix': name[:-1],
            'longer': f'{name}s',
            'case': name.swapcase(),
            'space': f'{name} ',
            'null': f'{name}\0',
            'pattern': f'{name[:-1]}_',
            'quote': f"{name}' OR '1'='1",
            'half': f'{name}\ud800',
        }[change]
        assert await backend.permits(account, other, request_) is False

    async def test_requests_at_once_do_not_mix_up_accounts(
        self, backend: AuthorizationBackend, account: Any, stranger: Any
    ) -> None:
        self._skip_unless_it_refuses()
        asked = [account, stranger] * 20
        answers = await asyncio.gather(
            *(backend.permits(each, self.granted, make_mocked_request('GET', '/')) for each in asked)
        )
        assert answers == [True, False] * 20

    async def test_what_may_be_asked_for_is_checked(self, backend: AuthorizationBackend) -> None:
        backend.check_permission(self.granted)
        backend.check_permission(self.refused)
        if self.impossible is not None:
            with pytest.raises(ValueError, match='permission'):
                backend.check_permission(self.impossible)
