"""Validation of query parameters and bodies."""

from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from colibris.endpoints import Endpoint, endpoint_of
from colibris.middleware.special import specialises


@web.middleware
async def handle_schema_validation(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the query and the body against what the view declares; the handler finds the checked data."""
    endpoint = endpoint_of(request)
    if endpoint is not None:
        await _check(request, endpoint)
    return await handler(request)


@specialises(handle_schema_validation)
def checked(endpoint: Endpoint, handler: Handler) -> Handler:
    """Return *handler* behind the checks of *endpoint*: as it is, if there is nothing to check."""
    body, query = endpoint.body, endpoint.query
    if body is None and query is None:
        return handler
    if body is None or query is not None:

        @wraps(handler)
        async def check(request: web.Request) -> web.StreamResponse:
            await _check(request, endpoint)
            return await handler(request)

        return check

    @wraps(handler)
    async def check_body(request: web.Request) -> web.StreamResponse:
        await body.load(request)
        return await handler(request)

    return check_body


async def _check(request: web.Request, endpoint: Endpoint) -> None:
    if endpoint.query is not None and (endpoint.method == 'GET' or request.query_string):
        endpoint.query.load(request)
    if endpoint.body is not None:
        await endpoint.body.load(request)
