"""Waiting: one subscription for all, made anew when it is lost, which misses nothing."""

import asyncio

import pytest

from colibris.taskqueue import waiting as module
from colibris.taskqueue.errors import TaskQueueUnavailable, UnknownTask
from colibris.taskqueue.stores.base import Notice
from colibris.taskqueue.waiting import Waiting


class Store:
    """Stands in for a store: says what it is told to, and can be lost."""

    leaves_after = None

    def __init__(self):
        self.known = {}
        self.asked = []
        self.listeners = 0
        self.notices = None
        self.is_away = False

    async def outcomes(self, task_ids, channel=None):
        self.asked.append(list(task_ids))
        if self.is_away:
            raise TaskQueueUnavailable('away')
        return {task_id: self.known[task_id] for task_id in task_ids if task_id in self.known}

    async def notifications(self, channel):
        if self.is_away:
            raise TaskQueueUnavailable('away')
        self.listeners += 1
        self.notices = asyncio.Queue()
        try:
            yield Notice()
            while True:
                notice = await self.notices.get()
                if notice is None:
                    raise TaskQueueUnavailable('lost')
                yield notice
        finally:
            self.listeners -= 1

    def finish(self, task_id, outcome):
        self.known[task_id] = outcome
        if self.notices is not None:
            self.notices.put_nowait(Notice(task_id, outcome))

    def lose(self):
        self.notices.put_nowait(None)
        self.notices = None


@pytest.fixture
def store():
    return Store()


@pytest.fixture
async def waiting(store, monkeypatch):
    monkeypatch.setattr(module, '_FIRST_PAUSE', 0.01)
    monkeypatch.setattr(module, '_LONGEST_PAUSE', 0.05)
    waiting = Waiting(store)
    yield waiting
    await waiting.close()


async def settle():
    await asyncio.sleep(0.02)


async def test_any_number_of_calls_share_one_subscription(waiting, store):
    store.known = {f't{number}': None for number in range(1000)}
    calls = [asyncio.create_task(waiting.wait(f't{number}')) for number in range(1000)]
    await settle()
    assert store.listeners == 1
    for number in range(1000):
        store.finish(f't{number}', b'%d' % number)
    assert await asyncio.gather(*calls) == [b'%d' % number for number in range(1000)]
    assert len(waiting) == 0


async def test_what_has_finished_already_is_found(waiting, store):
    store.known = {'t': b'done'}
    assert await waiting.wait('t') == b'done'


async def test_what_nobody_knows_is_told(waiting):
    with pytest.raises(UnknownTask):
        await waiting.wait('t')


async def test_what_finishes_while_the_connection_is_lost_is_found(waiting, store):
    store.known = {'t': None}
    call = asyncio.create_task(waiting.wait('t'))
    await settle()
    store.lose()
    store.known['t'] = b'done'
    assert await asyncio.wait_for(call, 2) == b'done'
    assert store.listeners == 1


async def test_a_store_that_is_away_is_waited_for(waiting, store):
    store.known, store.is_away = {'t': b'done'}, True
    call = asyncio.create_task(waiting.wait('t'))
    await asyncio.sleep(0.1)
    assert not call.done()
    store.is_away = False
    assert await asyncio.wait_for(call, 2) == b'done'


async def test_what_is_expected_is_not_asked_for(waiting, store):
    await waiting.expect('t')
    waiting.sent('t')
    store.asked.clear()
    call = asyncio.create_task(waiting.wait('t'))
    await settle()
    store.finish('t', b'done')
    assert await call == b'done'
    assert store.asked == []


async def test_an_outcome_that_comes_before_the_wait_is_kept(waiting, store):
    await waiting.expect('t')
    store.finish('t', b'done')
    await settle()
    waiting.sent('t')
    assert await waiting.wait('t') == b'done'


async def test_what_is_just_being_sent_is_not_unknown(waiting, store):
    await waiting.expect('t')
    store.lose()
    await asyncio.sleep(0.1)  # the subscription is made anew, and asks for all that is waited for
    waiting.sent('t')
    store.finish('t', b'done')
    assert await asyncio.wait_for(waiting.wait('t'), 2) == b'done'


async def test_an_outcome_that_is_too_long_for_a_notice_is_fetched(waiting, store):
    store.known = {'t': None}
    call = asyncio.create_task(waiting.wait('t'))
    await settle()
    store.known['t'] = b'long'
    store.notices.put_nowait(Notice('t'))
    assert await asyncio.wait_for(call, 2) == b'long'


async def test_calls_that_end_leave_nothing_behind(waiting, store):
    store.known = {'t': None}
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting.wait('t'), 0.02)
    await waiting.expect('u')
    waiting.forget('u')
    assert len(waiting) == 0


async def test_one_of_two_calls_may_be_cancelled(waiting, store):
    store.known = {'t': None}
    first, second = [asyncio.create_task(waiting.wait('t')) for _ in range(2)]
    await settle()
    first.cancel()
    await settle()
    store.finish('t', b'done')
    assert await second == b'done'


async def test_where_listening_costs_something_it_ends_when_nobody_waits(store):
    store.leaves_after = 0.05
    waiting = Waiting(store)
    store.known = {'t': b'done'}
    await waiting.wait('t')
    await settle()
    assert store.listeners == 1
    await asyncio.sleep(0.1)
    assert store.listeners == 0
    assert await waiting.wait('t') == b'done'
    await waiting.close()


async def test_closing_tells_those_who_wait(store):
    waiting = Waiting(store)
    store.known = {'t': None}
    call = asyncio.create_task(waiting.wait('t'))
    await settle()
    await waiting.close()
    with pytest.raises(TaskQueueUnavailable):
        await call
    assert store.listeners == 0


async def test_closing_ends_a_subscription_that_loses_its_cancellation(store):
    lost = []

    async def deaf(channel):
        yield Notice()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            lost.append(channel)
            if len(lost) > 1:
                raise
            raise TaskQueueUnavailable('as a client does that connects at the moment') from None

    store.notifications = deaf
    waiting = Waiting(store)
    await waiting.expect('a')
    async with asyncio.timeout(5):
        await waiting.close()
    assert lost
