"""One process that is kept running, with plain programs in the place of servers."""

import asyncio
import contextlib
import logging

import pytest

from colibris.server import keeper as module
from colibris.server.children import Child, Terms
from colibris.server.keeper import Keeper
from colibris.server.recycling import reason_to_replace, resident_memory
from colibris.server.serving import Shutdown


class Programs:
    """Starts what it is given, one after the other, the last one again and again; an error is raised instead."""

    def __init__(self, *programs):
        self.programs = list(programs)
        self.started = []

    async def __call__(self):
        program = self.programs.pop(0) if len(self.programs) > 1 else self.programs[0]
        if isinstance(program, Exception):
            raise program
        child = Child(await asyncio.create_subprocess_exec(*program.split()))
        self.started.append(child)
        return child


@pytest.fixture
async def keep(monkeypatch):
    """Keep a process of `Programs` running: ``keeper, programs = await keep('sleep 60', …)``."""
    monkeypatch.setattr(module, 'FIRST_PAUSE', 0.02)
    keepers = []

    async def begin(*programs):
        starting = Programs(*programs)
        keeper = Keeper('worker 1', starting)
        keepers.append((keeper, asyncio.create_task(keeper.keep())))
        await until(lambda: starting.started)
        return keeper, starting, keepers[-1][1]

    yield begin
    for keeper, task in keepers:
        keeper.stop()
        keeper.kill()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_cannot_be_started_is_tried_again(keep, caplog):
    error = OSError('no memory')
    keeper, _, _ = await keep(error, error, 'sleep 60')
    await until(lambda: keeper.is_up)
    assert caplog.text.count('worker 1 cannot be started: no memory; it is started again') == 2


async def test_a_successor_takes_the_place_before_the_other_ends(keep):
    keeper, programs, task = await keep('sleep 60')
    old = keeper.child
    successor = await keeper.successor()
    assert not old.has_ended
    keeper.replace(successor)
    await until(lambda: old.has_ended)
    assert keeper.child is successor
    assert len(programs.started) == 2
    assert not task.done()


async def test_a_successor_that_dies_is_started_again(keep):
    keeper, programs, _ = await keep('sleep 60')
    keeper.replace(await keeper.successor())
    keeper.child.signal(9)
    await until(lambda: len(programs.started) == 3 and keeper.is_up)


async def test_a_successor_that_cannot_be_started_changes_nothing(keep, caplog):
    keeper, _, _ = await keep('sleep 60', OSError('no memory'), 'sleep 60')
    old = keeper.child
    assert await keeper.successor() is None
    assert keeper.child is old
    assert 'worker 1: its successor cannot be started: no memory' in caplog.text


async def test_the_pause_grows_while_it_dies_young(keep, caplog):
    caplog.set_level(logging.ERROR)
    await keep('false')
    await until(lambda: 'in 0.2 seconds' in caplog.text)


async def test_one_that_ends_by_the_signal_that_it_was_sent_ended_well(keep):
    keeper, _, task = await keep('sleep 60')
    keeper.stop()
    assert await task == 0


class TestReasons:
    async def reason(self, pid=1, *, age, jitter=1.0, **terms):
        return await reason_to_replace(pid, age=age, jitter=jitter, terms=Terms(Shutdown(), **terms))

    async def test_age(self):
        assert await self.reason(age=10**9) is None
        assert await self.reason(age=59, max_age=60) is None
        assert 'it is 60 seconds old' in await self.reason(age=60, max_age=60)
        assert await self.reason(age=50, jitter=0.8, max_age=60)

    async def test_memory(self):
        process = await asyncio.create_subprocess_exec('sleep', '60')
        await asyncio.sleep(0.5)  # it has loaded itself by then
        memory = await resident_memory(process.pid)
        assert 10_000 < memory < 100_000_000
        assert await self.reason(process.pid, age=60, max_memory=memory * 2) is None
        assert 'bytes of memory' in await self.reason(process.pid, age=60, max_memory=memory // 2)
        assert await self.reason(process.pid, age=1, max_memory=1) is None  # its successor would be as big
        process.kill()
        await process.wait()
        assert await resident_memory(process.pid) is None
