"""The way of a request from aiohttp's server to its handler, laid at start-up.

aiohttp looks a route up by coroutines, and wraps its handler into the middlewares. A `Pipeline` does both beforehand
for each route of an application, and hands to aiohttp's own way what it does not know: sub-applications, static files,
requests that expect something, and what is not found. Both ways lead through the same middlewares in the same order.

A middleware may have a function ``for_endpoint(endpoint, handler)``. It is called once for each endpoint when the
application starts, and returns what is to be called instead of the middleware with *handler*: a handler that knows the
endpoint already, or *handler* itself where there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from colibris.conf import ImproperlyConfigured
from colibris.endpoints import Endpoint, Handler

if TYPE_CHECKING:
    from colibris.router import Router


class MatchInfo(web.UrlMappingMatchInfo):
    """What is known of a request's route, if it is one of the application's own."""

    __slots__ = ()

    def __init__(self, values: Any, route: web.AbstractRoute, app: web.Application) -> None:
        dict.__init__(self, values)
        self._route = route
        self._apps = [app]
        self._current_app = app
        self._frozen = True


class Pipeline:
    """Handles the requests of *app*, whose router is *router*."""

    def __init__(self, app: web.Application, router: Router) -> None:
        self._app = app
        self._router = router
        self._chains: dict[web.AbstractRoute, Handler] = {}
        self._fixed: dict[tuple[str, str], tuple[web.AbstractRoute, Handler]] = {}
        self._slow = app._handle
        router.on_freeze = self._lay
        object.__setattr__(app, '_handle', self.handle)  # aiohttp warns of attributes that it does not know

    def _lay(self) -> None:
        """Look up and wrap all that is known now: the routes and the middlewares."""
        if any(getattr(middleware, '__middleware_version__', None) != 1 for middleware in self._app.middlewares):
            return  # of the old style, which aiohttp asks anew for each request
        self._fixed = {key: (route, self._chain(route)) for key, route in self._router.fixed().items()}
        for route in self._router.routes():
            if route not in self._chains:
                self._chain(route)

    def _chain(self, route: web.AbstractRoute) -> Handler:
        """Return the handler of *route* with the middlewares around it."""
        chain = self._chains.get(route)
        if chain is None:
            chain = self._chains[route] = wrap(route.handler, self._app.middlewares)
        return chain

    def handle(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Answer *request*."""
        if hdrs.EXPECT in request._headers:
            return self._slow(request)
        path = request._rel_url.path_safe
        known = self._fixed.get((request._method, path))
        if known is not None:
            request._match_info = MatchInfo((), known[0], self._app)
            return known[1](request)
        found = self._router.find(request._method, path)
        if found is None or (chain := self._chains.get(found[0])) is None:
            return self._slow(request)
        request._match_info = MatchInfo(found[1], found[0], self._app)
        return chain(request)


def wrap(handler: Any, middlewares: Sequence[Any]) -> Handler:
    """Return *handler* with *middlewares* around it, the first of them outermost."""
    endpoint = getattr(handler, 'endpoint', None)
    for middleware in reversed(middlewares):
        for_endpoint = getattr(middleware, 'for_endpoint', None)
        if for_endpoint is not None and isinstance(endpoint, Endpoint):
            handler = _specialised(middleware, endpoint, handler)
        else:
            handler = update_wrapper(partial(middleware, handler=handler), handler)
    return handler  # type: ignore[no-any-return]


def _specialised(middleware: Any, endpoint: Endpoint, handler: Handler) -> Handler:
    found = middleware.for_endpoint(endpoint, handler)
    if not callable(found):
        raise ImproperlyConfigured(
            f'MIDDLEWARE: the function for_endpoint of {middleware.__module__}.{middleware.__qualname__} must return '
            f'a handler, not {found!r}',
            setting='MIDDLEWARE',
        )
    if getattr(found, 'endpoint', None) is endpoint:
        return found  # type: ignore[no-any-return]
    return update_wrapper(partial(found), handler)  # what the handler says of itself is for the others to see
