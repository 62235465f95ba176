"""Who tries too often is slowed down; who is tried for is not locked out."""

import asyncio
import contextlib

import pytest
from aiohttp.test_utils import make_mocked_request

from colibris.authentication import throttle
from colibris.authentication.throttle import MemoryCounts, Throttle, TooManyAttempts, address_of, networks


async def test_a_few_attempts_are_free_then_come_pauses(monkeypatch):
    monkeypatch.setattr(throttle, 'MAX_PAUSE', 0.1)
    attempts = Throttle()
    for _ in range(throttle.FREE_ATTEMPTS):
        await attempts.attempt('ann', '10.0.0.1')
    await attempts.attempt('ann', '10.0.0.1')  # begins the first pause
    with pytest.raises(TooManyAttempts) as caught:
        await attempts.attempt('ann', '10.0.0.1')
    assert caught.value.status == 429
    assert int(caught.value.headers['Retry-After']) >= 0
    await asyncio.sleep(0.11)
    await attempts.attempt('ann', '10.0.0.1')  # slowed down, not locked out


async def test_the_owner_elsewhere_and_other_accounts_need_not_pause():
    attempts = Throttle()
    for _ in range(20):
        with contextlib.suppress(TooManyAttempts):
            await attempts.attempt('ann', '10.0.0.1')
    await asyncio.wait_for(attempts.attempt('ann', '10.0.0.2'), 0.05)
    await asyncio.wait_for(attempts.attempt('bob', '10.0.0.1'), 0.05)


async def test_a_success_begins_anew():
    attempts = Throttle()
    for _ in range(50):
        await (await attempts.attempt('ann', '10.0.0.1')).succeeded()
        attempts._memory._counts = type(attempts._memory._counts)(
            (key, value)
            for key, value in attempts._memory._counts.items()
            if not key.startswith(('account', 'address'))
        )


async def test_attempts_at_once_are_not_more_than_attempts_in_a_row():
    attempts = Throttle()
    answers = await asyncio.gather(*(attempts.attempt('ann', '10.0.0.1') for _ in range(50)), return_exceptions=True)
    assert sum(not isinstance(answer, TooManyAttempts) for answer in answers) == throttle.FREE_ATTEMPTS + 1


@pytest.mark.parametrize('other', ['ANN', 'Ann ', '\uff41nn', ' ann'])
async def test_spellings_of_a_name_count_together(other):
    attempts = Throttle()
    for _ in range(throttle.FREE_ATTEMPTS + 1):
        await attempts.attempt('ann', '10.0.0.1')
    with pytest.raises(TooManyAttempts):
        await attempts.attempt(other, '10.0.0.1')


async def test_many_addresses_for_one_account_are_answered_late(monkeypatch):
    monkeypatch.setattr(throttle, 'FREE_OF_ACCOUNT', 3)
    waited = []

    async def wait(self, seconds):
        waited.append(seconds)

    monkeypatch.setattr(Throttle, '_wait', wait)
    attempts = Throttle()
    for number in range(100):
        await attempts.attempt('ann', f'10.0.0.{number}')
    assert len(waited) == 97
    assert waited == sorted(waited)
    assert waited[-1] == throttle.MAX_DELAY


async def test_one_address_for_many_accounts_is_answered_late(monkeypatch):
    monkeypatch.setattr(throttle, 'FREE_OF_ADDRESS', 3)
    monkeypatch.setattr(throttle, 'MAX_DELAY', 0.05)
    attempts = Throttle()
    for number in range(3):
        await asyncio.wait_for(attempts.attempt(f'user{number}', '10.0.0.1'), 0.02)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(attempts.attempt('another', '10.0.0.1'), 0.02)


async def test_only_some_wait(monkeypatch):
    monkeypatch.setattr(throttle, 'FREE_OF_ADDRESS', 0)
    monkeypatch.setattr(throttle, 'MAX_WAITING', 2)
    attempts = Throttle()
    answers = await asyncio.gather(*(attempts.attempt(str(n), '10.0.0.1') for n in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, TooManyAttempts) for answer in answers) == 3


def test_memory_is_bounded():
    counts = MemoryCounts(limit=100)
    for number in range(10_000):
        counts.add(str(number), 60)
    assert len(counts) == 100
    assert counts.add('9999', 60) == 2


