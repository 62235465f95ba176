"""Who may open WebSockets: browsers send cookies along, and let every page try, whatever CORS says (RFC 6455, 10.2).

So the service looks itself where the page comes from: from the service's own host, or from an origin that `CORS` lists.
Programs that are no browsers send no ``Origin``, and bring their credentials themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from aiohttp import hdrs, web

from colibris.conf import settings
from colibris.edge.cors import CrossOriginDenied, Rules, rules_of
from colibris.edge.layer import Handle, refuse

logger = logging.getLogger(__name__)

_PORTS = {'http': ':80', 'https': ':443'}


def layer(handle: Handle) -> Handle:
    """Refuse handshakes of pages of other origins; CORS lets them in."""
    rules = None if settings.CORS is None else rules_of(settings.CORS)

    def check(request: web.Request) -> Awaitable[web.StreamResponse]:
        if hdrs.UPGRADE not in request._headers or _may_open(request, rules):
            return handle(request)
        return _refuse(request)

    return check


def _may_open(request: web.Request, rules: Rules | None) -> bool:
    """Tell whether *request* is no handshake, or one of a program, of a page of our own, or of one that is let in."""
    if 'websocket' not in request.headers[hdrs.UPGRADE].lower():
        return True
    return all(_is_own(request, origin) or _is_listed(request, origin, rules) for origin in _origins(request))


def _origins(request: web.Request) -> list[str]:
    return request.headers.getall(hdrs.ORIGIN, [])


def _is_own(request: web.Request, origin: str) -> bool:
    """Tell whether *origin* is that of the host that *request* names.

    A page without TLS is none of a service with TLS, as whoever is in between may have made it. A page with TLS may be
    one of a service without, as a proxy of which nothing is known may stand in front of it.
    """
    scheme, _, place = origin.lower().partition('://')
    port = _PORTS.get(scheme)
    if port is None or (scheme == 'http' and request.scheme == 'https'):
        return False
    return place.removesuffix(port) == request.host.lower().removesuffix(port)


def _is_listed(request: web.Request, origin: str, rules: Rules | None) -> bool:
    """Tell whether CORS lets *origin* in: everybody's pages only without what tells whose browser it is."""
    if rules is None:
        return False
    if rules.for_everybody:
        return hdrs.COOKIE not in request.headers and hdrs.AUTHORIZATION not in request.headers
    return rules.allowed_origin(origin) is not None


async def _refuse(request: web.Request) -> web.StreamResponse:
    logger.warning(
        'a page of %.100r may not open a WebSocket to %.100r: list its origin in CORS if it is one of yours',
        *(', '.join(_origins(request)), request.host),
    )
    return refuse(request, CrossOriginDenied('pages of this origin may not open WebSockets'))
