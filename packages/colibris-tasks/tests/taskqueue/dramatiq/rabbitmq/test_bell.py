"""Hearing how tasks end, through RabbitMQ."""

import asyncio
from contextlib import aclosing

from colibris.taskqueue.stores.base import Notice

PATIENCE = 10


class Listener:
    """Listens in the background."""

    def __init__(self, line, *channels):
        self.heard = asyncio.Queue()
        self._task = asyncio.create_task(self._listen(line, channels))

    async def _listen(self, line, channels):
        async with aclosing(line.bell.listen(channels)) as notices:
            async for notice in notices:
                await self.heard.put(notice)

    async def next(self):
        async with asyncio.timeout(PATIENCE):
            return await self.heard.get()

    async def stop(self):
        self._task.cancel()
        await asyncio.wait([self._task])


async def test_those_hear_who_listen_to_the_channel(make_line):
    service, other, worker = await make_line(), await make_line(), await make_line()
    first, second = Listener(service, 'c1', '*'), Listener(other, 'c2', '*')
    assert await first.next() == await second.next() == Notice()
    worker.bell.ring('c1', 'a' * 32, b'outcome')
    worker.bell.ring('*', 'b' * 32, b'outcome')
    assert await first.next() == Notice('a' * 32, b'outcome')
    assert await first.next() == await second.next() == Notice('b' * 32, b'outcome')
    await first.stop()
    await second.stop()


async def test_a_long_outcome_is_left_to_the_store(make_line):
    line = await make_line()
    listener = Listener(line, 'c1')
    await listener.next()
    line.bell.ring('c1', 'a' * 32, bytes(100_000))
    assert await listener.next() == Notice('a' * 32, None)
    await listener.stop()


async def test_nobody_has_to_listen(make_line):
    line = await make_line()
    line.bell.ring('c1', 'a' * 32, b'outcome')
    await line.publish('default', 'a' * 32, b'data')


async def test_it_listens_again_after_the_connection_was_lost(make_line, wire):
    service, worker = await make_line(port=wire.port), await make_line()
    listener = Listener(service, 'c1')
    assert await listener.next() == Notice()
    await wire.cut()
    await wire.mend()
    await asyncio.to_thread(service.open, 10)
    while (notice := await listener.next()) == Notice():
        worker.bell.ring('c1', 'b' * 32, b'heard')
    assert notice == Notice('b' * 32, b'heard')
    await listener.stop()


async def test_while_there_is_no_connection_the_store_is_to_be_asked_now_and_then(make_line, wire):
    listener = Listener(await make_line(port=wire.port), 'c1')
    assert await listener.next() == Notice()
    await wire.cut()
    assert [await listener.next() for _ in range(2)] == [Notice(), Notice()]
    await listener.stop()


async def test_the_queue_goes_when_nobody_listens_any_more(make_line, address):
    import pika

    line = await make_line()
    listener = Listener(line, 'c1')
    await listener.next()
    await listener.stop()
    await line.publish('default', 'a' * 32, b'data')
    connection = pika.BlockingConnection(address.parameters('the tests'))
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish(line.bell._places.ended, 'c1', b'', mandatory=True)
    except pika.exceptions.UnroutableError:
        return
    finally:
        connection.close()
    raise AssertionError('somebody still listens')
