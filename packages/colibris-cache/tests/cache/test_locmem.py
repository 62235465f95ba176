"""The cache in memory: the contract, and its bounds."""

import asyncio
import time

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


async def test_what_has_expired_goes_before_what_was_used_longest_ago():
    cache = LocMemBackend(max_entries=2)
    await cache.set('old', 1, lifetime=60)
    await cache.set('expired', 1, lifetime=0.01)
    await asyncio.sleep(0.02)
    await cache.set('new', 1)
    assert await cache.has('old')
    assert await cache.has('new')


async def test_keys_that_are_set_again_and_again_take_no_more_room():
    cache = LocMemBackend()
    for number in range(10_000):
        await cache.set('key', number, lifetime=60)
        await cache.touch('key', 60)
    assert len(cache._expiries) < 300


@pytest.mark.parametrize('clock', ['time.time', 'time.monotonic'])
async def test_staleness_is_told_by_the_monotonic_clock(monkeypatch, clock):
    cache = LocMemBackend()
    await cache.get_or_set('key', lambda: 1, 60, stale=1000)
    later = time.monotonic() + 500
    monkeypatch.setattr(clock, lambda: later)
    assert await cache.get('key', 'miss') == (1 if clock == 'time.time' else 'miss')


async def test_pickle_only_where_it_is_asked_for():
    cache, pickling = LocMemBackend(), LocMemBackend(allow_pickle=True)
    with pytest.raises(TypeError, match='complex'):
        await cache.set('key', {'a': 1j})
    await pickling.set('key', {'a': 1j})
    assert await pickling.get('key') == {'a': 1j}
    with pytest.raises(TypeError, match='cannot be pickled'):
        await pickling.set('key', lambda: 1)
    cache._entries = pickling._entries
    with pytest.raises(ValueError, match='allow_pickle is off'):
        await cache.get('key')


@pytest.mark.parametrize(
    'options', [{'prefix': 'a:1'}, {'version': '1'}, {'default_lifetime': '60'}, {'default_lifetime': float('nan')}]
)
def test_wrong_options_are_named(options):
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        LocMemBackend(**options)
