"""A pool of connections, without a server."""

import asyncio

import pytest

from colibris.persist.pool import Pool, PoolClosed


class Wire:
    """A connection."""

    def __init__(self) -> None:
        self.closed = False

    def is_closed(self) -> bool:
        return self.closed

    def terminate(self) -> None:
        self.closed = True


class Server:
    """Makes connections, and knows them."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.down = False

    async def connect(self) -> Wire:
        await asyncio.sleep(0)
        if self.down:
            raise ConnectionRefusedError
        self.wires.append(Wire())
        return self.wires[-1]

    @property
    def open(self) -> int:
        return sum(not wire.closed for wire in self.wires)


@pytest.fixture
def server() -> Server:
    return Server()


async def test_what_was_used_last_is_used_next(server: Server) -> None:
    pool = Pool(server.connect, minimum=2, maximum=3)
    await pool.fill()
    first, second = await pool.acquire(5), await pool.acquire(5)
    pool.release(first)
    pool.release(second)
    assert await pool.acquire(5) is second
    assert pool.take() is first
    assert pool.take() is None


async def test_no_more_are_made_than_allowed(server: Server) -> None:
    pool = Pool(server.connect, minimum=0, maximum=3)

    async def use() -> None:
        connection = await pool.acquire(5)
        await asyncio.sleep(0)
        pool.release(connection)

    await asyncio.gather(*(use() for _ in range(50)))
    assert server.open == 3
    assert pool.size == 3


async def test_who_waits_first_is_served_first(server: Server) -> None:
    pool = Pool(server.connect, minimum=0, maximum=1)
    held = await pool.acquire(5)
    served: list[int] = []

    async def use(number: int) -> None:
        connection = await pool.acquire(5)
        served.append(number)
        pool.release(connection)

    waiting = [asyncio.create_task(use(number)) for number in range(5)]
    await asyncio.sleep(0)
    pool.release(held)
    await asyncio.gather(*waiting)
    assert served == [0, 1, 2, 3, 4]


async def test_who_gives_up_loses_no_connection(server: Server) -> None:
    pool = Pool(server.connect, minimum=0, maximum=1)
    for _ in range(5):
        held = await pool.acquire(5)
        waiting = [asyncio.create_task(pool.acquire(5)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        pool.release(held)  # to the second
        waiting[1].cancel()
        assert await waiting[2] is held
        pool.release(held)
    assert pool.take() is held


async def test_nobody_waits_longer_than_he_said(server: Server) -> None:
    pool = Pool(server.connect, minimum=0, maximum=1)
    held = await pool.acquire(5)
    early = [asyncio.create_task(pool.acquire(0.02)) for _ in range(3)]
    await asyncio.sleep(0.01)
    late = asyncio.create_task(pool.acquire(0.05))
    assert [type(answer) for answer in await asyncio.gather(*early, return_exceptions=True)] == [TimeoutError] * 3
    assert not late.done()
    pool.release(held)
    assert await late is held


async def test_a_closed_connection_is_never_given(server: Server) -> None:
    pool = Pool(server.connect, minimum=1, maximum=1)
    await pool.fill()
    server.wires[0].closed = True
    connection = await pool.acquire(5)
    assert connection is server.wires[1]
    server.wires[1].closed = True
    pool.release(connection)
    assert pool.size == 0
    assert await pool.acquire(5) is server.wires[2]


async def test_one_that_is_discarded_makes_room_for_who_waits(server: Server) -> None:
    pool = Pool(server.connect, minimum=0, maximum=1)
    held = await pool.acquire(5)
    waiting = asyncio.create_task(pool.acquire(5))
    await asyncio.sleep(0)
    pool.discard(held)
    assert await waiting is not held
    assert server.open == 1


async def test_a_server_that_is_down_fails_all_who_wait(server: Server) -> None:
    pool = Pool(server.connect, minimum=0, maximum=1)
    server.down = True
    answers = await asyncio.gather(*(pool.acquire(5) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionRefusedError] * 5
    assert pool.size == 0


async def test_what_a_burst_needed_is_closed_after_it(server: Server) -> None:
    pool = Pool(server.connect, minimum=1, maximum=5, idle_time=0.02)
    await pool.fill()
    for connection in [await pool.acquire(5) for _ in range(5)]:
        pool.release(connection)
    for _ in range(20):
        await asyncio.sleep(0.005)
        pool.release(await pool.acquire(5))
    assert (server.open, pool.size) == (1, 1)
    pool.terminate()


async def test_closing_waits_for_those_in_use(server: Server) -> None:
    pool = Pool(server.connect, minimum=2, maximum=2)
    await pool.fill()
    held = await pool.acquire(5)
    closing = asyncio.create_task(pool.close())
    await asyncio.sleep(0)
    assert (closing.done(), server.open) == (False, 1)
    pool.release(held)
    await closing
    assert server.open == 0
    with pytest.raises(PoolClosed):
        await pool.acquire(5)


async def test_terminating_cuts_all_and_tells_who_waits(server: Server) -> None:
    pool = Pool(server.connect, minimum=0, maximum=1)
    held = await pool.acquire(5)
    waiting = asyncio.create_task(pool.acquire(5))
    await asyncio.sleep(0)
    pool.terminate()
    with pytest.raises(PoolClosed):
        await waiting
    assert (server.open, pool.owns(held)) == (0, False)
