"""The settings of the process."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from colibris.conf import sources
from colibris.conf.checks import check_spellings, check_value, check_variables
from colibris.conf.errors import ImproperlyConfigured
from colibris.conf.known import ALIASES, KNOWN
from colibris.conf.logs import merge
from colibris.conf.masking import mask
from colibris.conf.names import closest
from colibris.conf.project import find_project, import_settings
from colibris.plugins import found

OVERRIDE = 'override'


class Settings:
    """The settings of a project, by name: ``settings.DEBUG``.

    They are loaded once, from ``PACKAGE/settings.py`` over the defaults, and do not change after that; tests change
    them for a while with `override`.
    """

    def __init__(self) -> None:
        self._package: str | None = None
        self._given: dict[str, Any] = {}
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}

    @property
    def loaded(self) -> bool:
        """Whether the settings of a project are loaded."""
        return self._package is not None

    @property
    def readable(self) -> bool:
        """Whether there are settings to read: those of a project, or what a test has overridden."""
        return bool(self._values)

    def load(self, package: str) -> None:
        """Load and check the settings of *package*; nothing happens if they are loaded already."""
        if self._package == package:
            return
        if self._package is not None:
            raise ImproperlyConfigured(
                f'the settings of {self._package!r} are loaded, those of {package!r} cannot be: '
                f'one process runs one project'
            )
        module = import_settings(package)
        given = {name: value for name, value in vars(module).items() if name.isupper() and not name.startswith('_')}
        origins = sources.trace(package, given)
        check_variables(sources.records(package))
        automatic = _automatic(package, module)
        check_spellings(given, origins, automatic)
        values, given_sources = _normalised(given, origins)
        values = {name: value for name, value in values.items() if name not in automatic}
        for name, value in values.items():
            check_value(name, value, given_sources[name])
        self._set({**values, **automatic}, given_sources)
        self._package = package

    def reset(self) -> None:
        """Forget everything, the project's settings module too, so that it is run again by the next `load`."""
        if self._package is not None:
            sys.modules.pop(f'{self._package}.settings', None)
        self.__init__()  # type: ignore[misc]
        sources.forget()

    def source(self, name: str) -> str:
        """Return where a setting (``'DATABASE'``) or a key of one (``'DATABASE.host'``) comes from.

        It is ``default``, ``settings.py``, ``.env``, ``.env.default``, ``environment`` or, in tests, ``override``.
        """
        setting = name.partition('.')[0]
        return self._sources.get(name) or self._sources.get(setting) or sources.DEFAULT

    def is_set(self, name: str) -> bool:
        """Tell whether a setting was given, and is not None."""
        return name in self._sources and self._values.get(name) is not None

    def masked(self, name: str) -> Any:
        """Return a setting's value with secrets hidden."""
        return mask(getattr(self, name), name)

    def items(self) -> Iterator[tuple[str, Any, str]]:
        """Yield name, value (secrets hidden) and source of each setting, by name."""
        for name in sorted({*KNOWN, *found('colibris.subsystems'), *self._values}):
            yield name, mask(self._values.get(name), name), self.source(name)

    def key_sources(self, name: str) -> dict[str, str]:
        """Return the sources of those keys of a dictionary setting that come from elsewhere than the rest of it."""
        value = self._values.get(name)
        keys = value if isinstance(value, dict) else ()
        return {key: self.source(f'{name}.{key}') for key in keys if self.source(f'{name}.{key}') != self.source(name)}

    @contextmanager
    def override(self, **values: Any) -> Iterator[Settings]:
        """Change settings within a ``with`` block, for tests. Without a project, the others have their defaults."""
        before = self._given, self._values, self._sources
        given, origins = _normalised(values, dict.fromkeys(values, OVERRIDE))
        for name, value in given.items():
            check_value(name, value, OVERRIDE)
        kept = {name: source for name, source in self._sources.items() if name.partition('.')[0] not in given}
        self._set({**self._given, **given}, {**kept, **origins})
        try:
            yield self
        finally:
            self._given, self._values, self._sources = before

    def _set(self, values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
        """Take *values*, as they were given, over the defaults."""
        effective = {name: setting.make_default() for name, setting in KNOWN.items()} | dict(values)
        found_sources = dict(origins)
        if 'LOGGING' not in values and effective['DEBUG']:
            effective['LOGGING']['loggers']['colibris']['level'] = 'DEBUG'
        if 'LOGGING' not in values:
            chosen = effective['LOG_FORMAT'] or ('text' if effective['DEBUG'] else 'json')
            effective['LOGGING']['handlers']['console']['formatter'] = chosen
        overrides = effective['LOGGING_OVERRIDES']
        effective['LOGGING'] = merge(effective['LOGGING'], overrides)
        for key in overrides:
            found_sources[f'LOGGING.{key}'] = origins.get('LOGGING_OVERRIDES', sources.DEFAULT)
        self._given, self._values, self._sources = dict(values), effective, found_sources

    def __getattr__(self, name: str) -> Any:
        if not name.isupper() or name.startswith('_'):
            raise AttributeError(f'{type(self).__name__!r} has no attribute {name!r}')
        if not self.readable:
            raise ImproperlyConfigured(
                f'the setting {name} is read before the settings are loaded: call colibris.conf.setup() first, '
                f'or use settings.override() in tests',
                setting=name,
            )
        try:
            return self._values[ALIASES.get(name, name)]
        except KeyError:
            if name in found('colibris.subsystems'):
                return None
            raise AttributeError(f'there is no setting {name}{closest(name, self._values)}') from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name.isupper() and not name.startswith('_'):
            raise AttributeError(f'settings cannot be assigned; in tests: with settings.override({name}=…)')
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._values})

    def __repr__(self) -> str:
        return f'<Settings of {self._package!r}>' if self.loaded else '<Settings, not loaded>'


def _automatic(package: str, module: ModuleType) -> dict[str, Any]:
    """Return the settings that are made by themselves."""
    file = module.__file__
    if file is None:
        raise ImproperlyConfigured(f'{package}.settings was not imported from a file')
    return {'PROJECT_PACKAGE_NAME': package, 'PROJECT_PACKAGE_DIR': str(Path(file).resolve().parent)}


def _normalised(given: Mapping[str, Any], origins: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return *given* and *origins* with each setting under its one name."""
    values = {ALIASES.get(name, name): value for name, value in given.items()}
    renamed: dict[str, str] = {}
    for name, source in origins.items():
        setting, dot, key = name.partition('.')
        renamed[f'{ALIASES.get(setting, setting)}{dot}{key}'] = source
    return values, renamed


#: The settings of the process.
settings = Settings()


def setup(package: str | None = None) -> Settings:
    """Load the settings of the project and return them.

    Without *package* the project is the one of the current folder (``[tool.colibris]`` in its pyproject.toml), whose
    root is put on the path of Python. Raises ImproperlyConfigured if something is wrong with a setting.
    """
    if package is None and settings.loaded:
        return settings
    if package is None:
        project = find_project()
        package = project.package
        if str(project.root) not in sys.path:
            sys.path.insert(0, str(project.root))
    settings.load(package)
    return settings
