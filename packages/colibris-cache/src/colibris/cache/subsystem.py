"""Caching as a subsystem of the application."""

from __future__ import annotations

from colibris.api import APIException, ServiceUnavailable
from colibris.cache.base import CacheBackend
from colibris.cache.errors import CacheUnavailable
from colibris.conf import settings
from colibris.subsystems import Subsystem


class CacheSubsystem(Subsystem[CacheBackend]):
    """The cache of the process; its keys begin with the project's name unless the setting says otherwise."""

    name = 'cache'
    setting = 'CACHE'
    group = 'colibris.cache'
    base = CacheBackend
    package = 'colibris-cache'

    def configure(self) -> CacheBackend:
        backend = super().configure()
        if backend.prefix is None:
            backend.prefix = settings.PROJECT_PACKAGE_NAME or 'colibris'
        return backend

    def translate(self, error: Exception) -> APIException | None:
        return ServiceUnavailable() if isinstance(error, CacheUnavailable) else None


subsystem = CacheSubsystem()
