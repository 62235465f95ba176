"""The persistence subsystem: what the setting ``DATABASE`` says, opened and closed with the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from colibris import plugins, subsystems, tracing
from colibris.api import APIException
from colibris.conf import ImproperlyConfigured, settings
from colibris.measures import Kind, Measure
from colibris.persist import errors, testdatabase, url
from colibris.persist.base import DatabaseBackend
from colibris.persist.database import DEFAULT, Databases, load_models
from colibris.subsystems import NotConfigured, Subsystem

__all__ = ['PersistSubsystem', 'subsystem']

_FORMS = "a dictionary with the key 'backend' or 'url', or a URL such as 'sqlite:///app.db'"


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
        self._test_run: testdatabase.TestRun | None = None
        self._traced = ExitStack()

    @property
    def databases(self) -> Databases:
        """The open databases. Raises NotConfigured when there are none."""
        if self._databases is None:
            raise self._not_configured()
        return self._databases

    def options(self, value: object) -> Mapping[str, object]:
        return {key: item for key, item in self._dictionary(value, self.setting).items() if key != 'databases'}

    def _dictionary(self, value: object, setting: str) -> dict[str, object]:
        """Return the dictionary form; what a ``'url'`` says wins over the keys beside it."""
        if isinstance(value, str):
            return url.parse(value, setting=setting)
        if not isinstance(value, Mapping):
            raise ImproperlyConfigured(f'{setting} must be {_FORMS}, not {type(value).__name__}', setting=setting)
        options = dict(value)
        if (address := options.pop('url', None)) is not None:
            if not isinstance(address, str):
                raise ImproperlyConfigured(f"{setting}['url'] must be a string", setting=setting)
            options = {**options, **url.parse(address, setting=f"{setting}['url']")}
        return options

    def all_options(self, value: object, *, setting: str = 'DATABASE') -> dict[str, dict[str, object]]:
        """Return the options of each database that *value* describes, by name."""
        options = self._dictionary(value, setting)
        others = options.pop('databases', None) or {}
        if not isinstance(others, Mapping):
            raise ImproperlyConfigured(
                f"{setting}['databases'] must be a dictionary of names and databases, not {type(others).__name__}",
                setting=setting,
            )
        if DEFAULT in others:
            raise ImproperlyConfigured(
                f"{setting}['databases'] must not hold {DEFAULT!r}: {setting} itself describes that one",
                setting=setting,
            )
        found = {DEFAULT: options}
        for name, item in others.items():
            found[str(name)] = self._dictionary(item, _path(setting, str(name)))
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

    def build(self, name: str, options: Mapping[str, object], *, setting: str = 'DATABASE') -> DatabaseBackend:
        """Build one backend from its options."""
        source = settings.source if name == DEFAULT else None
        path = _path(setting, name)
        backend = plugins.build(path, options, self.group, self.base, source=source)  # type: ignore[type-abstract]
        backend.alias = name
        backend.base_dir = _base_dir()
        return backend

    def unknown(self, name: str, known: Iterable[str]) -> NotConfigured:
        """Return the error for a database that is not configured."""
        return NotConfigured(
            f'there is no database {name!r} (there are: {", ".join(sorted(known))}); '
            f"add it to {self.setting}['databases']",
            setting=self.setting,
            package=self.package,
        )

    def prepare(self) -> None:
        """Load the models, so that views and schemas can be made of them before a database is open."""
        load_models(subsystems.model_modules())

    async def open(self) -> None:
        """Open all databases. Raises ImproperlyConfigured, saying what to do, if one cannot be reached."""
        options = self.all_options(getattr(settings, self.setting))
        await self._open({name: self.build(name, item) for name, item in options.items()})

    async def _open(self, backends: Mapping[str, DatabaseBackend]) -> None:
        databases = Databases(backends, subsystems.model_modules())
        with ExitStack() as stack:
            if tracing.is_on() and any(backend.dialect == 'postgres' for backend in backends.values()):
                from colibris.persist import spans

                stack.enter_context(spans.of_asyncpg())
            try:
                await databases.open()
            except errors.DatabaseUnavailable as exc:
                raise ImproperlyConfigured(f'{self.setting}: {exc}', setting=self.setting) from exc
            self._traced = stack.pop_all()
        self._databases = databases
        self._backend = databases.backends[DEFAULT]

    def measures(self) -> Iterable[Measure]:
        for alias, backend in self.databases.backends.items():
            if (connections := backend.connections()) is None:
                continue
            for state, number in zip(('used', 'idle'), connections, strict=True):
                labels = (('database', alias), ('state', state))
                yield Measure('database_connections', number, Kind.GAUGE, 'Connections of the pool.', labels)

    @asynccontextmanager
    async def test_session(self) -> AsyncIterator[None]:
        """Make the databases that tests use, fill them once, and drop them at the end."""
        backends = testdatabase.backends(self)
        for backend in backends.values():
            await backend.drop()  # left behind by a run that was killed
            await backend.create()
        try:
            await self._open(backends)
            try:
                self._test_run = testdatabase.TestRun(self.databases)
                await self._test_run.prepare()
                yield
            finally:
                self._test_run = None
                await self.close()
        finally:
            for backend in backends.values():
                await backend.drop()

    @asynccontextmanager
    async def test_case(self, *, isolated: bool = False) -> AsyncIterator[None]:
        """Run one test within `test_session`, so that it leaves nothing behind.

        Everything happens in one transaction that is rolled back, whichever task it is done by; what waits for a commit
        runs when the outermost block of the application ends. An *isolated* test commits for real; the databases are
        made again after it.
        """
        if self._test_run is None:
            raise RuntimeError('test_case needs test_session around it')
        async with self._test_run.case(isolated=isolated):
            yield

    async def close(self) -> None:
        """Close all databases."""
        databases, self._databases = self._databases, None
        self._backend = None
        with self._traced:
            if databases is not None:
                await databases.close()

    async def check_health(self) -> None:
        for backend in self.databases.backends.values():
            await backend.check_health()

    def translate(self, error: Exception) -> APIException | None:
        return errors.translate(error)


def _base_dir() -> Path:
    """Return where relative paths of files begin: the project's folder, or the current one if it is installed."""
    folder = Path(settings.PROJECT_PACKAGE_DIR).parent
    return Path.cwd() if folder.name in ('site-packages', 'dist-packages') else folder


def _path(setting: str, name: str) -> str:
    return setting if name == DEFAULT else f"{setting}['databases'][{name!r}]"


subsystem = PersistSubsystem()
