"""The way of a request from aiohttp's server to its handler, laid at start-up.

aiohttp looks a route up by coroutines, and wraps its handler into the middlewares. A `Pipeline` does both beforehand
for each route of an application, and hands to aiohttp's own way what it does not know: sub-applications, static files,
requests that expect something, and what is not found. Both ways lead through the same middlewares in the same order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from colibris import edge
from colibris.endpoints import Endpoint, Handler
from colibris.middleware.special import special_handler

if TYPE_CHECKING:
    from colibris.router import Router


class MatchInfo(web.UrlMappingMatchInfo):
    """What is known of a request's route, if it is one of the application's own."""

    __slots__ = ()

    def __init__(self, values: Any, route: web.AbstractRoute, app: web.Application) -> None:
        if values:
            self.update(values)
        self._route = route
        self._apps = [app]
        self._current_app = app
        self._frozen = True


class Pipeline:
    """Handles the requests of *app*, whose router is *router*."""

    def __init__(self, app: web.Application, router: Router) -> None:
        self._app = app
        self._router = router
        #: The handlers with the middlewares around them, by what they are without.
        self._wrapped: dict[Any, Handler] = {}
        self._fixed: dict[tuple[str, str], tuple[web.AbstractRoute, Handler]] = {}
        self._slow = app._handle
        router.on_freeze = self._lay
        # aiohttp warns of attributes that it does not know
        object.__setattr__(app, '_handle', edge.surround(self.handle))

    def _lay(self) -> None:
        """Wrap and look up all that is known now: the routes and the middlewares."""
        middlewares = self._app.middlewares
        if not middlewares.frozen:
            return  # the router was frozen by itself, and there may be more to come
        if any(getattr(middleware, '__middleware_version__', None) != 1 for middleware in middlewares):
            return  # of the old style, which aiohttp asks anew for each request
        handlers = dict.fromkeys(route.handler for route in self._router.routes())
        self._wrapped = {handler: wrap(handler, middlewares) for handler in handlers}
        self._fixed = {key: (route, self._wrapped[route.handler]) for key, route in self._router.fixed().items()}

    def handle(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Answer *request*."""
        if hdrs.EXPECT in request._headers:
            return self._slow(request)
        path = request._rel_url.path_safe
        known = self._fixed.get((request._method, path))
        if known is not None:
            route, handler = known
            request._match_info = MatchInfo((), route, self._app)
            return handler(request)
        found = self._router.find(request._method, path)
        if found is None:
            return self._slow(request)
        route, values = found
        wrapped = self._wrapped.get(route.handler)
        if wrapped is None:  # the route was added since
            return self._slow(request)
        request._match_info = MatchInfo(values, route, self._app)
        return wrapped(request)


def wrap(handler: Any, middlewares: Sequence[Any]) -> Handler:
    """Return *handler* with *middlewares* around it, the first of them outermost.

    What *handler* says of itself can be read of what each of them is given, as with aiohttp.
    """
    endpoint = getattr(handler, 'endpoint', None)
    for middleware in reversed(middlewares):
        special = special_handler(middleware, endpoint, handler) if isinstance(endpoint, Endpoint) else None
        if special is None:
            handler = update_wrapper(partial(middleware, handler=handler), handler)
        elif getattr(special, 'endpoint', None) is endpoint:
            handler = special
        else:
            handler = update_wrapper(partial(special), handler)
    return handler  # type: ignore[no-any-return]
