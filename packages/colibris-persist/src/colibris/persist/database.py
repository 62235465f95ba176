"""The databases of this process: opened together, asked for by name."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import AsyncIterator, Coroutine, Generator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, Generic, TypeVar

from tortoise.apps import Apps
from tortoise.backends.base import executor
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import ConnectionHandler
from tortoise.context import TortoiseContext, set_global_context
from tortoise.exceptions import ConfigurationError, TransactionManagementError
from tortoise.models import Model
from tortoise.router import router
from tortoise.utils import generate_schema_for_client

from colibris.persist.base import DatabaseBackend
from colibris.persist.connections import Client, in_block
from colibris.persist.models import database_of

__all__ = [
    'APP',
    'DEFAULT',
    'Database',
    'Databases',
    'Pending',
    'connectivity_check',
    'current',
    'get_client_class',
    'get_connection',
    'get_database',
    'load_models',
    'opened',
]

#: The label of the one app that all models belong to.
APP = 'models'
DEFAULT = 'default'

T = TypeVar('T')

logger = logging.getLogger(__name__)

_opened: Databases | None = None


class Pending(Coroutine[Any, Any, T], Generic[T]):
    """A result that has to be awaited, and says so when it is taken for the result itself."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], call: str) -> None:
        self._coroutine = coroutine
        self._call = call

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        return self._coroutine.throw(*args)

    def close(self) -> None:
        self._coroutine.close()

    def __bool__(self) -> bool:
        self._coroutine.close()
        raise TypeError(f'{self._call} has to be awaited before its result can be used: await {self._call}')


class Databases:
    """The databases that are open together, and the models that live in them."""

    def __init__(self, backends: Mapping[str, DatabaseBackend], modules: Iterable[str | ModuleType] = ()) -> None:
        if DEFAULT not in backends:
            raise ValueError(f'there must be a database named {DEFAULT!r}')
        self.backends = dict(backends)
        self.modules = tuple(modules)
        self.context = TortoiseContext()

    async def open(self) -> None:
        """Make Tortoise know the models and the clients, then connect to each database.

        Tortoise keeps the statements that it has made by the name of a connection; they must not outlive its dialect.
        """
        global _opened
        executor.EXECUTOR_CACHE.clear()
        set_global_context(self.context)
        _opened = self
        try:
            await self._init()
            for alias, backend in self.backends.items():
                backend.alias = alias
                client = self.context.connections.get(alias)
                if isinstance(client, Client):
                    backend.client = client
                await backend.open()
        except BaseException:
            await self.close()
            raise

    async def _init(self) -> None:
        names = [module if isinstance(module, str) else module.__name__ for module in self.modules]
        for name in names:
            importlib.import_module(name)  # Tortoise would hide what goes wrong in it
        credentials = {alias: {'backend': backend} for alias, backend in self.backends.items()}
        config = {
            'connections': {
                alias: {'engine': __name__, 'credentials': options} for alias, options in credentials.items()
            },
            'apps': {APP: {'models': names or ['colibris.persist.models'], 'default_connection': DEFAULT}},
        }
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', '.* has no models', RuntimeWarning)  # a project begins without any
            await self.context.init(config=config, use_tz=True, timezone='UTC')
        self._place_models()

    def _place_models(self) -> None:
        """Give each model the database that it asks for."""
        apps = self.context.apps
        if apps is None:
            return
        for model in self.models():
            alias = database_of(model)
            if alias not in self.backends:
                raise ConfigurationError(
                    f'{model.__name__}.Meta.database is {alias!r}, which is none of the databases that are configured: '
                    f'{", ".join(sorted(self.backends))}'
                )
            model._meta.default_connection = alias
        for model in self.models():
            _refuse_relations_across(model)
        apps._build_initial_querysets()

    def models(self, alias: str | None = None) -> list[type[Model]]:
        """Return the models, or those that live in the database *alias*."""
        apps = self.context.apps
        found = list(apps.get_models_iterable()) if apps is not None else []
        return found if alias is None else [model for model in found if database_of(model) == alias]

    async def close(self) -> None:
        """Close all connections."""
        global _opened
        if _opened is self:
            _opened = None
        try:
            for backend in self.backends.values():
                await backend.close()
        finally:
            await self.context.close_connections()
            executor.EXECUTOR_CACHE.clear()

    async def create_tables(self, alias: str = DEFAULT) -> None:
        """Make the tables of the models of one database that are not there, without migrations."""
        await generate_schema_for_client(self.context.connections.get(alias), safe=True)


