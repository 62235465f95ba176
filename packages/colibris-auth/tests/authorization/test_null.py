"""No authorization, in so many words."""

import logging
from types import SimpleNamespace

import pytest

from colibris.authorization.null import NullBackend
from colibris.authorization.testing import AuthorizationBackendSuite


class TestContract(AuthorizationBackendSuite):
    granted = 'users:read'
    refused = 'users:update'
    refuses = False

    @pytest.fixture
    async def backend(self):
        return NullBackend()

    @pytest.fixture
    async def account(self, backend):
        return SimpleNamespace()

    @pytest.fixture
    async def stranger(self, backend):
        return SimpleNamespace()


@pytest.mark.parametrize('debug', [True, False])
def test_it_warns_outside_of_debug(caplog, debug):
    caplog.set_level(logging.WARNING)

    NullBackend().bind(account_model=None, debug=debug)

    assert ('each account may do everything' in caplog.text) is not debug
