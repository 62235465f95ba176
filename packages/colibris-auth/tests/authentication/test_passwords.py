"""Passwords: hashes, threads, and times that tell nothing."""

import asyncio
import time

import pytest
from argon2 import PasswordHasher

from colibris.api import ServiceUnavailable
from colibris.authentication import hash_password, needs_rehash, passwords, verify_password


async def test_a_hash_is_of_argon2id_and_verifies():
    hashed = await hash_password('correct horse')
    assert hashed.startswith('$argon2id$')
    assert 'correct' not in hashed
    assert hashed != await hash_password('correct horse')
    assert await verify_password('correct horse', hashed) is True
    assert await verify_password('Correct horse', hashed) is False
    assert await verify_password('', hashed) is False


@pytest.mark.parametrize(
    'hashed', [None, '', 'correct horse', '$argon2id$', '$argon2id$v=19$x', '$2b$12$abc', 'x' * 10000]
)
async def test_what_is_no_hash_verifies_nothing(hashed):
    assert await verify_password('correct horse', hashed) is False


async def test_what_looks_the_same_is_the_same():
    assert await verify_password('caf\u00e9', await hash_password('cafe\u0301'))


async def test_odd_passwords():
    for password in ('\0', '\ud800', 'x' * passwords.MAX_LENGTH, ' ', '密码'):
        assert await verify_password(password, await hash_password(password))
    with pytest.raises(ValueError, match='at most'):
        await hash_password('x' * (passwords.MAX_LENGTH + 1))
    hashed = await hash_password('x' * passwords.MAX_LENGTH)
    assert await verify_password('x' * (passwords.MAX_LENGTH + 1), hashed) is False


async def test_weaker_hashes_need_a_new_one():
    assert needs_rehash(PasswordHasher(time_cost=1, memory_cost=8192).hash('x'))
    assert not needs_rehash(await hash_password('x'))


async def test_hashing_does_not_hold_up_the_event_loop():
    hashing = asyncio.create_task(hash_password('correct horse'))
    longest, last = 0.0, time.perf_counter()
    while not hashing.done():
        await asyncio.sleep(0.001)
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    assert longest < 0.05


async def test_only_a_few_run_at_once(monkeypatch):
    running, most = 0, 0

    class Slow:
        def hash(self, password):
            nonlocal running, most
            running += 1
            most = max(most, running)
            time.sleep(0.01)
            running -= 1
            return 'x'

    monkeypatch.setattr(passwords, '_hasher', Slow())
    await asyncio.gather(*(hash_password('x') for _ in range(20)))
    assert 1 <= most <= passwords.CONCURRENCY
    assert passwords._waiting == 0


async def test_only_some_may_wait(monkeypatch):
    monkeypatch.setattr(passwords, 'MAX_WAITING', 2)
    answers = await asyncio.gather(*(hash_password('x') for _ in range(4)), return_exceptions=True)
    assert [isinstance(answer, ServiceUnavailable) for answer in answers] == [False, False, True, True]
    assert await hash_password('x')


async def test_an_unknown_account_takes_as_long_as_a_wrong_password(cheap):
    hashed = await hash_password('correct horse')
    await verify_password('x', None)
    times = {None: [], hashed: []}
    for _ in range(30):
        for stored, taken in times.items():
            begin = time.process_time()
            await verify_password('wrong', stored)
            taken.append(time.process_time() - begin)
    unknown, wrong = (min(taken) for taken in times.values())
    assert abs(unknown - wrong) < 0.3 * wrong


@pytest.fixture
def cheap(monkeypatch):
    """Hash in one thread, in some 25 ms; the time of the processor is what is measured, as others are at work on it."""
    hasher = PasswordHasher(time_cost=2, memory_cost=16 * 1024, parallelism=1)
    monkeypatch.setattr(passwords, '_hasher', hasher)


LOGIN = """
    from colibris.authentication.views import LoginView

    ROUTES = [('/login', LoginView)]
"""
AUTHENTICATION = {
    'backend': 'jwt',
    'model': 'shop.models.User',
    'identity_field': 'username',
    'active_field': 'is_active',
}


async def log_in(client, name, password='correct horse'):
    async with client.post('/login', json={'username': name, 'password': password}) as response:
        return response.status, await response.json(), dict(response.headers)


@pytest.fixture
def unthrottled(monkeypatch):
    """Let everybody try as often as they please."""
    from colibris.authentication import throttle

    for name in ('FREE_ATTEMPTS', 'FREE_OF_ACCOUNT', 'FREE_OF_ADDRESS'):
        monkeypatch.setattr(throttle, name, 10**6)


async def test_logins_do_not_tell_whether_an_account_exists(serve, database, unthrottled, cheap):
    client = await serve(database, routes=LOGIN, AUTHENTICATION=AUTHENTICATION)
    from shop.models import User

    await User.create(username='ann', password=await hash_password('correct horse'))
    await User.create(username='gone', password=await hash_password('correct horse'), is_active=False)
    await User.create(username='new', password=None)
    assert (await log_in(client, 'ann'))[0] == 200
    cases = [
        ('ann', 'wrong'),
        ('nobody', 'wrong'),
        ('gone', 'correct horse'),
        ('new', 'wrong'),
        ('ANN', 'correct horse'),
    ]
    times = {case: [] for case in cases}
    answers = set()
    for _ in range(25):
        for name, password in cases:
            begin = time.process_time()
            status, body, headers = await log_in(client, name, password)
            times[name, password].append(time.process_time() - begin)
            headers.pop('Date')
            answers.add((status, str(body), str(sorted(headers.items()))))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    quickest = [min(taken) for taken in times.values()]
    assert max(quickest) - min(quickest) < 0.4 * min(quickest)


async def test_a_login_replaces_a_weaker_hash(serve, database):
    client = await serve(database, routes=LOGIN, AUTHENTICATION=AUTHENTICATION)
    from shop.models import User

    weak = PasswordHasher(time_cost=1, memory_cost=8192).hash('correct horse')
    await User.create(username='ann', password=weak)
    assert (await log_in(client, 'ann', 'wrong'))[0] == 401
    assert (await User.get()).password == weak
    assert (await log_in(client, 'ann'))[0] == 200
    stored = (await User.get()).password
    assert not needs_rehash(stored)
    assert await verify_password('correct horse', stored)
    assert (await log_in(client, 'ann'))[0] == 200


async def test_nothing_secret_is_logged(serve, sqlite, caplog):
    caplog.set_level('DEBUG')
    client = await serve(sqlite, routes=LOGIN, AUTHENTICATION=AUTHENTICATION, DEBUG=True)
    from shop.models import User

    await User.create(username='ann', password=await hash_password('correct horse'))
    caplog.clear()
    _, body, _ = await log_in(client, 'ann')
    await log_in(client, 'ann', 'my other password')
    await log_in(client, 'typed the password here')
    ours = [record.getMessage() for record in caplog.records if record.name.startswith('colibris')]
    assert ours
    for secret in ('correct horse', 'my other password', 'typed the', body['access_token'], body['refresh_token']):
        assert not any(secret in line for line in ours)
