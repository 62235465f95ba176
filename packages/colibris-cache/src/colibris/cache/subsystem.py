"""Caching as a subsystem of the application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from colibris.api import APIException, ServiceUnavailable
from colibris.cache.base import CacheBackend
from colibris.cache.errors import CacheUnavailable
from colibris.conf import settings
from colibris.measures import Kind, Measure
from colibris.subsystems import Subsystem


class CacheSubsystem(Subsystem[CacheBackend]):
    """The cache of the process; its keys begin with the project's name unless the setting says otherwise."""

    name = 'cache'
    setting = 'CACHE'
    group = 'colibris.cache'
    base = CacheBackend
    package = 'colibris-cache'

    def __init__(self) -> None:
        super().__init__()
        self._testing = ''

    def configure(self) -> CacheBackend:
        backend = super().configure()
        if backend.prefix is None:
            backend.prefix = settings.PROJECT_PACKAGE_NAME or 'colibris'
        backend.prefix = self._testing + backend.prefix
        return backend

    def translate(self, error: Exception) -> APIException | None:
        return ServiceUnavailable() if isinstance(error, CacheUnavailable) else None

    def measures(self) -> Iterable[Measure]:
        yield Measure('cache_hits', self.backend.hits, Kind.COUNTER, 'Values that were found.')
        yield Measure('cache_misses', self.backend.misses, Kind.COUNTER, 'Values that were not found.')

    @asynccontextmanager
    async def test_session(self) -> AsyncIterator[None]:
        """Keep apart what tests keep, of this worker of theirs, from what the service does."""
        self._testing = f'test_{os.environ.get("PYTEST_XDIST_WORKER", "")}_'
        try:
            async with super().test_session():
                try:
                    yield
                finally:
                    await self.backend.clear()
        finally:
            self._testing = ''

    @asynccontextmanager
    async def test_case(self, *, isolated: bool = False) -> AsyncIterator[None]:
        await self.backend.clear()
        yield


subsystem = CacheSubsystem()
