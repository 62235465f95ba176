"""The option ``--with-worker`` of ``runserver``.

It is not within `colibris.taskqueue`, as it is there whenever a server starts, and nothing else of tasks need be.
"""

import click

from colibris.commands.runserver import companions


def add_option(command: click.Command) -> click.Command:
    """Add ``--with-worker`` to ``runserver``."""

    def start(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            companions(ctx).append(('runworker',))

    text = 'Run a worker for background tasks beside the server.'
    option = click.Option(['--with-worker'], is_flag=True, expose_value=False, callback=start, help=text)
    command.params.append(option)
    return command
