"""aiohttp's router, with a way through it that needs no coroutines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.hdrs import METH_ALL

from colibris.endpoints import Endpoint, function_handler

Found = tuple[web.AbstractRoute, Mapping[str, str]]


class Router(web.UrlDispatcher):
    """aiohttp's router, whose handlers may be plain functions and return data, wherever they are added."""

    def __init__(self) -> None:
        super().__init__()
        #: Called once all routes are known.
        self.on_freeze: Callable[[], None] | None = None

    def add_route(self, method: str, path: str, handler: Any, **options: Any) -> web.AbstractRoute:
        return super().add_route(method, path, _adapted(method.upper(), path, handler), **options)

    def add_get(self, path: str, handler: Any, **options: Any) -> web.AbstractRoute:
        return super().add_get(path, _adapted('GET', path, handler), **options)

    def freeze(self) -> None:
        super().freeze()
        if self.on_freeze is not None:
            self.on_freeze()

    def find(self, method: str, path: str) -> Found | None:
        """Return the route that `resolve` would find for a *method* request to *path*, and what the path says to it.

        None where only `resolve` can tell: for sub-applications, directories, resources of other kinds, and whatever
        is not found.
        """
        if self._matched_sub_app_resources:  # which of them is asked depends on the request
            return None
        part = path
        while part:
            for resource in self._resource_index.get(part, ()):
                if type(resource) not in _KINDS:
                    return None
                values = resource._match(path)  # type: ignore[attr-defined]
                if values is not None:
                    route = resource._routes.get(method, resource._any_route)  # type: ignore[attr-defined]
                    if route is not None:
                        return route, values
            if part == '/':
                return None
            part = part.rpartition('/')[0] or '/'
        return None

    def fixed(self) -> dict[tuple[str, str], web.AbstractRoute]:
        """Return the routes whose path has no placeholders, by method and path; what `find` finds for them."""
        found: dict[tuple[str, str], web.AbstractRoute] = {}
        for resource in self._resources:
            if type(resource) is not web.PlainResource:
                continue
            path = resource.canonical
            for method in METH_ALL if resource._any_route is not None else resource._routes:
                match = self.find(method, path)
                if match is not None and not match[1]:
                    found[method, path] = match[0]
        return found


_KINDS = frozenset({web.PlainResource, web.DynamicResource})


def _adapted(method: str, path: str, handler: Any) -> Any:
    done = isinstance(handler, type) or isinstance(getattr(handler, 'endpoint', None), Endpoint)
    return handler if done else function_handler(method, path, handler)
