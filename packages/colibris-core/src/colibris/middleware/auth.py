"""Authentication and authorization, by the guard that a subsystem installs."""

from collections.abc import Awaitable
from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from colibris import security
from colibris.endpoints import Endpoint, endpoint_of
from colibris.middleware.special import specialises


@web.middleware
async def handle_auth(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in only who may do what the request asks for; the account is found at ``request[ACCOUNT]``."""
    request[security.ACCOUNT] = await security.current_guard().admit(request, endpoint_of(request))
    return await handler(request)


@specialises(handle_auth)
def guarded(endpoint: Endpoint, handler: Handler) -> Handler:
    """Return *handler* behind the guard."""

    @wraps(handler)
    async def admit(request: web.Request) -> web.StreamResponse:
        request[security.ACCOUNT] = await security.current_guard().admit(request, endpoint)
        return await handler(request)

    if endpoint.protected:
        return admit

    @wraps(handler)
    def admit_anybody(request: web.Request) -> Awaitable[web.StreamResponse]:
        if security.is_guarded():
            return admit(request)
        request[security.ACCOUNT] = security.NOBODY
        return handler(request)

    return admit_anybody
