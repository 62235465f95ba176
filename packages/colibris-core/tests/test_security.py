from types import SimpleNamespace

import pytest

from colibris import api, security


@pytest.fixture
def no_guard(monkeypatch):
    monkeypatch.setattr(security, '_guard', None)


async def test_without_a_guard_nobody_gets_at_what_is_protected(no_guard):
    # A request that is under way while the service stops finds the guard gone: it must not be let in for that.
    with pytest.raises(api.ServiceUnavailable):
        await security.current_guard().admit(None, SimpleNamespace(protected=True))


@pytest.mark.parametrize('endpoint', [None, SimpleNamespace(protected=False)])
async def test_without_a_guard_the_account_is_the_dummy(no_guard, endpoint):
    account = await security.current_guard().admit(None, endpoint)
    assert isinstance(account, security.DummyAccount)


def test_an_account_is_told_by_its_key_and_claims_by_their_subject():
    assert security.account_key(SimpleNamespace(pk=7)) == 'SimpleNamespace:7'
    assert security.account_key({'sub': 'ada'}) == 'dict:ada'
    assert security.account_key(None) is security.account_key({}) is security.account_key(object()) is None
