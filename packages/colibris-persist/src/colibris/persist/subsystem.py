"""The persistence subsystem: what the setting ``DATABASE`` says, opened and closed with the application."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from colibris import plugins, subsystems
from colibris.api import APIException
from colibris.conf import ImproperlyConfigured, settings
from colibris.persist import errors, url
from colibris.persist.base import DatabaseBackend
from colibris.persist.database import DEFAULT, Databases
from colibris.subsystems import NotConfigured, Subsystem

__all__ = ['PersistSubsystem', 'subsystem']

_FORMS = "a dictionary with the key 'backend', or a URL such as 'sqlite:///app.db'"


class PersistSubsystem(Subsystem[DatabaseBackend]):
    """The databases of a project: the one that ``DATABASE`` describes, and those under its key ``'databases'``."""

    name = 'persist'
    setting = 'DATABASE'
    group = 'colibris.persist'
    base = DatabaseBackend
    package = 'colibris-persist'

    def __init__(self) -> None:
        super().__init__()
        self._databases: Databases | None = None

    @property
    def databases(self) -> Databases:
        """The open databases. Raises NotConfigured when there are none."""
        if self._databases is None:
            raise self._not_configured()
        return self._databases

    def options(self, value: object) -> Mapping[str, object]:
        return {key: item for key, item in self._dictionary(value, self.setting).items() if key != 'databases'}

    def _dictionary(self, value: object, setting: str) -> dict[str, object]:
        """Return the dictionary form; keys beside a ``'url'`` win over what the URL says."""
        if isinstance(value, str):
            return url.parse(value, setting=setting)
        if not isinstance(value, Mapping):
            raise ImproperlyConfigured(f'{setting} must be {_FORMS}, not {type(value).__name__}', setting=setting)
        options = dict(value)
        if (address := options.pop('url', None)) is not None:
            if not isinstance(address, str):
                raise ImproperlyConfigured(f"{setting}['url'] must be a string", setting=setting)
            options = {**url.parse(address, setting=f"{setting}['url']"), **options}
        return options

    def all_options(self, value: object) -> dict[str, dict[str, object]]:
        """Return the options of each database that *value* describes, by name."""
        options = self._dictionary(value, self.setting)
        others = options.pop('databases', None) or {}
        if not isinstance(others, Mapping):
            raise ImproperlyConfigured(
                f"{self.setting}['databases'] must be a dictionary of names and databases, not {type(others).__name__}",
                setting=self.setting,
            )
        if DEFAULT in others:
            raise ImproperlyConfigured(
                f"{self.setting}['databases'] must not hold {DEFAULT!r}: {self.setting} itself describes that one",
                setting=self.setting,
            )
        found = {DEFAULT: options}
        for name, item in others.items():
            found[str(name)] = self._dictionary(item, _path(self.setting, str(name)))
        return found

    def configure(self) -> DatabaseBackend:
        return self.backend_of(DEFAULT)

    def backend_of(self, name: str) -> DatabaseBackend:
        """Build the backend of the database *name* as the settings say; nothing is opened."""
        if not settings.is_set(self.setting):
            raise self._not_configured()
        options = self.all_options(getattr(settings, self.setting))
        if name not in options:
            raise self.unknown(name, options)
        return self.build(name, options[name])

    def build(self, name: str, options: Mapping[str, object]) -> DatabaseBackend:
        """Build one backend from its options."""
        setting = _path(self.setting, name)
        source = settings.source if name == DEFAULT else None
        backend = plugins.build(setting, options, self.group, self.base, source=source)  # type: ignore[type-abstract]
        backend.alias = name
        backend.base_dir = Path(settings.PROJECT_PACKAGE_DIR).parent
        return backend

    def unknown(self, name: str, known: Iterable[str]) -> NotConfigured:
        """Return the error for a database that is not configured."""
        return NotConfigured(
            f'there is no database {name!r} (there are: {", ".join(sorted(known))}); '
            f"add it to {self.setting}['databases']",
            setting=self.setting,
            package=self.package,
        )

    async def open(self) -> None:
        """Open all databases. Raises ImproperlyConfigured, saying what to do, if one cannot be reached."""
        options = self.all_options(getattr(settings, self.setting))
        await self._open({name: self.build(name, item) for name, item in options.items()})

    async def _open(self, backends: Mapping[str, DatabaseBackend]) -> None:
        databases = Databases(backends, subsystems.model_modules())
        try:
            await databases.open()
        except errors.DatabaseUnavailable as exc:
            raise ImproperlyConfigured(f'{self.setting}: {exc}', setting=self.setting) from exc
        self._databases = databases
        self._backend = databases.backends[DEFAULT]

    async def close(self) -> None:
        """Close all databases."""
        databases, self._databases = self._databases, None
        self._backend = None
        if databases is not None:
            await databases.close()

    async def check_health(self) -> None:
        for backend in self.databases.backends.values():
            await backend.check_health()

    def translate(self, error: Exception) -> APIException | None:
        return errors.translate(error)


def _path(setting: str, name: str) -> str:
    return setting if name == DEFAULT else f"{setting}['databases'][{name!r}]"


subsystem = PersistSubsystem()
