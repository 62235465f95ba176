"""Answers of views, kept and given again."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ETag, hdrs, web

from colibris import api
from colibris.cache.subsystem import subsystem
from colibris.endpoints import endpoint_of
from colibris.security import ACCOUNT, DummyAccount

_VARY = 'Accept, Accept-Language, Authorization, Cookie'
#: What is made anew for each answer.
_NOT_KEPT = frozenset({'date', 'server', 'content-length', 'etag', 'connection', 'transfer-encoding', 'vary'})


async def answer(
    request: web.Request, call: Callable[[], Awaitable[Any]], lifetime: float | None, custom: str | None
) -> web.StreamResponse:
    """Return the answer that is kept for *request*, or make one by *call* and keep it if that may be.

    *custom* is the caller's own part of the key in place of path and query.
    """
    account = _account_of(request)
    if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD) or account is None:
        return _respond(request, await call())
    key = _key(request, account, custom)
    kept = await subsystem.backend.get(key)
    if kept is None:
        response = _respond(request, await call())
        if not _may_be_kept(response):
            return response
        kept = _keep(response)
        await subsystem.backend.set(key, kept, lifetime)
    return _restore(request, kept)


def _respond(request: web.Request, result: Any) -> web.StreamResponse:
    endpoint = endpoint_of(request)
    if endpoint is not None:
        return endpoint.respond(result)
    return result if isinstance(result, web.StreamResponse) else api.json_response(result)


def _account_of(request: web.Request) -> str | None:
    """Return what tells the account of *request* apart from others; None if nothing does, and nothing may be kept."""
    account: Any = request.get(ACCOUNT)
    if account is None or isinstance(account, DummyAccount):
        return ''
    for attribute in ('pk', 'id', 'sub'):
        if (identity := getattr(account, attribute, None)) is not None:
            return f'{type(account).__qualname__}:{identity}'
    if isinstance(account, dict) and (subject := account.get('sub')) is not None:
        return f'sub:{account.get("iss", "")}:{subject}'
    return None


def _key(request: web.Request, account: str, custom: str | None) -> str:
    place = [request.path, request.query_string] if custom is None else [custom]
    parts = [
        request.method,
        request.scheme,
        request.host,
        *place,
        account,
        request.headers.get(hdrs.ACCEPT_LANGUAGE, ''),
        request.headers.get(hdrs.ACCEPT, ''),
    ]
    return 'view:' + hashlib.sha256(api.encode_json(parts)).hexdigest()


def _may_be_kept(response: web.StreamResponse) -> bool:
    return (
        type(response) is web.Response
        and response.status == 200
        and isinstance(response.body, (bytes, bytearray))
        and not response.cookies
        and hdrs.SET_COOKIE not in response.headers
        and 'no-store' not in response.headers.get(hdrs.CACHE_CONTROL, '')
        and '*' not in response.headers.get(hdrs.VARY, '')
    )


def _keep(response: web.StreamResponse) -> dict[str, Any]:
    assert isinstance(response, web.Response)
    body = response.body
    assert isinstance(body, (bytes, bytearray))
    given = response.etag
    vary = response.headers.get(hdrs.VARY)
    return {
        'headers': [[str(name), value] for name, value in response.headers.items() if name.lower() not in _NOT_KEPT],
        'vary': f'{_VARY}, {vary}' if vary else _VARY,
        'etag': given.value if given is not None else hashlib.sha256(body).hexdigest()[:32],
        'weak': given is not None and given.is_weak,
        'body': bytes(body),
    }


def _restore(request: web.Request, kept: dict[str, Any]) -> web.StreamResponse:
    etag = ETag(kept['etag'], kept['weak'])
    known = request.if_none_match
    if known is not None and any(tag.value in (etag.value, '*') for tag in known):
        response = web.Response(status=304)
    else:
        response = web.Response(body=kept['body'])
        for name, value in kept['headers']:
            if name.lower() == 'content-type':
                response.headers[name] = value
            else:
                response.headers.add(name, value)
    response.etag = etag
    response.headers[hdrs.VARY] = kept['vary']
    return response
