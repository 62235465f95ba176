"""``runworker`` and ``tasks``: run the tasks of the project, and look after them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from colibris.commands.context import CommandError, project_command, run_async
from colibris.commands.table import print_table

if TYPE_CHECKING:
    from colibris.server.children import Inheritance
    from colibris.server.serving import Stop
    from colibris.taskqueue.base import TaskQueueBackend
    from colibris.taskqueue.stats import TaskInfo

#: How soon dramatiq connects again after an outage, in milliseconds, unless the environment says otherwise.
_RECONNECT = '500'


@click.command()
@click.option('--processes', type=click.IntRange(1), default=1, show_default=True, help='Work with so many processes.')
@click.option(
    '--threads', type=click.IntRange(1), default=8, show_default=True, help='Tasks at a time in each of them.'
)
@click.option('--queues', metavar='NAMES', help='Serve these queues alone, separated by commas, instead of all.')
@project_command
def runworker(processes: int, threads: int, queues: str | None) -> None:
    """Run the tasks that the service sends to the background."""
    from colibris.conf import settings
    from colibris.server.children import Inheritance

    os.environ.setdefault('dramatiq_restart_delay', _RECONNECT)
    chosen = _queues(queues)
    inheritance = Inheritance.take()
    if inheritance is not None:
        _work_as_child(inheritance, threads, chosen)
        return

    def announce() -> None:
        names = ', '.join(chosen) or 'all queues'
        by = f'{processes} processes' if processes > 1 else '1 process'
        click.echo(f'Working for {settings.PROJECT_PACKAGE_NAME} on {names}: {by} of {threads} (Ctrl-C stops it).')

    sys.exit(asyncio.run(_supervise(processes, announce)))


def _queues(names: str | None) -> Sequence[str]:
    from colibris.conf import settings
    from colibris.taskqueue.subsystem import subsystem

    if not settings.is_set(subsystem.setting):
        raise CommandError('there is nothing to work on: set TASK_QUEUE in settings.py')
    backend = subsystem.configure()  # what is wrong with the setting is told once, not by each process
    if not backend.has_worker:
        raise CommandError(
            f'{type(backend).__name__} runs tasks where they are sent from: there is no work for a worker'
        )
    there = subsystem.policy().queues
    chosen = [name.strip() for name in (names or '').split(',') if name.strip()]
    for name in chosen:
        if name not in there:
            raise CommandError(f"there is no queue {name!r}: 'queues' in TASK_QUEUE lists {', '.join(there)}")
    return chosen


async def _supervise(processes: int, announce: Callable[[], None]) -> int:
    from colibris.server.serving import Shutdown
    from colibris.server.supervisor import Supervisor
    from colibris.taskqueue.subsystem import subsystem

    policy = subsystem.policy()
    shutdown = Shutdown(limit=policy.shutdown_timeout + policy.grace)
    return await Supervisor([], workers=processes, shutdown=shutdown).run(announce)


def _work_as_child(inheritance: Inheritance, threads: int, queues: Sequence[str]) -> None:
    """Work as a process of a supervisor; it ends when the supervisor does."""
    from colibris.server.serving import Stop
    from colibris.taskqueue.scheduling import check_schedules
    from colibris.taskqueue.subsystem import subsystem
    from colibris.taskqueue.worker import import_project, work

    backend = subsystem.configure()
    chosen = queues or subsystem.policy().queues
    if backend.owns_worker:
        threading.Thread(target=_end_with_parent, args=[inheritance.line], daemon=True).start()
        import_project(subsystem.policy().modules)
        check_schedules(backend)
        backend.run_worker(chosen, inheritance.tell_ready)
        return

    async def main() -> bool:
        stop = Stop(again=lambda number: None)  # the supervisor knows what a further signal means
        asyncio.get_running_loop().add_reader(inheritance.line, _parent_ended, inheritance.line, stop)
        return await work(stop, threads=threads, queues=chosen, on_working=inheritance.tell_ready)

    if not run_async(main()):
        logging.shutdown()
        os._exit(0)  # a thread still runs a task that was put back: nothing waits for it


def _end_with_parent(line: socket.socket) -> None:
    line.recv(1)  # nothing ever comes; it returns when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)


def _parent_ended(line: socket.socket, stop: Stop) -> None:
    asyncio.get_running_loop().remove_reader(line)
    stop.request()


@click.group()
def tasks() -> None:
    """Look after background tasks: those that failed for good, and the queues."""


async def _run(action: Callable[[TaskQueueBackend], Awaitable[None]]) -> None:
    """Run *action* with the task queue of the project, and with what it needs."""
    from colibris import subsystems
    from colibris.taskqueue.subsystem import subsystem

    for found in subsystems.configured():
        found.prepare()
    async with subsystems.running():
        await action(subsystem.backend)


@tasks.command('list')
@click.option('--limit', type=click.IntRange(1), default=50, show_default=True, help='Show so many at the most.')
@project_command
async def list_tasks(limit: int) -> None:
    """List the tasks that failed for good, the newest first."""

    async def show(backend: TaskQueueBackend) -> None:
        found = await backend.dead_letters(limit=limit)
        if not found:
            click.echo('No task has failed for good.')
            return
        rows = [(info.id, _moment(info.finished), info.function or '(unreadable)', _error(info)) for info in found]
        print_table(('ID', 'FAILED', 'FUNCTION', 'ERROR'), rows)

    await _run(show)


@tasks.command()
@click.argument('task_id')
@project_command
async def show(task_id: str) -> None:
    """Show what is known of a task."""

    async def show(backend: TaskQueueBackend) -> None:
        info = await backend.info(task_id)
        if info is None:
            raise CommandError(f'nothing is known of task {task_id}')
        click.echo(f'id:        {info.id}\nfunction:  {info.function or "(not kept, or unreadable)"}')
        click.echo(f'queue:     {info.queue}\nstatus:    {info.status}\ncreated:   {_moment(info.created)}')
        if info.finished is not None:
            click.echo(f'finished:  {_moment(info.finished)}')
        if info.attempt:
            click.echo(f'retries:   {info.attempt}')
        if info.failure is not None:
            click.echo(f'error:     {_error(info)}\n\n{info.failure.traceback}')

    await _run(show)


_NOT_DEAD = 'it is not among those that failed for good'


@tasks.command()
@click.argument('task_ids', nargs=-1, metavar='[ID]...')
@click.option('--all', 'everything', is_flag=True, help='Queue all of them again.')
@project_command
async def retry(task_ids: Sequence[str], everything: bool) -> None:
    """Queue tasks again that failed for good."""
    if bool(task_ids) == everything:
        raise click.UsageError('give the ids of tasks, or --all')

    async def again(backend: TaskQueueBackend) -> None:
        ids = await _all_dead(backend) if everything else [*dict.fromkeys(task_ids)]
        refused = {task_id: reason for task_id in ids if (reason := await _retry(backend, task_id))}
        click.echo(f'{_count(len(ids) - len(refused))} queued again.')
        if refused:
            raise CommandError('; '.join(f'{task_id}: {reason}' for task_id, reason in refused.items()))

    await _run(again)


async def _retry(backend: TaskQueueBackend, task_id: str) -> str:
    """Queue a task again; return why that cannot be, '' if it can."""
    from colibris.taskqueue.errors import InvalidMessage

    try:
        return '' if await backend.retry_dead(task_id) else _NOT_DEAD
    except InvalidMessage as exc:
        return str(exc)


async def _all_dead(backend: TaskQueueBackend) -> list[str]:
    found: list[str] = []
    while page := await backend.dead_letters(limit=500, offset=len(found)):
        found += [info.id for info in page]
    return found


@tasks.command()
@click.argument('task_ids', nargs=-1, metavar='[ID]...')
@click.option('--all', 'everything', is_flag=True, help='Forget all of them.')
@project_command
async def purge(task_ids: Sequence[str], everything: bool) -> None:
    """Forget tasks that failed for good."""
    if bool(task_ids) == everything:
        raise click.UsageError('give the ids of tasks, or --all')

    async def forget(backend: TaskQueueBackend) -> None:
        if everything:
            click.echo(f'{_count(await backend.purge_dead())} forgotten.')
            return
        ids = [*dict.fromkeys(task_ids)]
        unknown = [task_id for task_id in ids if not await backend.purge_dead([task_id])]
        click.echo(f'{_count(len(ids) - len(unknown))} forgotten.')
        if unknown:
            raise CommandError('; '.join(f'{task_id}: {_NOT_DEAD}' for task_id in unknown))

    await _run(forget)


@tasks.command()
@project_command
async def stats() -> None:
    """Show the queues and the workers."""

    async def show(backend: TaskQueueBackend) -> None:
        found = await backend.stats()
        rows = [(queue.name, str(queue.length), _age(queue.oldest)) for queue in found.queues]
        print_table(('QUEUE', 'WAITING', 'OLDEST'), rows)
        click.echo(f'\ndelayed: {found.delayed}   running: {found.running}   failed for good: {found.dead}\n')
        if not found.workers:
            click.echo('No worker is alive: manage.py runworker starts one.')
            return
        workers = [
            (f'{worker.host} {worker.pid}', str(worker.threads), ', '.join(worker.queues), _age(worker.seen))
            for worker in found.workers
        ]
        print_table(('WORKER', 'THREADS', 'QUEUES', 'SEEN'), workers)

    await _run(show)


def _count(number: int) -> str:
    return f'{number} task' if number == 1 else f'{number} tasks'


def _moment(seconds: float | None) -> str:
    return '' if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(' ', 'seconds')


def _age(seconds: float | None) -> str:
    return '-' if seconds is None else f'{seconds:.1f} s'


def _error(info: TaskInfo) -> str:
    if info.failure is None:
        return ''
    message = ' '.join(info.failure.message.split())
    return f'{info.failure.type}: {message}' if message else info.failure.type
