"""The command line: ``colibris`` and a project's ``manage.py`` are one click program."""

from colibris.commands.context import CommandError, current_project, load_project, project_command, run_async
from colibris.commands.program import main, manage

__all__ = [
    'CommandError',
    'current_project',
    'load_project',
    'main',
    'manage',
    'project_command',
    'run_async',
]
