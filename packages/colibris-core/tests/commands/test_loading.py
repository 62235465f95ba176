"""The garbage collector while code is loaded."""

import gc

import pytest

from colibris.commands.loading import loading


@pytest.fixture(autouse=True)
def collecting():
    """Leave the collector on."""
    yield
    gc.unfreeze()
    gc.enable()


def test_it_is_off_within_and_on_again_whatever_happens():
    def load():
        with loading():
            with loading():
                assert not gc.isenabled()
            assert not gc.isenabled()
            raise ImportError

    with pytest.raises(ImportError):
        load()
    assert gc.isenabled()


def test_who_has_switched_it_off_finds_it_off():
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()


def test_only_what_is_to_stay_is_kept_from_it():
    gc.unfreeze()
    with loading():
        pass
    assert gc.get_freeze_count() == 0
    with loading(to_stay=True):
        pass
    assert gc.get_freeze_count() > 0
