"""The demo service: a project as the starter makes it, on SQLite, served in a process of its own."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from workspace import Environment, served

CURRENT = Environment(Path(sys.prefix))


def make_demo(parent: Path, name: str = 'demo') -> Path:
    """Make a project with the starter, migrate its database, and return its folder."""
    CURRENT.run('colibris-start-project', name, cwd=parent)
    folder = parent / name
    CURRENT.run(folder / name / 'manage.py', 'migrate', cwd=folder)
    return folder


def make_key(folder: Path) -> str:
    """Make an account for an administrator of the project in *folder*, and return its API key."""
    manage = folder / folder.name / 'manage.py'
    return CURRENT.run(manage, 'createaccount', 'admin', '--role', 'admin', cwd=folder).stdout.strip()


def serve_demo(folder: Path) -> AbstractContextManager[str]:
    """Serve the project in *folder*, which is called like its package; gives its address."""
    return served(folder / folder.name / 'manage.py', folder, CURRENT.variables)
