"""Periodic tasks: when they are due, and that each run is sent once."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from colibris.taskqueue import scheduling as module
from colibris.taskqueue import testing
from colibris.taskqueue.errors import FunctionError, NotAllowed, TaskQueueUnavailable, Unsupported
from colibris.taskqueue.immediate import ImmediateBackend
from colibris.taskqueue.scheduling import Schedule, Scheduler, check_schedules, schedule, scheduled


@pytest.fixture(autouse=True)
def none_scheduled(monkeypatch):
    monkeypatch.setattr(module, '_schedules', {})


@pytest.fixture
def engine(opened, monkeypatch):
    """An engine that supports schedules and keeps what it is sent."""
    monkeypatch.setattr(ImmediateBackend, 'supports_schedule', True)
    return opened


def second(function=testing.note, cron='* * * * * *', zone='UTC'):
    return Schedule(function, cron, ZoneInfo(zone))


async def run(scheduler, seconds):
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await scheduler.run()


def test_a_function_is_declared_and_stays_one():
    assert schedule('*/5 * * * *')(testing.add) is testing.add
    (item,) = scheduled()
    assert (item.function, item.cron, item.zone.key) == (testing.add, '*/5 * * * *', 'UTC')


def test_several_times_for_one_function():
    schedule('0 4 * * *')(schedule('0 5 * * *')(testing.add))
    assert len(scheduled()) == 2


@pytest.mark.parametrize('cron', ['', 'daily', '61 * * * *', '* * * *', '0 0 31 2 x', '0 0 31 2 *'])
def test_what_is_no_expression_is_refused(cron):
    with pytest.raises(ValueError, match='no cron expression'):
        schedule(cron)


@pytest.mark.parametrize('cron', [5, None, b'* * * * *'])
def test_what_is_no_text_is_refused(cron):
    with pytest.raises(ValueError, match='cron expression is a text'):
        schedule(cron)


def test_a_time_that_never_comes_is_refused():
    with pytest.raises(ValueError, match='never comes'):
        schedule('0 0 */31 * 1#5')  # the first of a month, and its fifth Monday


@pytest.mark.parametrize('zone', ['Mars/Olympus', '', 'Europe', '../UTC', 5, None])
def test_what_is_no_time_zone_is_refused(zone):
    with pytest.raises(ValueError, match='no time zone'):
        schedule('* * * * *', timezone=zone)


@pytest.mark.parametrize('function', [lambda: None, testing.add.__call__, int, None])
def test_what_cannot_be_a_task_is_not_scheduled(function):
    with pytest.raises(FunctionError):
        schedule('* * * * *')(function)
    assert not scheduled()


async def test_what_may_not_be_a_task_is_told_at_the_start(engine):
    async def elsewhere():
        pass

    elsewhere.__module__, elsewhere.__qualname__ = 'elsewhere', 'elsewhere'
    with pytest.raises(NotAllowed, match=r'elsewhere\.elsewhere may not be run'):
        Scheduler(engine, [second(elsewhere)])


@pytest.mark.parametrize(
    ('cron', 'zone', 'now', 'due'),
    [
        ('*/5 * * * *', 'UTC', '2026-01-01T00:00:00', '2026-01-01T00:05:00'),
        ('*/5 * * * *', 'UTC', '2026-01-01T00:04:59', '2026-01-01T00:05:00'),
        ('30 4 * * *', 'Europe/Berlin', '2026-01-01T00:00:00', '2026-01-01T03:30:00'),
        ('30 4 * * *', 'Europe/Berlin', '2026-07-01T00:00:00', '2026-07-01T02:30:00'),
        ('30 2 * * *', 'Europe/Berlin', '2026-03-29T00:00:00', '2026-03-29T01:00:00'),  # an hour that is left out
    ],
)
def test_times_are_those_of_the_zone(cron, zone, now, due):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert second(cron=cron, zone=zone).after(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


async def test_several_schedulers_send_each_run_once(engine):
    engine.hold()
    item = second()
    await asyncio.gather(*(run(Scheduler(engine, [item]), 2.5) for _ in range(3)))
    assert len(engine.sent) == len({message.id for message in engine.sent})
    assert 2 <= len(engine.sent) <= 3


async def test_runs_of_different_functions_are_different_tasks(engine):
    engine.hold()
    await run(Scheduler(engine, [second(), second(testing.add)]), 1.5)
    assert {message.function.partition(':')[2] for message in engine.sent} == {'note', 'add'}


async def test_an_engine_without_schedules_says_so(opened):
    with pytest.raises(Unsupported, match='schedule is not supported by ImmediateBackend'):
        Scheduler(opened, [second()])


async def test_a_run_is_sent_when_the_queue_is_back(engine, monkeypatch):
    sent = []

    async def send(message, data, **options):
        sent.append(message.id)
        if len(sent) < 2:
            raise TaskQueueUnavailable('away')

    monkeypatch.setattr(engine, 'send', send)
    monkeypatch.setattr(module, '_PAUSE', 0.05)
    await run(Scheduler(engine, [second()]), 1.4)
    assert len(sent) >= 2
    assert sent[0] == sent[1]


async def test_a_clock_that_is_set_back_repeats_nothing(engine, monkeypatch):
    engine.hold()
    real, begun, back = datetime, asyncio.get_running_loop().time(), []

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            if asyncio.get_running_loop().time() - begun > 1.5:
                back.append(True)
                return real.fromtimestamp(real.now(tz).timestamp() - 5, tz)
            return real.now(tz)

    monkeypatch.setattr(module, 'datetime', Clock)
    await run(Scheduler(engine, [second()]), 3)
    assert back
    assert 1 <= len(engine.sent) <= 2


def test_an_engine_that_runs_nothing_scheduled_says_what_it_would_leave_out(opened):
    check_schedules(opened)
    schedule('* * * * *')(testing.add)
    with pytest.raises(Unsupported, match=r'not supported by ImmediateBackend, but colibris\.taskqueue.*\.add is'):
        check_schedules(opened)
