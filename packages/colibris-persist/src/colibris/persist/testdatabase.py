"""The databases that stand in for the real ones while tests run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from colibris import plugins
from colibris.conf import ImproperlyConfigured, settings
from colibris.persist.base import DatabaseBackend
from colibris.persist.connections import Client
from colibris.persist.database import DEFAULT, Databases

if TYPE_CHECKING:
    from colibris.persist.subsystem import PersistSubsystem

SETTING = 'TEST_DATABASE'


def backends(subsystem: PersistSubsystem) -> dict[str, DatabaseBackend]:
    """Build what ``TEST_DATABASE`` says; what it leaves open is taken from ``DATABASE``.

    A name that it does not give is that of the real database with ``test_`` before it. Each worker of pytest-xdist has
    databases of its own. Raises ImproperlyConfigured rather than use a real database, as those of tests are dropped.
    """
    real = subsystem.all_options(getattr(settings, subsystem.setting))
    given = settings.TEST_DATABASE if settings.is_set(SETTING) else {}
    changes = subsystem.all_options(given, setting=SETTING)
    worker = os.environ.get('PYTEST_XDIST_WORKER')
    suffix = f'_{worker}' if worker else ''
    found = {}
    for name, options in real.items():
        merged = _merged(subsystem, options, changes.get(name, {}), suffix)
        found[name] = subsystem.build(name, merged, setting=SETTING)
        _refuse_real(found[name], {alias: subsystem.build(alias, item) for alias, item in real.items()})
    return found


def _merged(
    subsystem: PersistSubsystem, real: Mapping[str, object], changes: Mapping[str, object], suffix: str
) -> dict[str, object]:
    backend = _backend(subsystem, real, subsystem.setting)
    chosen = _backend(subsystem, changes, SETTING) if 'backend' in changes else backend
    # Options of one kind of database mean nothing to another.
    options = {**(real if chosen is backend else {'name': real.get('name')}), **changes}
    options['backend'] = chosen
    name = str(options.get('name') or '')
    options['name'] = chosen.with_suffix(name, suffix) if 'name' in changes else chosen.test_name(name, suffix)
    return options


def _backend(subsystem: PersistSubsystem, options: Mapping[str, object], setting: str) -> type[DatabaseBackend]:
    spec = options.get('backend')
    return plugins.load_backend(subsystem.group, spec, subsystem.base, setting=setting)  # type: ignore[type-abstract]


def _refuse_real(backend: DatabaseBackend, real: Mapping[str, DatabaseBackend]) -> None:
    for name, other in real.items():
        if backend.identity() == other.identity():
            raise ImproperlyConfigured(
                f'{SETTING} names a real database ({name!r}: {other.describe()}), which would be dropped; '
                f'give another name, or leave it out for a name that begins with test_',
                setting=SETTING,
            )


class TestRun:
    """A run of tests on databases that are open: one migration for all tests, each of which is rolled back."""

    __test__ = False  # for pytest, this is no test

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.loop = asyncio.get_running_loop()

    async def prepare(self) -> None:
        """Make the tables, and leave no connection behind that is bound to this event loop."""
        await self.fill(*self.databases.backends)
        await self._let_go()

    async def fill(self, *names: str) -> None:
        """Make the tables of empty databases: by migrations, or by the models for a further one that has none."""
        from colibris.persist.migrations import migrate

        for name in names:
            if not await migrate(database=name) and name != DEFAULT:
                await self.databases.create_tables(name)
            self.databases.backends[name].emptied = False

    async def _renew(self) -> None:
        """Make those databases again that the last test has dropped."""
        for name, backend in self.databases.backends.items():
            if backend.emptied:
                await backend.drop()
                await backend.create()
                await self.fill(name)

    async def _let_go(self) -> None:
        for backend in self.databases.backends.values():
            if (client := backend.opened_client) is not None and client.bound_to_loop:
                await client.close()

    @asynccontextmanager
    async def case(self, *, isolated: bool) -> AsyncIterator[None]:
        """Run one test in a transaction, or, *isolated*, without one, on databases that are made again after it."""
        await self._renew()
        try:
            async with AsyncExitStack() as stack:
                if not isolated:
                    for backend in self.databases.backends.values():
                        if isinstance(client := backend.opened_client, Client):
                            await stack.enter_async_context(client.wrapped())
                yield
        finally:
            if isolated:
                for backend in self.databases.backends.values():
                    backend.emptied = True
            if asyncio.get_running_loop() is not self.loop:
                await self._let_go()
