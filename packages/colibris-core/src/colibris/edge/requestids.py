"""Ids of requests: taken from who knows it already, or made; told to the client, and in each line of the log."""

from __future__ import annotations

import random
import re

from aiohttp import web

from colibris import responses
from colibris.conf import settings
from colibris.edge.layer import Handle
from colibris.logs.context import REQUEST_ID_HEADER, set_request_id

#: What is taken from a client: no more than this goes into logs, and nothing that could end a line.
_FORM = re.compile(r'[A-Za-z0-9._:+/=@-]{1,128}\Z')


def layer(handle: Handle) -> Handle:
    """Give each request an id."""
    if not settings.REQUEST_IDS:
        return handle

    make = random.Random().getrandbits  # seeded by the system; ids are no secrets

    async def identify(request: web.Request) -> web.StreamResponse:
        given = request.headers.get(REQUEST_ID_HEADER)
        request_id = given if given is not None and _FORM.match(given) else f'{make(128):032x}'
        set_request_id(request_id)
        responses.add_header(request, REQUEST_ID_HEADER, request_id)
        return await handle(request)

    return identify
