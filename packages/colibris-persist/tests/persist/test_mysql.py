"""Connecting to MySQL: asyncmy may lose a cancellation meanwhile."""

import asyncio
from contextlib import suppress

import pytest

from colibris.persist.mysql.client import ended_by_cancelling


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


async def test_what_connecting_returns_and_raises_comes_out() -> None:
    async def fails() -> None:
        raise OSError('refused')

    assert await ended_by_cancelling(asyncio.sleep(0, 'connection')) == 'connection'
    with pytest.raises(OSError, match='refused'):
        await ended_by_cancelling(fails())
