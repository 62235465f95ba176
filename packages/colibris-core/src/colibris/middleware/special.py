"""Middlewares that are made for an endpoint when the application starts, instead of finding out with each request.

A middleware is asked for each request to each endpoint, and many have nothing to do for most of them. What it does for
one endpoint can be told beforehand by a function of the endpoint and the handler behind the middleware:

    async def handle_audit(request, handler):
        ...

    @specialises(handle_audit)
    def audit(endpoint, handler):
        if endpoint.method == 'GET':
            return handler
        ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp.typedefs import Handler

from colibris.conf import ImproperlyConfigured
from colibris.endpoints import Endpoint

Special = Callable[[Endpoint, Handler], Handler]
S = TypeVar('S', bound=Special)

# By identity: an attribute would be taken over by whoever wraps a middleware, and what is added there be passed by.
_special: dict[int, tuple[object, Special]] = {}


def specialises(middleware: Callable[..., Any]) -> Callable[[S], S]:
    """Use the decorated function of an endpoint and a handler in place of *middleware*, where the endpoint is known.

    It is called once for each endpoint, at the start of the application, with the handler behind the middleware. It
    returns what is to be called with each request: a handler that does the same as the middleware would, or the handler
    that it was given where there is nothing to do. The middleware itself is still called for what has no endpoint of
    ours: static files, sub-applications, and what is not found.
    """

    def decorate(special: S) -> S:
        _special[id(middleware)] = middleware, special
        return special

    return decorate


def special_handler(middleware: Any, endpoint: Endpoint, handler: Handler) -> Handler | None:
    """Return what is called for *endpoint* in place of *middleware*; None if that is not specialised.

    Raises ImproperlyConfigured if it is no function.
    """
    known = _special.get(id(middleware))
    if known is None:
        return None
    special = known[1]
    found = special(endpoint, handler)
    if not callable(found):
        raise ImproperlyConfigured(
            f'MIDDLEWARE: {special.__module__}.{special.__qualname__} must return a handler, not {found!r}',
            setting='MIDDLEWARE',
        )
    return found
