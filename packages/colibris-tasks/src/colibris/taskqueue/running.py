"""Run one message in a worker: check it, call its function in a thread or in the event loop, say how it ended."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from colibris import tracing
from colibris.logs.context import working_for
from colibris.taskqueue.base import Context
from colibris.taskqueue.current import running_task
from colibris.taskqueue.errors import FunctionError, InvalidMessage, TooLarge
from colibris.taskqueue.limits import TimeLimitExceeded, Watchdog
from colibris.taskqueue.messages import Failure, Message, Outcome, Status
from colibris.taskqueue.stores.base import Settlement
from colibris.taskqueue.unawaited import unawaited

logger = logging.getLogger(__name__)

#: The most that is kept of a traceback, in characters: its end, where the error is.
_LONGEST_TRACEBACK = 16_000


#: Where the outermost frames of a traceback lie that say nothing about the task.
_OURS = (__name__, 'concurrent.futures', 'colibris.taskqueue.functions', 'importlib')


class Runner:
    """Runs messages, in the threads that call it; asynchronous functions run in *loop*."""

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop, watchdog: Watchdog) -> None:
        self._context = context
        self._loop = loop
        self._watchdog = watchdog
        self._tasks: set[asyncio.Task[Any]] = set()
        #: How often a task may take its worker down with it.
        self.max_losses = context.policy.max_losses

    def run(self, task_id: str, data: bytes) -> Settlement:
        """Run one try of a task and return how it ended; raises nothing, whatever the function does."""
        try:
            message = self._context.codec.decode(data)
            if message.id != task_id:
                raise InvalidMessage(f'the message of task {task_id} is that of another task')
        except Exception as exc:
            logger.error('task %s is not run: %s', task_id, exc)
            return self.failed(task_id, None, _failure(exc))
        with _working_for(message):
            return self._run(message)

    def _run(self, message: Message) -> Settlement:
        task_id = message.id
        try:
            function = self._context.functions.find(message.function)
        except FunctionError as exc:
            logger.error('task %s is not run: %s', task_id, exc)
            return self.failed(task_id, message, _failure(exc), final=True)
        except BaseException as exc:  # its module cannot be imported
            return self.failed(task_id, message, _failure(exc))
        return self._call(message, function)

    def _call(self, message: Message, function: Callable[..., Any]) -> Settlement:
        attributes: dict[str, str | int] = {'task.id': message.id, 'task.attempt': message.attempt}
        try:
            with tracing.span(f'run {message.function}', kind='consumer', attributes=attributes):
                if inspect.iscoroutinefunction(inspect.unwrap(function)):
                    value = self._call_in_loop(message, function)
                else:
                    value = self._call_here(message, function)
        except BaseException as exc:
            return self.failed(message.id, message, _failure(exc))
        return self._succeeded(message, value)

    def _call_here(self, message: Message, function: Callable[..., Any]) -> Any:
        """Call a synchronous function in this thread; its time limit is raised in it."""
        token = running_task.set(message.id)
        try:
            with unawaited() as forgotten, self._watchdog.watching(message, interrupt=True):
                value = function(*message.args, **message.kwargs)
        finally:
            running_task.reset(token)
        if inspect.iscoroutine(value):
            value.close()
            forgotten.append(value.__qualname__)
        if forgotten:
            raise TypeError(
                f'{message.function} is synchronous but called the asynchronous {forgotten[0]}(), which did nothing, '
                'as nobody awaited it: write the task as "async def" and await the call'
            )
        return value

    def _call_in_loop(self, message: Message, function: Callable[..., Any]) -> Any:
        """Call an asynchronous function in the event loop and wait for it."""

        async def call() -> Any:
            current = asyncio.current_task()
            assert current is not None
            self._tasks.add(current)
            running_task.set(message.id)
            current.add_done_callback(self._tasks.discard)
            try:
                async with asyncio.timeout(message.time_limit) as limit:
                    return await function(*message.args, **message.kwargs)
            except TimeoutError:
                if limit.expired():
                    raise TimeLimitExceeded from None
                raise
            except (SystemExit, KeyboardInterrupt) as exc:  # these would end the event loop
                raise _Ended(exc) from exc

        with self._watchdog.watching(message, interrupt=False):
            return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    async def cancel_all(self) -> None:
        """Cancel the asynchronous tasks that still run; called in the event loop when the worker ends."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self._context.policy.grace)

    def _succeeded(self, message: Message, value: Any) -> Settlement:
        try:
            outcome = self._context.codec.encode_outcome(message.id, Outcome(Status.SUCCEEDED, value))
        except (TypeError, TooLarge) as exc:
            exc.add_note(f'the task {message.function} ran to its end; it is what it returned that cannot be sent')
            return self.failed(message.id, message, _failure(exc), final=True)
        return Settlement(message.id, Status.SUCCEEDED, outcome, unique_key=message.unique_key)

    def failed(self, task_id: str, message: Message | None, failure: Failure, *, final: bool = False) -> Settlement:
        """Return the settlement of a try that failed: another try if there is one left and it is not *final*."""
        if message is not None and not final and message.attempt < message.retries:
            pause = self._pause(message.attempt)
            logger.warning(
                'task %s (%s) failed with %s: %s; try %d of %d, the next in %.1f s',
                *(task_id, message.function, failure.type, failure.message),
                *(message.attempt + 1, message.retries + 1, pause),
            )
            data = self._context.codec.encode(message.next_attempt())
            return Settlement(task_id, Status.DELAYED, message=data, delay=pause)
        name = message.function if message is not None else 'unreadable'
        logger.error('task %s (%s) failed for good: %s: %s', task_id, name, failure.type, failure.message)
        logger.debug('%s', failure.traceback)
        outcome = self._context.codec.encode_outcome(task_id, Outcome(Status.FAILED, None, failure))
        key = message.unique_key if message is not None else None
        return Settlement(task_id, Status.FAILED, outcome, unique_key=key)

    def hung(self, message: Message) -> Settlement:
        """Return the settlement of a try that did not react to the end of its time."""
        failure = Failure(
            'TimeLimitExceeded',
            f'the task ran for longer than its {message.time_limit:g} s and did not react; its worker was ended',
        )
        with _working_for(message):
            return self.failed(message.id, message, failure)

    def lost(self, task_id: str, data: bytes, losses: int) -> Settlement:
        """Return the settlement of a task that took its worker down with it too often."""
        try:
            message = self._context.codec.decode(data)
        except Exception:
            message = None
        failure = Failure('WorkerLost', f'the worker process ended {losses} times while it ran the task')
        return self.failed(task_id, message, failure, final=True)

    def _pause(self, attempt: int) -> float:
        policy = self._context.policy
        pause = min(policy.retry_pause * 2.0 ** min(attempt, 60), policy.longest_retry_pause)
        return pause * random.uniform(0.75, 1.25)


@contextmanager
def _working_for(message: Message) -> Iterator[None]:
    """Let what is logged and traced be that of the request that *message* is sent for."""
    with working_for(message.request_id), tracing.continued(message.trace):
        yield


class _Ended(Exception):
    """Raised in place of what would end the event loop."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(str(error))


def _failure(error: BaseException) -> Failure:
    """Return *error* as text, without the outermost frames, which are ours."""
    if isinstance(error, _Ended):
        error = error.error
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get('__name__', '').startswith(_OURS):
        trace = trace.tb_next
    text = ''.join(traceback.format_exception(type(error), error, trace))
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == 'builtins' else f'{kind.__module__}.{kind.__qualname__}'
    return Failure(name, _text(error), _clean(text[-_LONGEST_TRACEBACK:]))


def _text(error: BaseException) -> str:
    try:
        return _clean(str(error))[:_LONGEST_TRACEBACK]
    except Exception as exc:
        return f'(its text cannot be had: {type(exc).__name__})'


def _clean(text: str) -> str:
    """Return *text* as valid Unicode, which all text that travels must be."""
    return text.encode('utf-8', 'backslashreplace').decode('utf-8')