def _refuse_relations_across(model: type[Model]) -> None:
    meta = model._meta
    for name in sorted(meta.fk_fields | meta.o2o_fields | meta.m2m_fields):
        related: type[Model] = meta.fields_map[name].related_model  # type: ignore[attr-defined]
        if database_of(related) != database_of(model):
            raise ConfigurationError(
                f'{model.__name__}.{name} refers to {related.__name__}, which lives in another database '
                f'({database_of(related)!r}, not {database_of(model)!r}); keep the id in a plain field instead'
            )


def load_models(modules: Iterable[str]) -> None:
    """Import the model *modules* and relate the models to one another; no database has to be open for that."""
    names = list(modules)
    for name in names:
        importlib.import_module(name)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', '.* has no models', RuntimeWarning)
        Apps(None, ConnectionHandler()).init_app(APP, names)


def current() -> Databases | None:
    """Return the databases that are open in this process, if any are."""
    return _opened


def get_connection(name: str = DEFAULT) -> BaseDBAsyncClient:
    """Return Tortoise's client for the database *name*. Raises NotConfigured if it is not open.

    A statement that is given to it runs in the transaction that the calling task has open, if any.
    """
    if _opened is None or name not in _opened.backends:
        raise not_open(name)
    return _opened.context.connections.get(name)


def client_of(model: type[Model], *, for_write: bool = False) -> Any:
    """Return the client for the database of *model*, as `Model._choose_db` does, which takes its time for it."""
    if _opened is None or router._routers or model._meta.default_connection is None:
        return model._choose_db(for_write)
    return _opened.backends[model._meta.default_connection].client


def not_open(name: str) -> Exception:
    """Return the error that says why the database *name* cannot be used now."""
    from colibris.persist.subsystem import subsystem

    if _opened is not None:
        return subsystem.unknown(name, _opened.backends)
    return subsystem._not_configured()


class Database:
    """One of the project's databases, to be made, dropped or filled with tables; it need not be open."""

    def __init__(self, name: str, backend: DatabaseBackend) -> None:
        self.name = name
        self.backend = backend

    def __repr__(self) -> str:
        return f'<Database {self.name!r}: {self.backend.describe()}>'

    def exists(self) -> Pending[bool]:
        """Return whether the database is there."""
        return Pending(self.backend.exists(), 'exists()')

    def create(self) -> Pending[None]:
        """Make the database, empty."""
        return Pending(self._create(), 'create()')

    async def _create(self) -> None:
        await self.backend.create()
        self.backend.emptied = True

    def drop(self) -> Pending[None]:
        """Remove the database and all that is in it. What is open on it is closed."""
        return Pending(self._drop(), 'drop()')

    async def _drop(self) -> None:
        if in_block(self.backend):
            raise TransactionManagementError(
                'a database cannot be dropped within a transaction on it; leave the block first'
            )
        await self.backend.drop()
        self.backend.emptied = True

    def create_tables(self) -> Pending[None]:
        """Make the tables of this database's models that are not there, without migrations; it has to be open."""
        return Pending(self._create_tables(), 'create_tables()')

    async def _create_tables(self) -> None:
        if _opened is None:
            raise not_open(self.name)
        await _opened.create_tables(self.name)


def get_database(name: str = DEFAULT) -> Database:
    """Return the database *name*, open or as the settings say. Raises NotConfigured if there is none."""
    if _opened is not None:
        if name not in _opened.backends:
            raise not_open(name)
        return Database(name, _opened.backends[name])
    from colibris.persist.subsystem import subsystem

    return Database(name, subsystem.backend_of(name))


def connectivity_check(name: str | None = None) -> Pending[bool]:
    """Return whether the database *name* answers; without a name, whether all of them do. Await the result."""
    return Pending(_connectivity_check(name), 'connectivity_check()')


async def _connectivity_check(name: str | None) -> bool:
    if _opened is None or (name is not None and name not in _opened.backends):
        raise not_open(name or DEFAULT)
    for alias in [name] if name is not None else _opened.backends:
        try:
            await _opened.backends[alias].check_health()
        except Exception as exc:
            logger.warning('the database %r does not answer: %s', alias, exc)
            return False
    return True


def get_client_class(info: Mapping[str, Any]) -> type[Client]:
    """Tell Tortoise, for which this module is an engine, the class of a backend's client."""
    backend: DatabaseBackend = info['credentials']['backend']
    return backend.client_class


@asynccontextmanager
async def opened(
    backends: Mapping[str, DatabaseBackend], modules: Iterable[str | ModuleType] = ()
) -> AsyncIterator[Databases]:
    """Open databases without settings, for tests and tools."""
    databases = Databases(backends, modules)
    await databases.open()
    try:
        yield databases
    finally:
        await databases.close()
