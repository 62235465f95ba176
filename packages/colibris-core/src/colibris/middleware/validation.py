"""Validation of query parameters and bodies."""

from aiohttp import web
from aiohttp.typedefs import Handler

from colibris.endpoints import endpoint_of
from colibris.requests import load_body, load_query


@web.middleware
async def handle_schema_validation(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the query and the body against what the view declares; the handler finds the checked data."""
    endpoint = endpoint_of(request)
    if endpoint is not None:
        if endpoint.query_schema is not None and (request.query_string or endpoint.method == 'GET'):
            load_query(request, endpoint.query_schema)
        if endpoint.body_schema is not None:
            await load_body(request, endpoint.body_schema)
    return await handler(request)
