"""From a call to a message: what `execute` and `enqueue` do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from colibris import tracing
from colibris.logs.context import current_request_id
from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.errors import TimeoutException, Unsupported
from colibris.taskqueue.functions import options_of
from colibris.taskqueue.handles import Handle, seconds_of, value_of
from colibris.taskqueue.messages import Message, Outcome
from colibris.taskqueue.subsystem import subsystem

#: The longest delay, in seconds: what all engines can count.
_LONGEST_DELAY = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Options:
    """What `enqueue` is told beside the function and its arguments."""

    delay: float | timedelta = 0
    queue: str | None = None
    retries: int | None = None
    unique_key: str | None = None

    @property
    def seconds(self) -> float:
        """The delay in seconds."""
        seconds = self.delay.total_seconds() if isinstance(self.delay, timedelta) else self.delay
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise TypeError(f'delay must be a number of seconds or a timedelta, not {self.delay!r}')
        if not 0 <= seconds <= _LONGEST_DELAY:
            raise ValueError(f'delay must lie between 0 and {_LONGEST_DELAY:.0f} seconds (a year), not {self.delay!r}')
        return float(seconds)


async def execute(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], limit: float | None
) -> Any:
    """Run *function* in a worker and return what it returns; see `colibris.taskqueue.execute`."""
    backend, policy = subsystem.backend, subsystem.policy()
    limit = policy.result_timeout if limit is None else seconds_of(limit)
    with _span('execute', function):
        message = make_message(function, args, kwargs, Options(retries=0))
        data = backend.context.codec.encode(message)
        outcome = await _outcome(backend, message, data, limit)
    return value_of(message.id, outcome)


async def _outcome(backend: TaskQueueBackend, message: Message, data: bytes, limit: float) -> Outcome:
    try:
        async with asyncio.timeout(limit) as scope:
            return await backend.wait(await backend.send(message, data, awaited=True))
    except TimeoutError:
        if not scope.expired():
            raise
        subsystem.cancel_later(message.id)
        raise TimeoutException(limit) from None
    except asyncio.CancelledError:
        subsystem.cancel_later(message.id)
        raise


async def enqueue(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: Options
) -> Handle:
    """Send *function* to a worker; see `colibris.taskqueue.enqueue`."""
    backend = subsystem.backend
    delay = options.seconds
    _check_supported(backend, options, delay)
    with _span('enqueue', function):
        message = make_message(function, args, kwargs, options)
        handle = Handle(backend, message.id, subsystem.policy())
        await subsystem.submit(message, backend.context.codec.encode(message), delay, handle)
    return handle


def _span(what: str, function: Callable[..., Any]) -> AbstractContextManager[object]:
    """Return the block in which a task is sent, which runs for the same trace."""
    if not tracing.is_on():
        return nullcontext()
    name = subsystem.backend.context.functions.name_of(function)
    return tracing.span(f'{what} {name}', kind='producer')


def make_message(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], options: Options
) -> Message:
    """Return the message that has *function* run. Raises FunctionError for one that cannot be a task."""
    context = subsystem.backend.context
    policy, own = context.policy, options_of(function)
    queue = next(name for name in (options.queue, own.queue, policy.queues[0]) if name is not None)
    if queue not in policy.queues:
        said = '' if options.queue is not None else f', which is that of {context.functions.name_of(function)}'
        known = ', '.join(map(repr, policy.queues))
        raise ValueError(f"there is no queue {queue!r}{said}: 'queues' in TASK_QUEUE lists {known}")
    retries = next(value for value in (options.retries, own.retries, policy.retries) if value is not None)
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ValueError(f'retries must be an integer from 0 on, not {retries!r}')
    key = options.unique_key
    if key is not None and (not isinstance(key, str) or not key or not _is_unicode(key)):
        raise ValueError(f'unique_key must be a text that is not empty, and valid Unicode, not {key!r}')
    return Message(
        function=context.functions.name_of(function),
        args=args,
        kwargs=kwargs,
        queue=queue,
        retries=retries,
        time_limit=own.time_limit if own.limited else policy.time_limit,
        unique_key=key,
        request_id=current_request_id(),
        trace=tracing.carrier(),
    )


def _check_supported(backend: TaskQueueBackend, options: Options, delay: float) -> None:
    asked = (
        ('delay', delay > 0, backend.supports_delay),
        ('retries', bool(options.retries), backend.supports_retries),
        ('unique_key', options.unique_key is not None, backend.supports_unique),
    )
    for name, wanted, supported in asked:
        if wanted and not supported:
            raise Unsupported(f'{name} is not supported by {type(backend).__name__}; see the table in the guide')


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
