"""Ids of requests: taken from who knows it already, or made; told to the client, and in each line of the log."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from itertools import chain, count

from aiohttp import web
from multidict import istr

from colibris.conf import settings
from colibris.logs.context import REQUEST_ID_HEADER, set_request_id
from colibris.responses import HEADERS

#: What is taken from a client: no more than this goes into logs, and nothing that could end a line.
_FORM = re.compile(r'[A-Za-z0-9._:+/=@-]{1,128}\Z')

#: Looked for in headers without a change of case each time.
_HEADER = istr(REQUEST_ID_HEADER)

#: The ends of ids, as it costs less to look one up than to write a number.
_ENDS = tuple(f'{number:03x}' for number in range(0x1000))


def identifier() -> Callable[[web.Request], None] | None:
    """Return what gives a request its id; None if REQUEST_IDS says that it needs none."""
    if not settings.REQUEST_IDS:
        return None
    made = _ids()

    def identify(request: web.Request) -> None:
        given = request._headers.get(_HEADER)
        request_id = given if given is not None and _FORM.match(given) else next(made)
        set_request_id(request_id)
        # The first header that anybody adds, and of a form that needs no check.
        request._state[HEADERS] = [(REQUEST_ID_HEADER, request_id)]

    return identify


def _ids() -> Iterator[str]:
    """Return ids of 32 characters that no other process has; they are no secrets."""
    process = secrets.token_hex(10)
    return chain.from_iterable(map(f'{process}{number:09x}'.__add__, _ENDS) for number in count())
