"""Ids of requests: taken from who knows it already, or made; told to the client, and in each line of the log."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from itertools import count

from aiohttp import web

from colibris import responses
from colibris.conf import settings
from colibris.logs.context import REQUEST_ID_HEADER, set_request_id

#: What is taken from a client: no more than this goes into logs, and nothing that could end a line.
_FORM = re.compile(r'[A-Za-z0-9._:+/=@-]{1,128}\Z')


def identifier() -> Callable[[web.Request], None] | None:
    """Return what gives a request its id; None if REQUEST_IDS says that it needs none."""
    if not settings.REQUEST_IDS:
        return None
    process, numbers = secrets.token_hex(10), count()  # ids are no secrets

    def identify(request: web.Request) -> None:
        given = request.headers.get(REQUEST_ID_HEADER)
        request_id = given if given is not None and _FORM.match(given) else f'{process}{next(numbers):012x}'
        set_request_id(request_id)
        responses.add_header(request, REQUEST_ID_HEADER, request_id)

    return identify
