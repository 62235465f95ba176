"""Answers of views, kept and given again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ETag, hdrs, web

from colibris import api
from colibris.cache.errors import NotKept
from colibris.cache.subsystem import subsystem
from colibris.endpoints import endpoint_of
from colibris.responses import JSONResponse
from colibris.security import ACCOUNT, DummyAccount

#: The headers of requests that the key is made of, or stand for the account; whoever else keeps answers must heed them.
_VARY = 'Accept, Accept-Language, Authorization, Cookie'
_HEEDED = frozenset({'accept', 'accept-language', 'accept-encoding'})
#: What is made anew for each answer.
_NOT_KEPT = frozenset({'date', 'server', 'content-length', 'etag', 'connection', 'transfer-encoding', 'vary'})
#: What goes with 304 (RFC 9110, 15.4.5), beside ETag and Vary.
_OF_304 = frozenset({'cache-control', 'content-location', 'expires', 'content-language', 'last-modified'})
#: For how long it is remembered that the answer under a key may not be kept, in seconds, and of how many keys.
_REMEMBERED, _MOST = 60.0, 10_000

#: Keys whose answers were not to be kept: those who ask for them do not wait for one another.
_passing: dict[str, float] = {}

Call = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Policy:
    """How the answers of one view are kept."""

    name: str
    lifetime: float | None
    stale: float


async def answer(request: web.Request, call: Call, policy: Policy, custom: str | None) -> web.StreamResponse:
    """Return the answer that is kept for *request*, or make one by *call* and keep it if that may be.

    However many ask for the same at once, it is made once. *custom* is the caller's own part of the key in place of
    path and query.
    """
    account = _account_of(request)
    if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD) or account is None:
        return _respond(request, await call())
    key = _key(request, account, policy, custom)
    if _passing.get(key, 0) > time.monotonic():
        return await _pass(request, call, policy, key, account)

    async def make() -> dict[str, Any]:
        try:
            response = _respond(request, await call())
        except web.HTTPException as exc:  # a response, which cannot be sent to more than one
            raise NotKept(request, exc) from None
        if not _may_be_kept(response, account):
            _remember(key)
            raise NotKept(request, response)
        return _keep(response, account)

    try:
        kept = await subsystem.backend.get_or_set(key, make, policy.lifetime, stale=policy.stale)
    except NotKept as exc:
        asked, response = exc.args
        if asked is not request:
            return _respond(request, await call())
        if isinstance(response, Exception):
            raise response from None
        return response  # type: ignore[no-any-return]
    return _restore(request, kept)


async def forget(request: web.Request, policy: Policy, custom: str | None) -> bool:
    """Remove what is kept for *request*; return whether there was something."""
    account = _account_of(request)
    if account is None:
        return False
    methods = (hdrs.METH_GET, hdrs.METH_HEAD)
    return await subsystem.backend.delete_many(_key(request, account, policy, custom, m) for m in methods) > 0


async def _pass(request: web.Request, call: Call, policy: Policy, key: str, account: str) -> web.StreamResponse:
    kept = await subsystem.backend.get(key)
    if kept is None:
        response = _respond(request, await call())
        if not _may_be_kept(response, account):
            return response
        _passing.pop(key, None)
        kept = _keep(response, account)
        await subsystem.backend.set(key, kept, policy.lifetime)
    return _restore(request, kept)


def _remember(key: str) -> None:
    if len(_passing) >= _MOST:
        _passing.clear()
    _passing[key] = time.monotonic() + _REMEMBERED


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
    kind = f'{type(account).__module__}.{type(account).__qualname__}'
    if isinstance(account, (str, int)):
        return f'{kind}:{account}'
    if isinstance(account, Mapping):
        subject = account.get('sub')
        return None if subject is None else f'sub:{account.get("iss", "")!r}:{subject!r}'
    for attribute in ('pk', 'id', 'sub'):
        if (identity := getattr(account, attribute, None)) is not None:
            return f'{kind}:{identity!r}'
    return None


def _key(request: web.Request, account: str, policy: Policy, custom: str | None, method: str | None = None) -> str:
    url = request.rel_url  # as it was sent: decoded, different queries may look the same
    parts = [
        policy.name,
        method or request.method,
        request.scheme,
        request.host,
        *([url.raw_path, url.raw_query_string] if custom is None else [custom]),
        account,
        *(request.headers.getall(name, []) for name in (hdrs.ACCEPT_LANGUAGE, hdrs.ACCEPT)),
    ]
    return 'view:' + hashlib.sha256(api.encode_json(parts)).hexdigest()


def _may_be_kept(response: web.StreamResponse, account: str) -> bool:
    rules = response.headers.get(hdrs.CACHE_CONTROL, '').lower()
    vary = {name.strip().lower() for line in response.headers.getall(hdrs.VARY, []) for name in line.split(',')}
    return (
        isinstance(response, web.Response)
        and type(response) in (web.Response, JSONResponse)
        and response.status == 200
        and not response.prepared
        and isinstance(response.body, (bytes, bytearray))
        and not response.cookies
        and hdrs.SET_COOKIE not in response.headers
        and 'no-store' not in rules
        and ('private' not in rules or bool(account))
        and vary <= (_HEEDED | {'authorization', 'cookie'} if account else _HEEDED)
    )


def _keep(response: web.StreamResponse, account: str) -> dict[str, Any]:
    assert isinstance(response, web.Response)
    body = response.body
    assert isinstance(body, (bytes, bytearray))
    given = response.etag
    headers = [[str(name), value] for name, value in response.headers.items() if name.lower() not in _NOT_KEPT]
    if account and hdrs.CACHE_CONTROL not in response.headers:
        headers.append([str(hdrs.CACHE_CONTROL), 'private'])
    kind = response.headers.get(hdrs.CONTENT_TYPE, '').encode()
    return {
        'headers': headers,
        'etag': given.value if given is not None else hashlib.sha256(kind + b'\0' + body).hexdigest()[:32],
        'weak': given.is_weak if given is not None else response.compression,
        'compress': response.compression,
        'body': bytes(body),
    }


def _restore(request: web.Request, kept: dict[str, Any]) -> web.StreamResponse:
    etag = ETag(value=kept['etag'], is_weak=kept['weak'])
    known = request.if_none_match
    if known is not None and any(tag.value in (etag.value, '*') for tag in known):
        response = web.Response(status=304)
        headers = [pair for pair in kept['headers'] if pair[0].lower() in _OF_304]
    else:
        response = web.Response(body=kept['body'])
        headers = kept['headers']
        response.headers.popall(hdrs.CONTENT_TYPE, None)
        if kept['compress']:
            response.enable_compression()
    for name, value in headers:
        response.headers.add(name, value)
    response.etag = etag
    response.headers[hdrs.VARY] = _VARY
    return response
