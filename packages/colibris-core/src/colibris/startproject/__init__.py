"""Make a new project from a template."""

import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from colibris.startproject.errors import AlreadyExists, InvalidTemplate, StartProjectError
from colibris.startproject.git import clone
from colibris.startproject.names import package_name
from colibris.startproject.render import render
from colibris.startproject.template import GitTemplate, locate

__all__ = ['Project', 'StartProjectError', 'start_project']


@dataclass(frozen=True, slots=True)
class Project:
    """A project that was made."""

    path: Path
    package: str


def start_project(name: str, template: str | None = None, *, parent: Path | None = None) -> Project:
    """Make the project *name* as a folder of that name in *parent*, by default the current directory.

    *template* is a folder or the address of a git repository; without it the skeleton of Colibris is used. The
    folder appears complete or, whatever happens, not at all. Raises `StartProjectError`.
    """
    package = package_name(name)
    parent = parent or Path.cwd()
    target = parent / name
    if os.path.lexists(target):
        raise AlreadyExists(f'{str(target)!r} exists already; choose another name or move it away')
    source = locate(template)
    if isinstance(source, Path) and parent.resolve().is_relative_to(source):
        raise InvalidTemplate(
            f'{str(target)!r} would lie inside its own template, {str(source)!r}; go to another folder'
        )
    try:
        with tempfile.TemporaryDirectory(prefix=f'.{name}.', dir=parent) as workplace:
            made = _make(source, Path(workplace), {'__packagename__': package, '__projectname__': name})
            _put_in_place(made, target)
    except OSError as exc:
        raise StartProjectError(f'cannot make {str(target)!r}: {exc.strerror or exc} ({exc.filename})') from exc
    return Project(target, package)


def _make(source: Path | GitTemplate, workplace: Path, placeholders: dict[str, str]) -> Path:
    if isinstance(source, GitTemplate):
        clone(source, workplace / 'template')
        source = workplace / 'template'
    project = workplace / 'project'
    render(source, project, placeholders)
    _write_env(project / '.env')
    return project


def _write_env(path: Path) -> None:
    """Write what only development wants, and what only this project may know; git and Docker ignore the file."""
    if path.exists():
        return
    path.touch(mode=0o600)
    path.write_text(f'DEBUG=true\nSECRET_KEY={secrets.token_urlsafe(48)}\n')


def _put_in_place(made: Path, target: Path) -> None:
    try:
        target.mkdir()  # claims the name: a rename alone would replace an empty folder made by somebody else
    except FileExistsError as exc:
        raise AlreadyExists(f'{str(target)!r} exists already; choose another name or move it away') from exc
    try:
        made.rename(target)
    except BaseException:
        target.rmdir()
        raise
