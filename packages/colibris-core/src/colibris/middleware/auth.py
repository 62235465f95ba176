"""Authentication and authorization, by the guard that a subsystem installs."""

from aiohttp import web
from aiohttp.typedefs import Handler

from colibris import security
from colibris.endpoints import endpoint_of


@web.middleware
async def handle_auth(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in only who may do what the request asks for; the account is found at ``request[ACCOUNT]``."""
    request[security.ACCOUNT] = await security.current_guard().admit(request, endpoint_of(request))
    return await handler(request)
