"""Find the project, and import its settings."""

from __future__ import annotations

import importlib
import tomllib
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from colibris.conf.errors import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project is: the folder that holds its package, and the package's name."""

    root: Path
    package: str


def find_project(folder: Path | None = None) -> Project:
    """Find the project of *folder* (the current one) by ``[tool.colibris] package`` in its pyproject.toml or above."""
    start = (folder or Path.cwd()).resolve()
    for root in (start, *start.parents):
        package = _package(root / 'pyproject.toml')
        if package is not None:
            return Project(root, package)
    raise ImproperlyConfigured(
        f'{start} is not in a project: neither it nor a folder above has a pyproject.toml with '
        f'[tool.colibris] package = "…"; go to a project, or run its manage.py'
    )


def _package(file: Path) -> str | None:
    if not file.is_file():
        return None
    try:
        tools = tomllib.loads(file.read_text(encoding='utf-8')).get('tool', {})
    except (OSError, ValueError) as exc:
        raise ImproperlyConfigured(f'{file} cannot be read: {exc}') from exc
    table = tools.get('colibris') if isinstance(tools, dict) else None
    if table is None:
        return None
    package = table.get('package') if isinstance(table, dict) else None
    if not isinstance(package, str) or not all(part.isidentifier() for part in package.split('.')):
        raise ImproperlyConfigured(f'{file}: [tool.colibris] must name the project\'s package: package = "…"')
    return package


def import_settings(package: str) -> ModuleType:
    """Import the settings of *package*; an error in them is told with file and line."""
    name = f'{package}.settings'
    try:
        return importlib.import_module(name)
    except ImproperlyConfigured:
        raise
    except ModuleNotFoundError as exc:
        if exc.name is not None and f'{package}.'.startswith(f'{exc.name}.'):
            message = f'there is no package {package!r} on the path of Python; is it spelled right?'
            raise ImproperlyConfigured(message) from exc
        if exc.name == name:
            raise ImproperlyConfigured(
                f'the package {package!r} has no settings.py: make one, it may be empty'
            ) from exc
        raise ImproperlyConfigured(_told(exc)) from exc
    except (Exception, SystemExit) as exc:
        raise ImproperlyConfigured(_told(exc)) from exc


def _told(exc: BaseException) -> str:
    """Say in which line of settings.py an error arose, and where it was raised if that is elsewhere."""
    error = ' '.join(f'{type(exc).__name__}: {exc}'.split())
    if isinstance(exc, SyntaxError):
        error = f'{type(exc).__name__}: {exc.msg}'
        return f'{exc.filename}, line {exc.lineno}: {error}'
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if not frame.filename.startswith('<frozen')]
    last = frames[-1]
    place = next((frame for frame in reversed(frames) if Path(frame.filename).name == 'settings.py'), last)
    within = f' (raised in {last.filename}, line {last.lineno})' if last is not place else ''
    return f'{place.filename}, line {place.lineno}: {error}{within}'
