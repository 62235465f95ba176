"""The routes of a project: what ``routes.py`` lists, put into aiohttp's router."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from colibris.conf import ImproperlyConfigured
from colibris.endpoints import function_handler
from colibris.router import Router
from colibris.views import View, add_view


def add_routes(router: web.UrlDispatcher, routes: Iterable[Any], where: str) -> None:
    """Add *routes*: pairs of a path and a view or handler, or aiohttp's route definitions.

    Raises ImproperlyConfigured naming the route by its place in *where*.
    """
    for index, route in enumerate(_listed(routes, where)):
        try:
            _add_route(router, route)
        except (ValueError, TypeError, RuntimeError) as exc:
            raise ImproperlyConfigured(f'{where}[{index}] ({_show(route)}): {exc}', setting=where) from exc


def check_unique(router: web.UrlDispatcher) -> None:
    """Raise ImproperlyConfigured if two routes answer the same method at the same path: one would never be reached."""
    seen: set[tuple[str, str]] = set()
    for route in router.routes():
        if route.resource is None:
            continue
        info = route.resource.get_info()
        pattern = info['pattern'].pattern if 'pattern' in info else route.resource.canonical
        if (route.method, pattern) in seen:
            raise ImproperlyConfigured(
                f'{route.method} {route.resource.canonical} is routed twice; remove one of the routes', setting='ROUTES'
            )
        seen.add((route.method, pattern))


def add_own_route(router: Router, path: str, target: Any, where: str) -> None:
    """Add a route of Colibris itself, for GET requests to *path*: a view or a handler.

    Raises ImproperlyConfigured, naming *where* it comes from, if something of the project answers there.
    """
    if not answers(router, path):
        add_routes(router, [(path, target)], where)
        if (found := router.find('GET', path)) is not None and _is_at(found[0], path):
            return
    raise ImproperlyConfigured(f'{where}: a route or a directory of the service has the path {path!r}', setting=where)


def answers(router: web.UrlDispatcher, path: str) -> bool:
    """Tell whether *router* has a route for GET requests to *path* that has no placeholders."""
    return any(_is_at(route, path) and route.method in ('GET', '*') for route in router.routes())


def _is_at(route: web.AbstractRoute, path: str) -> bool:
    """Tell whether *route* is for *path* itself, not for what is below it, as that of a directory."""
    resource = route.resource
    return resource is not None and resource.canonical == path and not isinstance(resource, web.StaticResource)


def add_static_routes(router: web.UrlDispatcher, routes: Iterable[Any], where: str, base: Path) -> None:
    """Add *routes*: pairs of a directory (relative to *base*) and the prefix under which its files are served."""
    for index, route in enumerate(_listed(routes, where)):
        try:
            directory, prefix = route
            if not prefix.startswith('/'):
                raise ValueError(f'the prefix {prefix!r} does not begin with "/"')
            router.add_static(prefix, base / directory)
        except (ValueError, AttributeError, TypeError, OSError) as exc:
            raise ImproperlyConfigured(
                f'{where}[{index}] must be a directory and a prefix, such as ("static", "/static"): {exc}',
                setting=where,
            ) from exc


def _listed(routes: Any, where: str) -> list[Any]:
    if isinstance(routes, (str, bytes)) or not isinstance(routes, Iterable):
        raise ImproperlyConfigured(f'{where} must be a list, not {type(routes).__name__}', setting=where)
    return list(routes)


def _add_route(router: web.UrlDispatcher, route: Any) -> None:
    if isinstance(route, web.RouteDef):
        _add_definition(router, route)
    elif isinstance(route, web.AbstractRouteDef):
        route.register(router)
    elif isinstance(route, tuple) and len(route) == 2 and isinstance(route[0], str):
        _add_pair(router, *route)
    else:
        raise TypeError('a route is (path, view or handler) or one of aiohttp.web.get(), post() and so on')


def _add_pair(router: web.UrlDispatcher, path: str, target: Any) -> None:
    if isinstance(target, type) and issubclass(target, View):
        if not target.http_methods():
            raise TypeError(f'{target.__qualname__} answers no HTTP method; define get, post, put, patch or delete')
        add_view(router, path, target)
    elif isinstance(target, type) and issubclass(target, web.View):
        router.add_view(path, target)
    else:
        handler = function_handler('GET', path, target)
        router.add_route('GET', path, handler)
        router.add_route('HEAD', path, handler)


def _add_definition(router: web.UrlDispatcher, route: web.RouteDef) -> None:
    handler: Any = route.handler
    if isinstance(handler, type) and issubclass(handler, View):
        add_view(router, route.path, handler, None if route.method == '*' else (route.method,))
        return
    if not isinstance(handler, type):
        handler = function_handler(route.method, route.path, handler)
    web.RouteDef(route.method, route.path, handler, route.kwargs).register(router)


def _show(route: Any) -> str:
    path = route[0] if isinstance(route, tuple) and route else getattr(route, 'path', None)
    return repr(path if path is not None else route)
