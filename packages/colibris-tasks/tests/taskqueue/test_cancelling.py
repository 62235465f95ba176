"""Ending what runs in the background."""

import asyncio

from colibris.taskqueue import cancelling
from colibris.taskqueue.cancelling import cancel
from colibris.taskqueue.stores.redis_link import RedisLink


class Deaf:
    """Loses the first cancellation, as the client of Redis does that connects at the moment."""

    def __init__(self):
        self.lost = 0

    async def wait(self, *args):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if self.lost:
                raise
            self.lost += 1
            await self.wait()

    script_load = evalsha = wait

    async def aclose(self):
        """Nothing is open."""


async def test_a_cancellation_that_is_lost_is_repeated(monkeypatch):
    monkeypatch.setattr(cancelling, '_AGAIN', 0.01)
    deaf = Deaf()
    task = asyncio.create_task(deaf.wait())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await cancel(task)
    assert task.cancelled()
    assert deaf.lost == 1


async def test_what_has_ended_is_left_alone():
    task = asyncio.create_task(asyncio.sleep(0, 'result'))
    await task
    await cancel(task)
    assert task.result() == 'result'


async def test_a_link_to_redis_closes_while_it_connects(monkeypatch):
    monkeypatch.setattr(cancelling, '_AGAIN', 0.01)
    deaf = Deaf()

    class Server:
        connect = staticmethod(lambda: deaf)

    link = RedisLink(Server(), 'prefix:')
    call = asyncio.create_task(link.run('return 1'))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await link.close()
    assert deaf.lost == 1
    assert 'was closed' in str((await asyncio.gather(call, return_exceptions=True))[0])
