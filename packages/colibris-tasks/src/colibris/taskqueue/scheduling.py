"""Periodic tasks: each run is sent once, however many workers there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.errors import TaskQueueUnavailable, Unsupported
from colibris.taskqueue.functions import plain_function
from colibris.taskqueue.messages import Message

logger = logging.getLogger(__name__)

F = TypeVar('F', bound=Callable[..., Any])

#: The longest sleep, in seconds: a clock that is set meanwhile is noticed after it.
_LONGEST_SLEEP = 30.0
#: The pause before another try while the queue is away, in seconds.
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function, and when it runs."""

    function: Callable[..., Any]
    cron: str
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime:
        """Return the first time of this schedule after *moment*."""
        return next(CronSim(self.cron, moment.astimezone(self.zone))).astimezone(UTC)


_schedules: dict[tuple[str, str, str], Schedule] = {}


def schedule(cron: str, *, timezone: str = 'UTC') -> Callable[[F], F]:
    """Have a function run at the times that *cron* says, in *timezone*: ``'*/5 * * * *'`` is every five minutes.

    The worker sends it as `enqueue` does, without arguments, and with what `task` says of it. Each run is sent once,
    however many workers there are. What was due while no worker ran is not made up for.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as exc:
        raise ValueError(f'{timezone!r} is no time zone; it is one like "Europe/Berlin"') from exc
    _check_cron(cron, zone)

    def declare(function: F) -> F:
        plain_function(function)
        key = (function.__module__, function.__qualname__, f'{cron} {timezone}')
        _schedules[key] = Schedule(function, cron, zone)
        return function

    return declare


def _check_cron(cron: str, zone: ZoneInfo) -> None:
    if not isinstance(cron, str):
        raise ValueError(f'a cron expression is a text such as "*/5 * * * *", not {cron!r}')
    try:
        next(CronSim(cron, datetime.now(zone)))
    except CronSimError as exc:
        raise ValueError(
            f'{cron!r} is no cron expression: {exc}; it has the fields minute, hour, day, month, day of the week'
        ) from exc
    except StopIteration:
        raise ValueError(f'{cron!r} never comes: no date is like that') from None


def scheduled() -> Sequence[Schedule]:
    """Return what was scheduled by the modules that are imported."""
    return tuple(_schedules.values())


def check_schedules(backend: TaskQueueBackend) -> None:
    """Raise Unsupported if something is scheduled and *backend* does not run it."""
    for item in () if backend.supports_schedule else scheduled():
        raise Unsupported(
            f'schedule is not supported by {type(backend).__name__}, but {item.function.__module__}.'
            f'{item.function.__qualname__} is scheduled; see the table in the guide'
        )


class Scheduler:
    """Sends what is due; one runs in each worker process, and the queue takes each run once.

    The id of a run is derived from the function and the time, so that a second message is known as such.
    """

    def __init__(self, backend: TaskQueueBackend, schedules: Sequence[Schedule]) -> None:
        if not backend.supports_schedule:
            raise Unsupported(f'schedule is not supported by {type(backend).__name__}; see the table in the guide')
        for item in schedules:
            _make_message(item)  # what is wrong with one is told at the start
        self._backend = backend
        self._schedules = schedules

    async def run(self) -> None:
        """Send what is due until cancelled."""
        started = datetime.now(UTC)
        following = {index: item.after(started) for index, item in enumerate(self._schedules)}
        while True:
            now = datetime.now(UTC)
            for index, moment in following.items():
                if moment <= now:
                    await self._send(self._schedules[index], moment)
                    # never a time before one that was sent, even if the clock was set back
                    following[index] = self._schedules[index].after(max(now, moment))
            pause = (min(following.values()) - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(min(max(pause, 0), _LONGEST_SLEEP))

    async def _send(self, item: Schedule, moment: datetime) -> None:
        """Send one run; while the queue is away, until the next one is due."""
        context = self._backend.context
        message = _make_message(item)
        name = f'{message.function} {item.cron} {item.zone.key} {moment.isoformat()}'
        message = replace(message, id=context.codec.derive_id(name))
        data = context.codec.encode(message)
        while True:
            try:
                await self._backend.send(message, data)
                return
            except TaskQueueUnavailable as exc:
                logger.warning('%s could not be sent as scheduled, trying again: %s', message.function, exc)
            if datetime.now(UTC) >= item.after(moment):
                logger.error('%s was not run at %s: the queue was away', message.function, moment.isoformat())
                return
            await asyncio.sleep(_PAUSE)


def _make_message(item: Schedule) -> Message:
    from colibris.taskqueue.sending import Options, make_message

    return make_message(item.function, (), {}, Options())
