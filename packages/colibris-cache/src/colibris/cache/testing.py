"""The contract of cache backends, as tests. A plug-in's tests subclass the suite and give it a backend:

from colibris.cache.testing import CacheBackendSuite

class TestMyBackend(CacheBackendSuite):
    @pytest.fixture
    def make(self):
        return lambda **options: MyBackend(url=..., **options)
"""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from colibris.cache import FOREVER, NotANumber
from colibris.cache.base import CacheBackend

Make = Callable[..., CacheBackend]

#: Values that are told apart from nothing, and those of every type that can travel.
VALUES: list[Any] = [
    None,
    False,
    0,
    '',
    b'',
    [],
    {},
    -1,
    7,
    2**63 - 1,
    -(2**63),
    2**63,
    10**30,
    1.5,
    True,
    'text',
    'ünïcode \x00 \n',
    '5',
    b'5',
    b'\x00\xff',
    [1, [2, {'a': None}]],
    (1, 2),
    {1, 2},
    frozenset({1}),
    Decimal('1.50'),
    uuid.UUID(int=5),
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
    datetime.date(2026, 1, 2),
    datetime.time(3, 4, 5),
    datetime.timedelta(days=-1, microseconds=3),
]

#: Keys that a server's protocol, or a careless backend, may stumble over.
KEYS = ['a b', 'a\nb', 'a\r\nset x', '\x00', ':', '*', '[a-z]?', 'é' * 50, '🐦', 'x' * 10_000, "'; drop", '\\']