def test_counts_end():
    counts = MemoryCounts()
    assert [counts.add('x', 60), counts.add('x', 60)] == [1, 2]
    assert [counts.add('y', 0), counts.add('y', 0)] == [1, 1]


@pytest.fixture
async def cache():
    """A cache that is open, and can be broken."""
    from colibris import subsystems
    from colibris.cache.subsystem import subsystem
    from colibris.conf import settings

    with settings.override(CACHE={'backend': 'locmem'}):
        await subsystem.open()
        with subsystems.adopt([subsystem]):
            yield subsystem.backend
        await subsystem.close()


async def test_processes_count_together_in_the_cache(cache):
    one, other = Throttle(), Throttle()
    for number in range(throttle.FREE_ATTEMPTS + 1):
        await (one, other)[number % 2].attempt('ann', '10.0.0.1')
    with pytest.raises(TooManyAttempts):
        await other.attempt('ann', '10.0.0.1')


@pytest.mark.parametrize('answer', [ConnectionError('away'), 0, 1])
async def test_while_the_cache_is_away_memory_counts(cache, monkeypatch, caplog, answer):
    async def away(*args, **kwargs):
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(cache, 'incr', away)
    monkeypatch.setattr(cache, 'delete_many', away)
    attempts = Throttle()
    for _ in range(throttle.FREE_ATTEMPTS + 1):
        attempt = await attempts.attempt('ann', '10.0.0.1')
    with pytest.raises(TooManyAttempts):
        await attempts.attempt('ann', '10.0.0.1')
    await attempt.succeeded()
    assert caplog.text.count('the cache is away') == isinstance(answer, Exception)


async def test_no_name_or_address_reaches_the_cache(cache, monkeypatch):
    keys = []
    count = cache.incr

    async def incr(key, *args):
        keys.append(key)
        return await count(key, *args)

    monkeypatch.setattr(cache, 'incr', incr)
    await Throttle().attempt('a-password-in-the-wrong-field', '10.0.0.1')
    assert keys
    assert not any('password' in key or '10.0' in key for key in keys)


@pytest.mark.parametrize(
    ('remote', 'forwarded', 'trusted', 'found'),
    [
        ('10.0.0.1', None, [], '10.0.0.1'),
        ('10.0.0.1', '1.2.3.4', [], '10.0.0.1'),
        ('10.0.0.1', '1.2.3.4', ['10.0.0.0/8'], '1.2.3.4'),
        ('10.0.0.1', '6.6.6.6, 1.2.3.4', ['10.0.0.0/8'], '1.2.3.4'),
        ('10.0.0.1', '6.6.6.6, 1.2.3.4, 10.0.0.2', ['10.0.0.0/8'], '1.2.3.4'),
        ('9.9.9.9', '1.2.3.4', ['10.0.0.0/8'], '9.9.9.9'),
        ('10.0.0.1', 'nonsense', ['10.0.0.0/8'], 'None'),
        ('2001:db8::1', None, [], '2001:db8::/64'),
        ('::ffff:1.2.3.4', None, [], '1.2.3.4'),
        ('', None, [], 'None'),
    ],
)
def test_where_a_request_comes_from(remote, forwarded, trusted, found):
    headers = {} if forwarded is None else {'X-Forwarded-For': forwarded}
    request = make_mocked_request('POST', '/', headers=headers).clone(remote=remote)
    assert address_of(request, networks(trusted)) == found


async def test_logins_are_limited(serve, sqlite):
    from colibris.authentication import hash_password

    client = await serve(
        sqlite,
        routes="from colibris.authentication.views import LoginView\nROUTES = [('/login', LoginView)]\n",
        AUTHENTICATION={
            'backend': 'jwt',
            'model': 'shop.models.User',
            'identity_field': 'username',
            'trusted_proxies': ['127.0.0.1'],
        },
    )
    from shop.models import User

    await User.create(username='ann', password=await hash_password('correct horse'))

    async def log_in(password, address):
        data = {'username': 'ann', 'password': password}
        async with client.post('/login', json=data, headers={'X-Forwarded-For': address}) as response:
            return response.status, response.headers.get('Retry-After')

    for _ in range(throttle.FREE_ATTEMPTS):
        assert await log_in('wrong', '1.1.1.1') == (401, None)
    answers = [await log_in('wrong', '1.1.1.1') for _ in range(5)]
    assert any(status == 429 and after for status, after in answers)
    assert (await log_in('correct horse', '2.2.2.2'))[0] == 200
