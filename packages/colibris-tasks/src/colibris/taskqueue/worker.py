"""A worker process: the project loaded as the server loads it, its subsystems open, and the engine at work."""

from __future__ import annotations

import asyncio
import logging
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from colibris import subsystems
from colibris.conf import settings
from colibris.taskqueue import unawaited
from colibris.taskqueue.cancelling import cancel
from colibris.taskqueue.stuck import ending_when_stuck

if TYPE_CHECKING:
    from colibris.server.serving import Stop

logger = logging.getLogger(__name__)


class WorkerProcess(ABC):
    """Runs tasks in this process."""

    @abstractmethod
    async def start(self) -> None:
        """Begin to take tasks. Raises TaskQueueUnavailable if that cannot be done."""

    @abstractmethod
    async def stop(self) -> None:
        """Take nothing more; finish what runs within ``policy.shutdown_timeout``, and put back what does not."""

    @property
    def is_busy(self) -> bool:
        """Whether something still runs after `stop`, in a thread that cannot be ended."""
        return False


def import_project(modules: Sequence[str]) -> None:
    """Import what the server does, and what may declare tasks: the project's tasks, *modules*, and what lies below."""
    for subsystem in subsystems.configured():
        subsystem.prepare()
    package = settings.PROJECT_PACKAGE_NAME
    for name in (f'{package}.app', f'{package}.routes'):
        if find_spec(name) is not None:
            import_module(name)
    for name in (f'{package}.tasks', *modules):
        if find_spec(name) is None:
            continue
        module = import_module(name)
        for found in pkgutil.walk_packages(getattr(module, '__path__', ()), f'{name}.'):
            import_module(found.name)


async def work(stop: Stop, *, threads: int, queues: Sequence[str], on_working: Callable[[], None]) -> bool:
    """Run tasks until *stop* is requested; *on_working* is called once they are taken.

    Returns False if something still runs that cannot be ended, so that the process must end without waiting for it.
    """
    from colibris.taskqueue.subsystem import subsystem

    policy = subsystem.policy()
    import_project(policy.modules)
    unawaited.install()
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(ending_when_stuck(2 * policy.worker_timeout + policy.grace))
            await stack.enter_async_context(subsystems.running())
            worker = subsystem.backend.make_worker(threads=threads, queues=queues)
            await worker.start()
            stack.push_async_callback(worker.stop)
            for background in subsystem.beside_worker():
                running = asyncio.create_task(background)
                stack.push_async_callback(cancel, running)
            stop.started()
            on_working()
            await stop.wait()
            logger.info('stopping: nothing more is taken')
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
        stop.started()
        return True
    return not worker.is_busy
