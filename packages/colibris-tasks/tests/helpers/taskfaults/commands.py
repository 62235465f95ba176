"""A service that waits for tasks, to be killed."""

import asyncio
import os

import click

from colibris import persist, subsystems, taskqueue
from colibris.commands import project_command
from taskfaults import tasks


@click.command()
@click.argument('file')
@click.argument('count', type=int)
@project_command
async def call(file, count):
    """Wait for so many tasks at once."""
    async with subsystems.running():
        calls = [asyncio.create_task(taskqueue.execute(tasks.note_slowly, file, n, 0.5)) for n in range(count)]
        await asyncio.sleep(0.5)
        click.echo('waiting')
        await asyncio.gather(*calls)


@click.command()
@click.argument('file')
@click.argument('count', type=int)
@project_command
async def commit_and_die(file, count):
    """Enqueue so many tasks in one transaction, and die right after its commit."""
    async with subsystems.running():
        async with persist.transaction():
            persist.on_commit(lambda: os.kill(os.getpid(), 9))
            for number in range(count):
                await taskqueue.enqueue(tasks.note, file, number)
