"""The commands that a project brings in its ``PACKAGE/commands.py``."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType

import click

from colibris import conf
from colibris.commands.context import describe, make_importable, package_folder
from colibris.conf.project import Project


@dataclass(frozen=True, slots=True)
class OwnCommands:
    """The commands of a project by name; *error* says why there are none although there is a module for them."""

    module: str = ''
    found: Mapping[str, click.Command] = field(default_factory=dict)
    error: str | None = None


def may_define(project: Project | None, name: str) -> bool:
    """Tell, without importing it, whether the project's module mentions *name*."""
    file = _file(project)
    if file is None:
        return False
    text = file.read_text(encoding='utf-8', errors='replace')
    return name in text or name.replace('-', '_') in text


@functools.cache
def commands_of(project: Project | None) -> OwnCommands:
    """Import the project's commands. Its settings are loaded first, as any module of a project may use them."""
    file = _file(project)
    if project is None or file is None:
        return OwnCommands()
    name = str(file.relative_to(project.root))
    try:
        make_importable(project)
        conf.setup(project.package)
        module = import_module(f'{project.package}.commands')
    except Exception as error:
        return OwnCommands(name, error=describe(error, project))
    return OwnCommands(name, MappingProxyType(dict(_commands_in(module))))


def _file(project: Project | None) -> Path | None:
    if project is None:
        return None
    package = package_folder(project)
    return next((file for file in (package / 'commands.py', package / 'commands/__init__.py') if file.is_file()), None)


def _commands_in(module: ModuleType) -> list[tuple[str, click.Command]]:
    """Return what the module holds, but for the commands of its own groups."""
    commands = [value for value in vars(module).values() if isinstance(value, click.Command)]
    inner = {id(sub) for group in commands if isinstance(group, click.Group) for sub in group.commands.values()}
    return [(command.name, command) for command in commands if command.name and id(command) not in inner]
