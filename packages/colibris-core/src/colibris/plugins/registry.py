"""Look up what is installed, and load it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType, ModuleType
from typing import Any

from colibris.plugins import explain
from colibris.plugins.errors import AmbiguousPlugin, BrokenPlugin, MissingRequirement, PluginError, UnknownPlugin

Offers = Mapping[str, tuple[EntryPoint, ...]]


class _Installed:
    """All entry points of the environment, read in one pass over its distributions."""

    def __init__(self) -> None:
        self._entry_points = entry_points()

    def groups(self) -> set[str]:
        return set(self._entry_points.groups)

    def of(self, group: str) -> Iterable[EntryPoint]:
        return self._entry_points.select(group=group)


installed = functools.cache(_Installed)


@functools.cache
def found(group: str) -> Offers:
    """Return what is registered in *group*, by alias; nothing is imported.

    An alias has several entry points where distributions disagree on its target. What is installed is read once;
    after ``found.cache_clear()`` it is read again.
    """
    if not found.cache_info().currsize:
        installed.cache_clear()
    names: dict[str, dict[str, EntryPoint]] = {}
    for entry_point in installed().of(group):
        names.setdefault(entry_point.name, {}).setdefault(entry_point.value, entry_point)
    return MappingProxyType({name: tuple(names[name].values()) for name in sorted(names)})


def load(group: str, spec: object) -> Any:
    """Return what *spec* stands for: an alias of *group*, a path (``a.b.C`` or ``a.b:C``), or the object itself."""
    if not isinstance(spec, str):
        return spec
    offers = found(group).get(spec, ())
    if len(offers) > 1:
        raise AmbiguousPlugin(explain.ambiguous(group, spec, offers))
    if offers:
        return load_entry_point(offers[0])
    if '.' in spec or ':' in spec:
        return _load_path(group, spec)
    raise UnknownPlugin(explain.unknown_alias(group, spec, found(group)))


def load_entry_point(entry_point: EntryPoint) -> Any:
    """Import the target of *entry_point*."""
    module, _, attribute = entry_point.value.partition('[')[0].strip().partition(':')
    try:
        target: Any = import_module(module.strip())
        for name in filter(None, attribute.strip().split('.')):
            target = getattr(target, name)
    except (Exception, SystemExit) as exc:
        what = f'{entry_point.name!r} ({explain.distribution(entry_point)})'
        if (missing := missing_module(exc, module)) is not None:
            command = explain.installing(missing, entry_point)
            raise MissingRequirement(f'{what} needs the module {missing!r}: {command}', name=missing) from exc
        raise BrokenPlugin(f'{what} does not load from {entry_point.value}: {explain.error(exc)}') from exc
    return target


def missing_module(exc: BaseException, wanted: str) -> str | None:
    """Return the name of the module that importing *wanted* failed for, if it is one of somebody else's.

    A module that is missing within the package of *wanted* itself is no requirement: the package is broken.
    """
    cause: BaseException | None = exc
    while cause is not None and not isinstance(cause, ModuleNotFoundError):
        cause = cause.__cause__ if isinstance(cause, ImportError) else None
    if cause is None or not cause.name or _own_package(cause.name) == _own_package(wanted):
        return None
    return cause.name


def _own_package(module: str) -> str:
    """Return the package of one distribution that holds *module*; ``colibris`` itself is shared by several."""
    parts = module.split('.')
    return '.'.join(parts[:2] if parts[0] == 'colibris' else parts[:1])


def _load_path(group: str, path: str) -> Any:
    modules, colon, attributes = path.partition(':')
    names = [*modules.split('.'), *(attributes.split('.') if colon else ())]
    if not all(name.isidentifier() for name in names):
        raise UnknownPlugin(f"{path!r} is neither an alias nor a path such as 'package.module.Class'")
    try:
        if colon:
            return _walk(import_module(modules), attributes.split('.'))
        return _walk(*_import_longest(names))
    except (Exception, SystemExit) as exc:
        raise _path_error(group, path, names, exc) from exc


class _NoAttribute(Exception):
    """Raised when an object on the way of a path lacks the next name."""

    def __init__(self, owner: object, name: str) -> None:
        super().__init__(owner, name)
        self.owner, self.name = owner, name


def _import_longest(names: list[str]) -> tuple[ModuleType, list[str]]:
    """Import the module that *names* begin with, and return it with the names that are left, at least one."""
    for length in range(len(names) - 1, 1, -1):
        module = '.'.join(names[:length])
        try:
            return import_module(module), names[length:]
        except ModuleNotFoundError as exc:
            if not f'{module}.'.startswith(f'{exc.name}.'):
                raise
    return import_module(names[0]), names[1:]


def _walk(module: ModuleType, names: list[str]) -> Any:
    target: Any = module
    for name in names:
        try:
            target = getattr(target, name)
        except AttributeError as exc:
            raise _NoAttribute(target, name) from exc
    return target


def _path_error(group: str, path: str, names: list[str], exc: BaseException) -> PluginError:
    """Return the error that tells why *path* cannot be loaded."""
    if isinstance(exc, _NoAttribute):
        if isinstance(exc.owner, ModuleType) and exc.name != names[-1]:
            return UnknownPlugin(explain.no_module(path, f'{exc.owner.__name__}.{exc.name}', dir(exc.owner)))
        return UnknownPlugin(explain.no_attribute(path, exc.owner, exc.name))
    if isinstance(exc, ModuleNotFoundError) and f'{".".join(names)}.'.startswith(f'{exc.name}.'):
        return UnknownPlugin(explain.no_module(path, str(exc.name)))
    missing = missing_module(exc, '.'.join(names[:-1]))
    if missing is not None:
        command = explain.installing(missing, _offer_at(group, names), path)
        return MissingRequirement(f'{path!r} needs the module {missing!r}: {command}', name=missing)
    return BrokenPlugin(f'{path!r} does not load: {explain.error(exc)}')


def _offer_at(group: str, names: list[str]) -> EntryPoint | None:
    """Return the entry point of *group* for the class at a path, which may lead there over a package's short cut."""
    package = '.'.join(names[:-1])
    for offers in found(group).values():
        for offer in offers:
            if offer.attr.split('.')[-1] == names[-1] and f'{offer.module}.'.startswith(f'{package}.'):
                return offer
    return None
