"""Validation of query parameters and bodies."""

from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from colibris.endpoints import Endpoint, endpoint_of


@web.middleware
async def handle_schema_validation(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the query and the body against what the view declares; the handler finds the checked data."""
    endpoint = endpoint_of(request)
    return await (handler if endpoint is None else for_endpoint(endpoint, handler))(request)


def for_endpoint(endpoint: Endpoint, handler: Handler) -> Handler:
    """Return *handler* behind the checks that *endpoint* needs: as it is, if it needs none."""
    body, query = endpoint.body, endpoint.query
    if body is None and query is None:
        return handler
    required = endpoint.method == 'GET'

    @wraps(handler)
    async def check(request: web.Request) -> web.StreamResponse:
        if query is not None and (required or request.query_string):
            query.load(request)
        if body is not None:
            await body.load(request)
        return await handler(request)

    return check


handle_schema_validation.for_endpoint = for_endpoint  # type: ignore[attr-defined]
