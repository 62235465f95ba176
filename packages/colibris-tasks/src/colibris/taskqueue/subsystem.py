"""Background tasks as a subsystem of the application."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import secrets
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colibris import plugins, transactions
from colibris.api import APIException, ServiceUnavailable
from colibris.conf import ImproperlyConfigured, settings
from colibris.measures import Measure
from colibris.subsystems import Subsystem
from colibris.taskqueue.base import Context, TaskQueueBackend
from colibris.taskqueue.errors import TaskQueueError, TaskQueueUnavailable
from colibris.taskqueue.functions import Functions
from colibris.taskqueue.messages import Codec, Message
from colibris.taskqueue.policy import OPTIONS, Policy
from colibris.taskqueue.stats import Stats
from colibris.taskqueue.stats import measures as stats_measures

if TYPE_CHECKING:
    from colibris.taskqueue.handles import Handle

logger = logging.getLogger(__name__)

#: The shortest SECRET_KEY that is accepted outside of DEBUG, in bytes.
_SHORTEST_SECRET = 32
#: How old the numbers for metrics may be, in seconds.
_STATS_PERIOD = 5.0
#: How long the cancellation of a task that nobody waits for any more may take, in seconds.
_CANCELLATION = 5.0


class TaskQueueSubsystem(Subsystem[TaskQueueBackend]):
    """The task queue of the process."""

    name = 'taskqueue'
    setting = 'TASK_QUEUE'
    group = 'colibris.taskqueue'
    base = TaskQueueBackend
    package = 'colibris-tasks'
    requires = ('persist', 'cache', 'template', 'email')

    def __init__(self) -> None:
        super().__init__()
        self._policy: Policy | None = None
        self._testing = ''
        self._background: set[asyncio.Task[Any]] = set()
        #: When the engine was asked for its numbers, and what it said.
        self._stats: tuple[float, Stats] | None = None

    def options(self, value: object) -> Mapping[str, object]:
        return {key: option for key, option in super().options(value).items() if key not in OPTIONS}

    def policy(self) -> Policy:
        """Return the options that all engines share. Raises ImproperlyConfigured."""
        if self._policy is not None:
            return self._policy
        given: Mapping[str, Any] = super().options(settings.TASK_QUEUE)
        try:
            return Policy(**{key: given[key] for key in OPTIONS & given.keys()})
        except (ValueError, TypeError) as exc:
            raise ImproperlyConfigured(f'TASK_QUEUE: {exc}', setting='TASK_QUEUE') from exc

    def configure(self) -> TaskQueueBackend:
        policy = self.policy()
        backend = super().configure()
        if policy.outbox and not backend.supports_outbox:
            raise ImproperlyConfigured(
                f"TASK_QUEUE: 'outbox' is not supported by {type(backend).__name__}", setting='TASK_QUEUE'
            )
        if policy.outbox and not settings.is_set('DATABASE'):
            raise ImproperlyConfigured("TASK_QUEUE: 'outbox' needs a database: set DATABASE", setting='TASK_QUEUE')
        package = settings.PROJECT_PACKAGE_NAME
        codec = Codec(_secret(backend), max_size=policy.max_message_size)
        namespace = f'{self._testing}{package or "colibris"}'
        functions = Functions(package, policy.modules)
        backend.bind(Context(policy, codec, functions, namespace, _base_dir()))
        return backend

    async def open(self) -> None:
        await super().open()
        self._policy = self.backend.context.policy

    async def close(self) -> None:
        if self._background:
            await asyncio.wait(self._background)
        if self._policy is not None and self._policy.outbox:
            from colibris.taskqueue import outbox

            await outbox.close()
        self._policy = self._stats = None
        await super().close()

    def model_modules(self) -> tuple[str, ...]:
        """Return the modules of the tables that the setting asks for: the outbox, and the state of tasks."""
        options = self.options(settings.TASK_QUEUE)
        base: Any = self.base  # it is abstract
        found = plugins.load_backend(self.group, options.get('backend'), base, setting=self.setting)
        outbox = ('colibris.taskqueue.models.outbox',) if self.policy().outbox else ()
        return (*outbox, *found.model_modules(options))

    def translate(self, error: Exception) -> APIException | None:
        return ServiceUnavailable() if isinstance(error, TaskQueueUnavailable) else None

    async def submit(self, message: Message, data: bytes, delay: float, handle: Handle) -> None:
        """Send a task: now, or with the commit of the transaction that is open; *handle* is told."""
        backend = self.backend
        if self.policy().outbox:
            from colibris.taskqueue import outbox

            await outbox.put(backend, message, data, delay, handle)
            return

        async def send() -> None:
            handle.sent(await backend.send(message, data, delay=delay))

        if transactions.hooks.get() is None:
            await send()
        else:
            handle.pending = True
            transactions.on_commit(send)

    def cancel_later(self, task_id: str) -> None:
        """Cancel a task that nobody waits for any more, if it has not started; the caller does not wait for that."""
        if self._backend is None:
            return
        task = asyncio.create_task(self._cancel(self._backend, task_id), name='colibris.taskqueue.cancel')
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    @staticmethod
    async def _cancel(backend: TaskQueueBackend, task_id: str) -> None:
        if not backend.supports_cancel:
            return
        try:
            async with asyncio.timeout(_CANCELLATION):
                await backend.cancel(task_id)
        except (TaskQueueError, TimeoutError) as exc:
            logger.warning('task %s could not be cancelled, it may run: %s', task_id, exc or type(exc).__name__)

    async def measures(self) -> Iterable[Measure]:
        """Tell what the queue holds: asked of the engine every few seconds at most."""
        now = asyncio.get_running_loop().time()
        if self._stats is None or now - self._stats[0] >= _STATS_PERIOD:
            self._stats = now, await self.backend.stats()
        return stats_measures(self._stats[1])

    def beside_worker(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what runs in a worker process beside the tasks: the schedule, and the relay of the outbox."""
        from colibris.taskqueue.scheduling import Scheduler, scheduled

        if scheduled():
            yield Scheduler(self.backend, scheduled()).run()
        if self.policy().outbox:
            from colibris.taskqueue import outbox

            yield outbox.relay(self.backend)

    @asynccontextmanager
    async def test_session(self) -> AsyncIterator[None]:
        """Run tasks at once, in the process of the tests, whatever the setting says."""
        from colibris.taskqueue.immediate import ImmediateBackend

        self.configure()  # what is wrong with the setting is told all the same
        kept = {key: option for key, option in settings.TASK_QUEUE.items() if key in OPTIONS}
        self._testing = f'test_{os.environ.get("PYTEST_XDIST_WORKER", "")}_'
        try:
            with settings.override(TASK_QUEUE={**kept, 'backend': ImmediateBackend}):
                await self.open()
            try:
                yield
            finally:
                await self.close()
        finally:
            self._testing = ''

    @asynccontextmanager
    async def test_case(self, *, isolated: bool = False) -> AsyncIterator[None]:
        await self.backend.clear()
        yield


