"""The cache in memory: the contract, and its bounds."""

import pytest

from colibris.cache.locmem import LocMemBackend
from colibris.cache.testing import CacheBackendSuite


class TestLocMemBackend(CacheBackendSuite):
    @pytest.fixture
    def make(self):
        return LocMemBackend


async def test_what_was_used_longest_ago_goes_first():
    cache = LocMemBackend(max_entries=2)
    await cache.set('a', 1)
    await cache.set('b', 2)
    await cache.get('a')
    await cache.set('c', 3)
    assert await cache.get_many(['a', 'b', 'c']) == {'a': 1, 'c': 3}


async def test_bytes_are_bounded():
    cache = LocMemBackend(max_bytes=10_000)
    for number in range(100):
        await cache.set(str(number), b'x' * 1000)
    kept = await cache.get_many(map(str, range(100)))
    assert 5 <= len(kept) <= 9
    assert '99' in kept


async def test_a_value_larger_than_all_is_not_kept_and_takes_the_old_one_away(caplog):
    cache = LocMemBackend(max_bytes=1_000)
    await cache.set('key', b'x')
    await cache.set('key', b'x' * 2_000)
    assert not await cache.has('key')
    assert 'larger than max_bytes' in caplog.text


async def test_replacing_a_value_gives_its_bytes_back():
    cache = LocMemBackend(max_bytes=5_000)
    await cache.set('other', 1)
    for _ in range(100):
        await cache.set('key', b'x' * 1_000)
        await cache.incr('count')
        await cache.delete('key')
    assert await cache.has('other')


@pytest.mark.parametrize('options', [{'max_entries': 0}, {'max_bytes': -1}, {'default_lifetime': 0}])
def test_senseless_bounds_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LocMemBackend(**options)


async def test_the_clock_of_the_wall_does_not_matter(monkeypatch):
    cache = LocMemBackend()
    await cache.set('key', 1, lifetime=60)
    monkeypatch.setattr('time.time', lambda: 10**12)
    assert await cache.get('key') == 1
