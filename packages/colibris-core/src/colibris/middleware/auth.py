"""Authentication and authorization, by the guard that a subsystem installs."""

from collections.abc import Awaitable
from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from colibris import api, security
from colibris.endpoints import Endpoint, endpoint_of
from colibris.middleware.special import specialises
from colibris.throttling import Throttle


@web.middleware
async def handle_auth(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in only who may do what the request asks for, and not too often; see ``request[ACCOUNT]`` for the account."""
    endpoint = endpoint_of(request)
    if endpoint is not None and endpoint.throttle is not None:
        return await throttled(endpoint, endpoint.throttle, handler)(request)
    request[security.ACCOUNT] = await security.current_guard().admit(request, endpoint)
    return await handler(request)


@specialises(handle_auth)
def guarded(endpoint: Endpoint, handler: Handler) -> Handler:
    """Return *handler* behind the guard."""

    @wraps(handler)
    async def admit(request: web.Request) -> web.StreamResponse:
        request._state[security.ACCOUNT] = await security.current_guard().admit(request, endpoint)
        return await handler(request)

    if endpoint.throttle is not None:
        return throttled(endpoint, endpoint.throttle, handler)
    if endpoint.protected:
        return admit

    @wraps(handler)
    def admit_anybody(request: web.Request) -> Awaitable[web.StreamResponse]:
        if not security.is_guarded():
            request._state[security.ACCOUNT] = security.NOBODY
        elif security.current_guard().is_anonymous(request):
            request._state[security.ACCOUNT] = None
        else:
            return admit(request)
        return handler(request)

    return admit_anybody


def throttled(endpoint: Endpoint, throttle: Throttle, handler: Handler) -> Handler:
    """Return *handler* behind the guard and a limit of how often it may be used.

    Who is refused by the guard counts by his address, so that nobody tries passwords and tokens as often as he likes.
    """

    @wraps(handler)
    async def admit_address(request: web.Request) -> web.StreamResponse:
        await throttle.admit(request, None)
        request[security.ACCOUNT] = await security.current_guard().admit(request, endpoint)
        return await handler(request)

    @wraps(handler)
    async def admit(request: web.Request) -> web.StreamResponse:
        try:
            account = request[security.ACCOUNT] = await security.current_guard().admit(request, endpoint)
        except api.Unauthenticated:
            await throttle.admit(request, None)
            raise
        await throttle.admit(request, account)
        return await handler(request)

    return admit_address if throttle.by_address else admit
