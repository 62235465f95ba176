"""What the parts of the suite share: an engine with its context, a worker, and how tasks are sent and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from colibris.taskqueue import unawaited
from colibris.taskqueue.base import Context, TaskQueueBackend
from colibris.taskqueue.functions import Functions
from colibris.taskqueue.messages import Codec, Failure, Message, Outcome, Status, new_id
from colibris.taskqueue.policy import Policy
from colibris.taskqueue.testing.jobs import PATIENCE, let_go, notes, reset

SECRET = b'the secret of the tests of task queues'


def make_context(namespace: str, **changes: Any) -> Context:
    """Return a context whose tasks are the suite's, with short times."""
    options: dict[str, Any] = {
        'queues': ('default', 'other'),
        'retry_pause': 0.05,
        'longest_retry_pause': 0.2,
        'worker_timeout': 2.0,
        'shutdown_timeout': 2.0,
        'grace': 5.0,
        'max_message_size': 100_000,
        **changes,
    }
    policy = Policy(**options)
    codec = Codec(SECRET, max_size=policy.max_message_size)
    return Context(policy, codec, Functions(None, [__package__]), namespace, Path.cwd())


async def eventually(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Wait until *condition* returns something true, and return that."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await condition()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


class Suite:
    """Base of the parts."""

    @pytest.fixture
    def backend(self) -> TaskQueueBackend:
        """Return an engine that is not open yet, whose namespace nobody else uses."""
        raise NotImplementedError('define the fixture "backend" in your subclass')

    @pytest.fixture
    def context(self) -> Context:
        """Return what the engine is bound to."""
        return make_context(f'suite_{new_id()}')

    @pytest.fixture
    async def opened(self, backend: TaskQueueBackend, context: Context) -> AsyncIterator[TaskQueueBackend]:
        """Return the engine, open and empty."""
        reset()
        backend.bind(context)
        await backend.open()
        try:
            yield backend
        finally:
            let_go()
            await backend.clear()
            await backend.close()

    @asynccontextmanager
    async def working(self, backend: TaskQueueBackend, *, threads: int = 4) -> AsyncIterator[None]:
        """Have a worker run in the block."""
        if not backend.has_worker:
            yield
            return
        unawaited.install()
        worker = backend.make_worker(threads=threads, queues=backend.context.policy.queues)
        await worker.start()
        try:
            yield
        finally:
            await worker.stop()

    @pytest.fixture
    async def worked(self, opened: TaskQueueBackend) -> AsyncIterator[TaskQueueBackend]:
        """Return the engine, open and with a worker."""
        async with self.working(opened):
            yield opened

    async def send(
        self,
        backend: TaskQueueBackend,
        function: Callable[..., Any],
        *args: Any,
        delay: float = 0,
        awaited: bool = False,
        kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> str:
        """Send a task and return its id."""
        name = backend.context.functions.name_of(function)
        message = Message(function=name, args=args, kwargs=kwargs or {}, **options)
        return await backend.send(message, backend.context.codec.encode(message), delay=delay, awaited=awaited)

    async def outcome(self, backend: TaskQueueBackend, task_id: str) -> Outcome:
        """Wait for the end of a task."""
        async with asyncio.timeout(PATIENCE):
            return await backend.wait(task_id)

    async def run(self, backend: TaskQueueBackend, function: Callable[..., Any], *args: Any, **options: Any) -> Outcome:
        """Send a task and wait for its end."""
        return await self.outcome(backend, await self.send(backend, function, *args, awaited=True, **options))

    async def failure(
        self, backend: TaskQueueBackend, function: Callable[..., Any], *args: Any, **options: Any
    ) -> Failure:
        """Send a task that fails, and return how."""
        outcome = await self.run(backend, function, *args, **options)
        assert outcome.status is Status.FAILED
        assert outcome.failure is not None
        return outcome.failure

    async def is_running(self, backend: TaskQueueBackend, task_id: str) -> bool:
        """Tell whether a worker has begun with a task whose function is `hold`; one that was taken only can go back."""
        return await backend.status(task_id) is Status.RUNNING and 'held' in notes

    @staticmethod
    def needs(supported: bool) -> None:
        """Skip a test unless the engine supports what it is about."""
        if not supported:
            pytest.skip('the engine does not support this')
