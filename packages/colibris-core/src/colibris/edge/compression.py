"""Compression of large answers, but of none from whose length somebody could guess a secret.

Who can make a browser send requests, and see how long the answers are, learns a secret in them step by step if what he
sends stands beside it and both are compressed together (BREACH). Browsers send cookies by themselves, and names and
passwords (``Basic`` and others), but no tokens: so what a request with those gets is not compressed unless its view
says ``compress = True``. Neither is what sets cookies or must not be stored, as the answers to logins.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from aiohttp import hdrs, web
from aiohttp.helpers import ETag

from colibris import responses
from colibris.conf import settings
from colibris.edge.layer import Handle, invalid, options
from colibris.endpoints import endpoint_of

DEFAULTS = {'minimum': 1024, 'level': 5}

#: From how many bytes on a thread compresses, so that the event loop is not held.
_IN_THREAD = 32 * 1024

_TYPES = frozenset(
    {
        *('application/json', 'application/problem+json', 'application/javascript', 'application/xml'),
        *('text/html', 'text/plain', 'text/css', 'text/csv', 'text/javascript', 'text/xml', 'image/svg+xml'),
    }
)

Compress = Callable[[bytes], bytes]


def layer(handle: Handle) -> Handle:
    """Compress answers if COMPRESSION says so."""
    value = settings.COMPRESSION
    if value is False:
        return handle
    given = options('COMPRESSION', value, DEFAULTS)
    minimum = _number('minimum', given['minimum'], 0, 2**31)
    codings = _codings(_number('level', given['level'], 1, 9))

    async def compress(request: web.Request) -> web.StreamResponse:
        response = await handle(request)
        if not isinstance(response, web.Response) or (body := _compressible(response, minimum)) is None:
            return response
        responses.add_header(request, hdrs.VARY, hdrs.ACCEPT_ENCODING)
        coding = negotiate(request.headers.get(hdrs.ACCEPT_ENCODING, ''), codings)
        if coding is None or request.method == hdrs.METH_HEAD or not _is_harmless(request, response):
            return response
        make = codings[coding]
        packed = make(body) if len(body) < _IN_THREAD else await asyncio.to_thread(make, body)
        if len(packed) < len(body):
            _replace(response, packed, coding)
        return response

    return compress


def _replace(response: web.Response, packed: bytes, coding: str) -> None:
    response.body = packed
    response.headers[hdrs.CONTENT_ENCODING] = coding
    if (etag := response.etag) is not None and not etag.is_weak:
        response.etag = ETag(etag.value, is_weak=True)  # other bytes of the same meaning


def _compressible(response: web.Response, minimum: int) -> bytes | None:
    """Return the body of *response* if it is worth to be compressed."""
    if response.prepared or response.status in (204, 206, 304):
        return None
    body = response.body
    if not isinstance(body, bytes) or len(body) < minimum or response.content_type not in _TYPES:
        return None
    return None if hdrs.CONTENT_ENCODING in response.headers else body


def _is_harmless(request: web.Request, response: web.Response) -> bool:
    rules = response.headers.get(hdrs.CACHE_CONTROL, '').lower()
    if 'no-store' in rules or 'no-transform' in rules:
        return False
    if response.cookies or hdrs.SET_COOKIE in response.headers or responses.has_hooks(request):
        return False
    return not _shows_who_sends(request) or _view_allows(request)


def _shows_who_sends(request: web.Request) -> bool:
    """Tell whether a browser may have said by itself who sends *request*."""
    credentials = request.headers.get(hdrs.AUTHORIZATION)
    return hdrs.COOKIE in request.headers or (credentials is not None and not credentials.lower().startswith('bearer '))


def _view_allows(request: web.Request) -> bool:
    endpoint = endpoint_of(request) if request.match_info is not None else None
    return endpoint is not None and bool(
        getattr(endpoint.function, 'compress', getattr(endpoint.view, 'compress', False))
    )


def negotiate(accepted: str, codings: Mapping[str, Any]) -> str | None:
    """Return the first of *codings* that *accepted*, the header Accept-Encoding, takes (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(','):
        name, _, parameters = part.partition(';')
        weights[name.strip()] = _weight(parameters)
    taken = {name: weights.get(name, weights.get('*', 0.0)) for name in codings}
    best = max(taken, key=lambda name: taken[name])
    return best if taken[best] > 0 else None


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition('=')
    if name.strip() != 'q':
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def _codings(level: int) -> dict[str, Compress]:
    """Return what can be done, the best first."""
    found: dict[str, Compress] = {}
    if find_spec('brotli') is not None:
        import brotli  # type: ignore[import-not-found]

        found['br'] = lambda body: brotli.compress(body, quality=level)
    found['gzip'] = lambda body: _gzip(body, level)
    return found


def _gzip(body: bytes, level: int) -> bytes:
    maker = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return maker.compress(body) + maker.flush()


def _number(key: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid('COMPRESSION', f'{key} must be a whole number from {least} to {most}, not {value!r}')
    return value