class CacheBackendSuite:
    """Every documented behaviour of a cache."""

    @pytest.fixture
    def make(self) -> Make:
        """Return what makes a backend, with further options, on the server under test."""
        raise NotImplementedError('define the fixture "make" in your subclass')

    @pytest.fixture
    async def cache(self, make: Make) -> AsyncIterator[CacheBackend]:
        backend = make(prefix=f'suite-{uuid.uuid4().hex}')
        await backend.open()
        yield backend
        await backend.clear()
        await backend.close()

    @pytest.mark.parametrize('value', VALUES, ids=repr)
    async def test_a_value_comes_back_equal_and_of_its_type(self, cache: CacheBackend, value: Any) -> None:
        await cache.set('key', value)
        found = await cache.get('key', 'nothing')
        assert found == value
        assert type(found) is type(value)
        assert await cache.has('key')

    async def test_what_is_not_there_is_the_default(self, cache: CacheBackend) -> None:
        assert await cache.get('key') is None
        assert await cache.get('key', 'default') == 'default'
        assert not await cache.has('key')

    async def test_a_caller_cannot_change_what_is_kept(self, cache: CacheBackend) -> None:
        value = {'list': [1]}
        await cache.set('key', value)
        value['list'].append(2)
        (await cache.get('key'))['list'].append(3)
        assert await cache.get('key') == {'list': [1]}

    @pytest.mark.parametrize('key', KEYS, ids=lambda key: repr(key[:12]))
    async def test_any_text_is_a_key(self, cache: CacheBackend, key: str) -> None:
        await cache.set(key, 'value')
        await cache.set(key + 'x', 'other')
        assert await cache.get(key) == 'value'
        assert await cache.get_many([key]) == {key: 'value'}
        assert await cache.delete(key)
        assert await cache.get(key) is None

    async def test_a_key_that_is_no_text_is_refused(self, cache: CacheBackend) -> None:
        with pytest.raises(TypeError, match='must be a string, not int'):
            await cache.get(5)  # type: ignore[arg-type]

    async def test_what_cannot_travel_is_named_by_its_path(self, cache: CacheBackend) -> None:
        with pytest.raises(TypeError, match='a'):
            await cache.set('key', {'a': [object()]})
        assert not await cache.has('key')

    async def test_ten_megabytes_are_kept(self, cache: CacheBackend) -> None:
        value = b'x' * 10_000_000
        await cache.set('key', value)
        assert await cache.get('key') == value

    async def test_delete_tells_whether_there_was_something(self, cache: CacheBackend) -> None:
        await cache.set('key', None)
        assert await cache.delete('key') is True
        assert await cache.delete('key') is False

    async def test_add_keeps_only_what_is_new(self, cache: CacheBackend) -> None:
        assert await cache.add('key', 1) is True
        assert await cache.add('key', 2) is False
        assert await cache.get('key') == 1

    async def test_add_is_atomic(self, cache: CacheBackend) -> None:
        added = await asyncio.gather(*(cache.add('key', number) for number in range(100)))
        assert sum(added) == 1

    async def test_many_at_once(self, cache: CacheBackend) -> None:
        await cache.set_many({'a': 1, 'b': None})
        assert await cache.get_many(['a', 'b', 'c', 'a']) == {'a': 1, 'b': None}
        assert await cache.delete_many(['a', 'b', 'c', 'a']) == 2
        assert await cache.get_many(['a', 'b']) == {}

    async def test_many_of_nothing(self, cache: CacheBackend) -> None:
        await cache.set_many({})
        assert await cache.get_many([]) == {}
        assert await cache.delete_many([]) == 0

    # Lifetimes

    async def test_a_value_is_gone_after_its_lifetime_and_not_before(self, cache: CacheBackend) -> None:
        await cache.set('short', 1, lifetime=0.2)
        await cache.set('long', 1, lifetime=60)
        await asyncio.sleep(0.1)
        assert await cache.get('short') == 1
        await asyncio.sleep(0.15)
        assert await cache.get('short') is None
        assert await cache.get('long') == 1

    async def test_setting_again_begins_a_new_lifetime(self, cache: CacheBackend) -> None:
        await cache.set('key', 1, lifetime=0.15)
        await cache.set('key', 2, lifetime=60)
        await asyncio.sleep(0.2)
        assert await cache.get('key') == 2

    async def test_a_lifetime_of_zero_is_gone_at_once(self, cache: CacheBackend) -> None:
        await cache.set('key', 1)
        await cache.set('key', 2, lifetime=0)
        assert await cache.get('key', 'gone') == 'gone'
        await cache.set_many({'key': 3}, lifetime=0)
        assert not await cache.has('key')
        assert await cache.add('key', 4, lifetime=0) is True
        assert not await cache.has('key')

    @pytest.mark.parametrize('lifetime', [-1, -0.001, float('nan'), -FOREVER])
    async def test_a_negative_lifetime_is_refused(self, cache: CacheBackend, lifetime: float) -> None:
        with pytest.raises(ValueError, match='must not be negative'):
            await cache.set('key', 1, lifetime=lifetime)

    @pytest.mark.parametrize('lifetime', ['60', True])
    async def test_a_lifetime_that_is_no_number_is_refused(self, cache: CacheBackend, lifetime: Any) -> None:
        with pytest.raises(TypeError, match='must be a number'):
            await cache.set('key', 1, lifetime=lifetime)

    async def test_without_a_lifetime_the_default_counts(self, make: Make) -> None:
        backend = make(prefix=uuid.uuid4().hex, default_lifetime=0.1)
        await backend.open()
        try:
            await backend.set('default', 1)
            await backend.set('forever', 1, lifetime=FOREVER)
            await asyncio.sleep(0.15)
            assert await backend.get('default') is None
            assert await backend.get('forever') == 1
        finally:
            await backend.clear()
            await backend.close()

    async def test_touch_begins_the_lifetime_anew(self, cache: CacheBackend) -> None:
        await cache.set('key', 1, lifetime=0.2)
        assert await cache.touch('key', 60) is True
        await asyncio.sleep(0.25)
        assert await cache.get('key') == 1
        assert await cache.touch('key', FOREVER) is True
        assert await cache.touch('key', 0) is True
        assert await cache.get('key') is None
        assert await cache.touch('key') is False
        assert await cache.touch('key', FOREVER) is False

    async def test_values_expire_under_load(self, cache: CacheBackend) -> None:
        await cache.set_many({str(number): number for number in range(1000)}, lifetime=0.3)
        await asyncio.gather(*(cache.set(f'other{number}', number) for number in range(1000)))
        await asyncio.sleep(0.35)
        assert await cache.get_many(map(str, range(1000))) == {}
        assert len(await cache.get_many(f'other{number}' for number in range(1000))) == 1000

    # Counting

    async def test_a_number_that_is_not_there_counts_as_zero(self, cache: CacheBackend) -> None:
        assert await cache.incr('key') == 1
        assert await cache.incr('key', 5) == 6
        assert await cache.decr('key', 2) == 4
        assert await cache.get('key') == 4

    async def test_a_number_that_was_set_can_be_counted_with(self, cache: CacheBackend) -> None:
        await cache.set('key', -10)
        assert await cache.incr('key') == -9

    async def test_counting_is_atomic(self, cache: CacheBackend) -> None:
        await asyncio.gather(*(cache.incr('key') for _ in range(1000)))
        assert await cache.get('key') == 1000

    async def test_counting_does_not_change_the_lifetime(self, cache: CacheBackend) -> None:
        await cache.incr('key', lifetime=0.2)
        await asyncio.sleep(0.1)
        await cache.incr('key', lifetime=60)
        await asyncio.sleep(0.15)
        assert await cache.get('key') is None

    @pytest.mark.parametrize('value', ['5', 1.5, None, [1], True])
    async def test_what_is_no_integer_cannot_be_counted_with(self, cache: CacheBackend, value: Any) -> None:
        await cache.set('key', value)
        with pytest.raises(NotANumber):
            await cache.incr('key')
        assert await cache.get('key') == value

    async def test_a_sum_beyond_64_bits_is_refused(self, cache: CacheBackend) -> None:
        await cache.set('key', 2**63 - 1)
        with pytest.raises(NotANumber):
            await cache.incr('key')
        assert await cache.get('key') == 2**63 - 1

    # Keys of others

    async def test_prefix_and_version_keep_keys_apart_and_clear_removes_only_its_own(self, make: Make) -> None:
        prefix = uuid.uuid4().hex
        ours, newer, others = make(prefix=prefix), make(prefix=prefix, version=2), make(prefix=prefix + '*')
        for number, backend in enumerate((ours, newer, others)):
            await backend.open()
            await backend.set('key', number)
        await ours.clear()
        assert await ours.get('key') is None
        if ours.shared:
            assert (await newer.get('key'), await others.get('key')) == (1, 2)
        for backend in (ours, newer, others):
            await backend.clear()
            await backend.close()

    async def test_clear_removes_everything_of_ours(self, cache: CacheBackend) -> None:
        await cache.set_many({str(number): number for number in range(2500)})
        await cache.clear()
        assert await cache.get_many(map(str, range(2500))) == {}

    # Single computation

    async def test_get_or_set_computes_what_is_not_there(self, cache: CacheBackend) -> None:
        async def factory() -> int:
            return 5

        assert await cache.get_or_set('async', factory) == 5
        assert await cache.get_or_set('sync', lambda: 6) == 6
        assert await cache.get_or_set('async', lambda: 7) == 5
        assert await cache.get('sync') == 6

    async def test_none_is_computed_once_too(self, cache: CacheBackend) -> None:
        calls: list[int] = []
        for _ in range(2):
            assert await cache.get_or_set('key', lambda: calls.append(1)) is None
        assert calls == [1]

    async def test_a_thousand_callers_compute_once(self, cache: CacheBackend) -> None:
        calls: list[int] = []

        async def factory() -> list[int]:
            calls.append(1)
            await asyncio.sleep(0.1)
            return [1]

        found = await asyncio.gather(*(cache.get_or_set('key', factory) for _ in range(1000)))
        assert calls == [1]
        assert found == [[1]] * 1000
        found[0].append(2)
        assert found[1] == [1]

    async def test_an_error_of_the_factory_reaches_all_and_nothing_is_kept(self, cache: CacheBackend) -> None:
        async def factory() -> None:
            await asyncio.sleep(0.02)
            raise LookupError('factory')

        results = await asyncio.gather(*(cache.get_or_set('key', factory) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(result, LookupError) for result in results)
        assert not await cache.has('key')
        assert await cache.get_or_set('key', lambda: 1) == 1

    async def test_a_cancelled_caller_does_not_take_the_others_down(self, cache: CacheBackend) -> None:
        async def factory() -> int:
            await asyncio.sleep(0.1)
            return 1

        first = asyncio.create_task(cache.get_or_set('key', factory))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(cache.get_or_set('key', factory))
        await asyncio.sleep(0.02)
        first.cancel()
        assert await second == 1

    async def test_a_stale_value_is_served_while_it_is_renewed(self, cache: CacheBackend) -> None:
        release = asyncio.Event()

        async def renew() -> str:
            await release.wait()
            return 'new'

        assert await cache.get_or_set('key', lambda: 'old', 0.05, stale=60) == 'old'
        await asyncio.sleep(0.1)
        assert await cache.get('key', 'miss') == 'miss'
        stale = await asyncio.gather(*(cache.get_or_set('key', renew, 60, stale=60) for _ in range(10)))
        assert stale == ['old'] * 10
        release.set()
        for _ in range(100):
            if await cache.get('key') == 'new':
                break
            await asyncio.sleep(0.01)
        assert await cache.get_or_set('key', _never, 60) == 'new'

    async def test_a_stale_value_counts_as_nothing_for_all_others(self, cache: CacheBackend) -> None:
        for key in ('add', 'touch', 'count', 'get'):
            assert await cache.get_or_set(key, lambda: 5, 0.05, stale=60) == 5
        await asyncio.sleep(0.1)
        added = await asyncio.gather(*(cache.add('add', number, 60) for number in range(20)))
        assert sum(added) == 1
        assert await cache.get('add') == added.index(True)
        assert await cache.touch('touch', 60) is False
        assert await cache.incr('count') == 1
        assert await cache.get_many(['get']) == {}
        assert await cache.get_or_set('get', lambda: 6, 60) == 6

    async def test_touch_keeps_what_was_computed_from_getting_stale(self, cache: CacheBackend) -> None:
        assert await cache.get_or_set('key', lambda: 5, 0.2, stale=60) == 5
        assert await cache.touch('key', 60) is True
        await asyncio.sleep(0.25)
        assert await cache.get('key') == 5

    async def test_what_is_deleted_is_not_served_stale(self, cache: CacheBackend) -> None:
        await cache.get_or_set('key', lambda: 1, 60, stale=60)
        await cache.delete('key')
        assert await cache.get_or_set('key', lambda: 2, 60, stale=60) == 2

    async def test_a_renewal_that_fails_is_logged(self, cache: CacheBackend, caplog: pytest.LogCaptureFixture) -> None:
        def fail() -> None:
            raise LookupError('no renewal')

        await cache.get_or_set('key', lambda: 1, 0.02, stale=60)
        await asyncio.sleep(0.05)
        assert await cache.get_or_set('key', fail, 60, stale=60) == 1
        for _ in range(100):
            if 'no renewal' in caplog.text:
                break
            await asyncio.sleep(0.01)
        assert 'could not be renewed' in caplog.text

    @pytest.mark.parametrize('stale', [-1, float('nan'), FOREVER, '5'])
    async def test_a_wrong_time_of_staleness_is_refused(self, cache: CacheBackend, stale: Any) -> None:
        with pytest.raises(ValueError, match='stale must be'):
            await cache.get_or_set('key', lambda: 1, stale=stale)

    async def test_a_thousand_tasks_at_once(self, cache: CacheBackend) -> None:
        async def work(number: int) -> Any:
            key = str(number % 50)
            await cache.set(key, number)
            return await cache.get(key)

        found = await asyncio.gather(*(work(number) for number in range(1000)))
        assert all(isinstance(value, int) for value in found)

    async def test_processes_that_share_a_cache_compute_once(self, make: Make) -> None:
        prefix = uuid.uuid4().hex
        backends = [make(prefix=prefix) for _ in range(5)]
        if not backends[0].shared:
            pytest.skip('this cache is not shared between processes')
        calls: list[int] = []

        async def factory() -> int:
            calls.append(1)
            await asyncio.sleep(0.2)
            return 1

        ask: Callable[[CacheBackend], Awaitable[Any]] = lambda backend: backend.get_or_set('key', factory)  # noqa: E731
        assert await asyncio.gather(*map(ask, backends)) == [1] * 5
        assert calls == [1]
        await backends[0].clear()
        for backend in backends:
            await backend.close()

    async def test_health(self, cache: CacheBackend) -> None:
        await cache.check_health()


def _never() -> Any:
    raise AssertionError('this was computed already')
