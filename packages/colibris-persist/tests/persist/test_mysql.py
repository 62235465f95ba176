"""Connecting to MySQL: asyncmy may lose a cancellation meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import asyncmy
import asyncmy.pool
import pytest

from colibris.persist import errors
from colibris.persist.mysql import MySQLBackend
from colibris.persist.mysql.client import MySQLClient, ended_by_cancelling


@pytest.fixture
def make_backend(server: Callable[[str, str], dict[str, Any]]) -> Callable[..., MySQLBackend]:
    """Make a backend of a database that need not be there."""
    return lambda **changes: MySQLBackend(**{**server('mysql', 'connecting'), **changes})


@pytest.fixture
async def make_client(make_backend: Callable[..., MySQLBackend]) -> AsyncIterator[Callable[..., MySQLClient]]:
    """Make a pool for the database that each server has; its connections are cut after the test."""
    clients: list[MySQLClient] = []

    def make(**changes: Any) -> MySQLClient:
        clients.append(MySQLClient(make_backend(name='mysql', **changes), 'default'))
        return clients[-1]

    yield make
    for client in clients:
        client.abandon()
    await asyncio.sleep(0)


async def stubborn(losses: int) -> str:
    """Wait without end; so many cancellations are lost."""
    for _ in range(losses):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
    await asyncio.sleep(3600)
    return 'never'


@pytest.mark.parametrize('losses', [0, 1, 3])
async def test_connecting_ends_when_its_time_is_over_though_a_cancellation_is_lost(losses: int) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ended_by_cancelling(stubborn(losses))
    assert len(asyncio.all_tasks()) == 1


async def test_a_connection_that_comes_too_late_is_given_back() -> None:
    given_back: list[str] = []

    async def late() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        return 'connection'

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ended_by_cancelling(late(), given_back.append)
    assert given_back == ['connection']


async def cancelled_twice(task: asyncio.Task[Any]) -> None:
    """Cancel *task*, and once more while it waits for the end of what it does."""
    await asyncio.sleep(0.05)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.02)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_connection_that_comes_too_late_for_who_is_cancelled_twice_is_given_back() -> None:
    given_back: list[str] = []

    async def late() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(0.05)
        return 'connection'

    await cancelled_twice(asyncio.create_task(ended_by_cancelling(late(), given_back.append)))
    await asyncio.sleep(0.1)
    assert given_back == ['connection']


async def test_connecting_ends_for_who_is_cancelled_twice_though_a_cancellation_is_lost() -> None:
    await cancelled_twice(asyncio.create_task(ended_by_cancelling(stubborn(1))))
    await asyncio.sleep(0.5)
    assert len(asyncio.all_tasks()) == 1


async def test_a_first_pool_that_comes_too_late_is_closed(
    make_client: Callable[..., MySQLClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pool = asyncmy.create_pool
    pools: list[Any] = []

    async def late(**options: Any) -> Any:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(0.05)
        pools.append(await make_pool(**options))
        return pools[-1]

    client = make_client(min_connections=0)
    monkeypatch.setattr(asyncmy, 'create_pool', late)
    await cancelled_twice(asyncio.create_task(client.checkout()))
    await asyncio.sleep(0.1)
    assert client._pool is None
    assert [pool._closing for pool in pools] == [True]


async def test_an_idle_connection_is_taken_at_once(make_client: Callable[..., MySQLClient]) -> None:
    client = make_client()
    raw = await client.checkout()
    await client.checkin(raw)
    with pytest.raises(StopIteration) as ended:
        client.checkout().send(None)
    assert ended.value.value is raw


@pytest.mark.parametrize('idle', ['none', 'dead', 'old', 'too few'])
async def test_waiting_for_a_connection_ends_whatever_there_is_instead(
    idle: str, make_client: Callable[..., MySQLClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(min_connections=2 if idle == 'too few' else 1, pool_timeout=0.1)
    raw = await client.checkout()
    pool: Any = client._pool
    if idle != 'none':
        await client.checkin(raw, broken=idle == 'too few')
    if idle == 'dead':
        raw._transport.abort()
    if idle == 'old':
        pool._recycle = 0
    await asyncio.sleep(0.05)
    monkeypatch.setattr(asyncmy.pool, 'connect', lambda **_options: stubborn(1))
    async with asyncio.timeout(5):
        with pytest.raises(errors.DatabaseUnavailable, match='did not answer in time'):
            await client.checkout()


async def test_a_dead_idle_connection_is_replaced(make_client: Callable[..., MySQLClient]) -> None:
    client = make_client()
    dead = await client.checkout()
    await client.checkin(dead)
    dead._transport.abort()
    await asyncio.sleep(0.05)
    raw = await client.checkout()
    assert raw is not dead
    await client.run(raw, 'SELECT 1')
    await client.checkin(raw)


@pytest.mark.parametrize(
    'use',
    [MySQLBackend.exists, MySQLBackend.create, MySQLBackend.drop, lambda backend: backend.lock().__aenter__()],
    ids=['exists', 'create', 'drop', 'lock'],
)
async def test_connecting_without_a_pool_ends_though_a_cancellation_is_lost(
    use: Callable[[MySQLBackend], Awaitable[Any]],
    make_backend: Callable[..., MySQLBackend],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = make_backend(connect_timeout=0.1)
    monkeypatch.setattr(asyncmy, 'connect', lambda **_options: stubborn(1))
    async with asyncio.timeout(5):
        with pytest.raises(errors.DatabaseUnavailable, match='did not answer in time'):
            await use(backend)


async def test_a_connection_without_a_pool_that_comes_too_late_is_closed(
    make_backend: Callable[..., MySQLBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = asyncmy.connect
    made: list[Any] = []

    async def late(**options: Any) -> Any:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        made.append(await connect(**options))
        return made[-1]

    monkeypatch.setattr(asyncmy, 'connect', late)
    with pytest.raises(errors.DatabaseUnavailable):
        await make_backend(connect_timeout=0.1).exists()
    assert [connection.connected for connection in made] == [False]


async def test_what_connecting_returns_and_raises_comes_out() -> None:
    async def fails() -> None:
        raise OSError('refused')

    assert await ended_by_cancelling(asyncio.sleep(0, 'connection')) == 'connection'
    with pytest.raises(OSError, match='refused'):
        await ended_by_cancelling(fails())