def _base_dir() -> Path:
    """Return the folder in which the project's package lies; the current one where it is installed."""
    if settings.PROJECT_PACKAGE_DIR is None:
        return Path.cwd()
    folder = Path(settings.PROJECT_PACKAGE_DIR).parent
    return Path.cwd() if folder.name in ('site-packages', 'dist-packages') else folder


@functools.cache
def _own_secret() -> bytes:
    return secrets.token_bytes(_SHORTEST_SECRET)


def _secret(backend: TaskQueueBackend) -> bytes:
    """Return what the keys of signatures are derived from."""
    secret = settings.SECRET_KEY
    if not backend.has_worker:
        return secret.encode() if secret else _own_secret()
    if not secret:
        raise ImproperlyConfigured(
            'SECRET_KEY is not set: TASK_QUEUE signs what it sends to workers with it. Put a random one into the '
            "environment, such as python -c 'import secrets; print(secrets.token_urlsafe(48))' prints",
            setting='SECRET_KEY',
        )
    size = len(secret.encode())
    if size < _SHORTEST_SECRET:
        problem = f'SECRET_KEY has {size} bytes, fewer than {_SHORTEST_SECRET}'
        if not settings.DEBUG:
            raise ImproperlyConfigured(f'{problem}: TASK_QUEUE signs with it', setting='SECRET_KEY')
        logger.warning('%s; that is an error outside of DEBUG', problem)
    return bytes(secret.encode())


subsystem = TaskQueueSubsystem()
