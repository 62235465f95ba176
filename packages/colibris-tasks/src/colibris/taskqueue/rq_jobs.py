"""What lies between us and RQ: no pickle, no function but ours, and one way to run a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from rq.job import Job
from rq.timeouts import JobTimeoutException

from colibris import serialization, subsystems
from colibris.commands.context import run_async
from colibris.taskqueue.base import Context
from colibris.taskqueue.errors import InvalidMessage
from colibris.taskqueue.limits import TimeLimitExceeded, Watchdog
from colibris.taskqueue.messages import Message
from colibris.taskqueue.running import Runner

#: The only function that a job may name; it is never looked up.
FUNCTION = 'colibris.taskqueue.rq.run'

#: What is taken of a job that Redis holds. Callbacks, webhooks, dependencies and repetitions are not ours: by them, who
#: can write to Redis could have the worker call what it likes.
_KNOWN = frozenset(
    {
        *(b'data', b'created_at', b'origin', b'worker_name', b'description', b'enqueued_at', b'started_at'),
        *(b'ended_at', b'last_heartbeat', b'timeout', b'result_ttl', b'failure_ttl', b'ttl', b'status', b'exc_info'),
    }
)

Run = Callable[[str, bytes], bytes]


class Serializer:
    """Writes what jobs hold by `colibris.serialization`."""

    @staticmethod
    def dumps(value: object) -> bytes:
        """Return *value* as bytes."""
        return serialization.dumps(value)

    @staticmethod
    def loads(data: bytes) -> Any:
        """Return the value that `dumps` made *data* of."""
        return serialization.loads(data)


class TaskJob(Job):
    """A job that holds one of our messages and can run nothing else."""

    run: ClassVar[Run | None] = None

    def restore(self, raw_data: Any) -> Any:
        """Take what is ours of what Redis holds."""
        return super().restore({key: value for key, value in raw_data.items() if key in _KNOWN})

    @property
    def message(self) -> bytes:
        """The encoded message. Raises InvalidMessage for a job of somebody else."""
        if self.func_name != FUNCTION or len(self.args) != 1 or not isinstance(self.args[0], bytes):
            raise InvalidMessage(f'job {self.id} was not made by this project')
        data: bytes = self.args[0]
        return data

    def _execute(self) -> Any:
        run = type(self).run
        if run is None:
            raise RuntimeError('this process runs no tasks')
        return run(self.id, self.message)


class _Watched(Watchdog):
    """Leaves time limits to RQ, which knows the end of each job."""

    @contextmanager
    def watching(self, message: Message, *, interrupt: bool) -> Iterator[None]:
        yield


class JobRunner(Runner):
    """Runs messages in the process that RQ makes for each job."""

    def __init__(self, context: Context) -> None:
        loop = asyncio.new_event_loop()
        loop.close()  # each asynchronous task has one of its own
        super().__init__(context, loop, _Watched(0, lambda message: None))

    def outcome(self, task_id: str, data: bytes) -> bytes:
        """Run a message and return its outcome, encoded."""
        settlement = self.run(task_id, data)
        assert settlement.outcome is not None  # there are no retries, `RQBackend` refuses them
        return settlement.outcome

    def _call_here(self, message: Message, function: Callable[..., Any]) -> Any:
        try:
            return super()._call_here(message, function)
        except JobTimeoutException:
            raise TimeLimitExceeded from None

    def _call_in_loop(self, message: Message, function: Callable[..., Any]) -> Any:
        """Call an asynchronous function with the subsystems of the project open."""

        async def call() -> Any:
            async with subsystems.running():
                try:
                    async with asyncio.timeout(message.time_limit) as limit:
                        return await function(*message.args, **message.kwargs)
                except TimeoutError:
                    if limit.expired():
                        raise TimeLimitExceeded from None
                    raise

        try:
            return run_async(call())
        except JobTimeoutException:
            raise TimeLimitExceeded from None


def job_class(run: Run) -> type[TaskJob]:
    """Return the class of jobs that are run by *run*."""
    return type('TaskJob', (TaskJob,), {'run': staticmethod(run)})
