"""Make a backend from a setting: its class is loaded and checked, its constructor is given the other keys."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

from colibris.plugins import explain
from colibris.plugins.errors import (
    BrokenPlugin,
    IncompatiblePlugin,
    InvalidOption,
    MissingRequirement,
    PluginError,
)
from colibris.plugins.registry import found, load, missing_module

T = TypeVar('T')

#: Where a setting comes from: a text, or a function of the setting's or the key's name (``'CACHE.host'``).
Source = str | Callable[[str], str] | None

_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def load_backend(group: str, spec: object, base: type[T], *, setting: str) -> type[T]:
    """Load the class that *spec* stands for, and check that it is a concrete *base* of the same ``api_version``.

    Raises a PluginError that begins with the setting's name.
    """
    return _load_backend(group, spec, base, f"{setting}['backend']")


def build(setting: str, options: Mapping[str, object], group: str, base: type[T], *, source: Source = None) -> T:
    """Build the backend that the dictionary of a setting describes.

    *options* holds ``'backend'``; the other keys are keyword arguments of the backend's constructor. *source* tells
    where the dictionary or one of its keys comes from. Raises a PluginError that begins with the setting's name.
    """
    if not isinstance(options, Mapping):
        raise InvalidOption(f'expected a dictionary, not {type(options).__name__}', setting=_at(setting, None, source))
    if 'backend' not in options:
        message = f"has no key 'backend': {explain.offered(group, found(group))}"
        raise InvalidOption(message, setting=_at(setting, None, source))
    backend = _load_backend(group, options['backend'], base, _at(setting, 'backend', source))
    arguments = {key: value for key, value in options.items() if key != 'backend'}
    _check_arguments(backend, arguments, setting, source)
    return _construct(backend, arguments, _at(setting, None, source))


def _load_backend(group: str, spec: object, base: type[T], where: str) -> type[T]:
    try:
        if not isinstance(spec, str | type):
            kind = type(spec).__name__
            raise InvalidOption(f'expected an alias, a dotted path or a class, not {kind}')
        return checked(load(group, spec), base, spec)
    except PluginError as exc:
        exc.setting = where
        raise


def checked(target: object, base: type[T], spec: object) -> type[T]:
    """Return *target* if it is a concrete subclass of *base*, built for the same version of it."""
    wanted = f'{base.__module__}.{base.__qualname__}'
    if not isinstance(target, type):
        raise IncompatiblePlugin(f'{spec!r} is no class but {type(target).__name__}; a subclass of {wanted} is needed')
    if not issubclass(target, base):
        raise IncompatiblePlugin(f'{_name(target)} ({spec!r}) is not a subclass of {wanted}')
    ours, theirs = getattr(base, 'api_version', None), getattr(target, 'api_version', None)
    if ours is not None and ours != theirs:
        raise IncompatiblePlugin(
            f'{_name(target)} was built for version {theirs!r} of {wanted}, but version {ours!r} is installed; '
            f'install a version of the plug-in that is made for it'
        )
    if inspect.isabstract(target):
        missing = ', '.join(sorted(getattr(target, '__abstractmethods__', ())))
        raise IncompatiblePlugin(f'{_name(target)} is abstract: it does not define {missing}')
    return target


def _check_arguments(backend: type, arguments: Mapping[str, object], setting: str, source: Source) -> None:
    """Check the keys of *arguments* against the keyword arguments of the constructor."""
    try:
        parameters = inspect.signature(backend).parameters.values()
    except (TypeError, ValueError):  # built in C without a signature: its own error must do
        return
    keywords = [parameter.name for parameter in parameters if parameter.kind in _KEYWORDS]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    for key in arguments:
        if not isinstance(key, str) or not (takes_any or key in keywords):
            have = f'(it takes: {", ".join(keywords)})' if keywords else '(it takes none)'
            raise InvalidOption(
                f'{_name(backend)} takes no option {key!r}{explain.closest(str(key), keywords)} {have}',
                setting=_at(setting, key, source),
            )
    required = [parameter.name for parameter in parameters if _is_required(parameter)]
    lacking = [name for name in required if name not in arguments]
    if lacking:
        names = ', '.join(map(repr, lacking))
        raise InvalidOption(f'{_name(backend)} requires {names}', setting=_at(setting, None, source))


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.kind in _KEYWORDS and parameter.default is parameter.empty


def _construct(backend: type[T], arguments: Mapping[str, object], where: str) -> T:
    try:
        return backend(**arguments)
    except PluginError:
        raise
    except (TypeError, ValueError) as exc:
        raise InvalidOption(f'{_name(backend)} refuses its options: {exc}', setting=where) from exc
    except Exception as exc:
        from colibris.conf.errors import ImproperlyConfigured  # conf builds on this package

        if isinstance(exc, ImproperlyConfigured):
            raise
        missing = missing_module(exc, backend.__module__)
        if missing is not None:
            command = explain.installing(missing, None, backend.__module__)
            message = f'{_name(backend)} needs the module {missing!r}: {command}'
            raise MissingRequirement(message, name=missing, setting=where) from exc
        raise BrokenPlugin(f'{_name(backend)} cannot be built: {explain.error(exc)}', setting=where) from exc


def _name(cls: type) -> str:
    return f'{cls.__module__}.{cls.__qualname__}'


def _at(setting: str, key: object, source: Source) -> str:
    """Return how a setting, or a key of it, is named in errors: ``CACHE['host'] (settings.py)``."""
    name = setting if key is None else f'{setting}[{key!r}]'
    origin = source(setting if key is None else f'{setting}.{key}') if callable(source) else source
    return f'{name} ({origin})' if origin else name
