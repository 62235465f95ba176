"""From the bytes of a request to checked data: query parameters, and bodies in JSON or as forms."""

from __future__ import annotations

import asyncio
import re
from contextvars import ContextVar
from itertools import accumulate
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from aiohttp import web
from aiohttp.hdrs import CONTENT_TYPE
from aiohttp.http_exceptions import BadHttpMessage
from marshmallow import ValidationError, fields

from colibris import api
from colibris.conf import settings
from colibris.schemas.compiled import loader

if TYPE_CHECKING:
    from marshmallow import Schema
    from multidict import MultiMapping

FORM = 'application/x-www-form-urlencoded'
MULTIPART = 'multipart/form-data'

#: The request that is being answered, for what has no other way to know it, such as a template's language.
current_request: ContextVar[web.Request | None] = ContextVar('colibris_request', default=None)

# What aiohttp raises for forms that are broken, or whose sender goes away.
_FORM_ERRORS = (
    *(ValueError, LookupError, RuntimeError, AssertionError),
    *(BadHttpMessage, web.RequestPayloadError, ConnectionError),
)

#: How deep JSON may be nested where MAX_JSON_DEPTH does not say so; beyond it Python itself gives up.
MAX_JSON_DEPTH = 500

# One that does not end is a text up to the end of the document, so that no place is looked at twice.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
_STEPS = {ord('['): 1, ord('{'): 1, ord(']'): -1, ord('}'): -1}
_NO_BRACKETS = bytes(set(range(256)) - set(_STEPS))
_CHUNK = 4096

#: Where checked data waits for the handler.
BODY = web.RequestKey('body', object)
QUERY = web.RequestKey('query', object)


class QueryLoader:
    """Checks query parameters by *schema*."""

    __slots__ = ('_lists', '_load')

    def __init__(self, schema: Schema) -> None:
        self._load = loader(schema)
        self._lists = _list_names(schema)

    def load(self, request: web.Request) -> Any:
        """Return the query parameters of *request* as the schema loads them; the second call finds what the first did.

        Raises SchemaError, and ParseError for what is not UTF-8.
        """
        state = request._state
        if QUERY not in state:
            state[QUERY] = self._loaded(request)
        return state[QUERY]

    def _loaded(self, request: web.Request) -> Any:
        data: dict[str, Any] = {}
        quoted = request.rel_url.raw_query_string
        if quoted:
            _check_encoding(quoted, 'the query')
            data = _by_field(request.query, self._lists)
        nul = {name: ['Null characters are not allowed.'] for name, value in data.items() if '\0' in name + str(value)}
        if nul:
            raise api.SchemaError('some query parameters are not valid', details=nul)
        try:
            return self._load(data)
        except ValidationError as exc:
            raise api.SchemaError('some query parameters are not valid', details=messages_of(exc)) from exc


def load_query(request: web.Request, schema: Schema) -> Any:
    """Return the query parameters of *request* as *schema* loads them; see `QueryLoader`."""
    return QueryLoader(schema).load(request)


def _check_encoding(quoted: str | bytes, what: str) -> None:
    """Refuse bytes that are no UTF-8, which would silently become replacement characters."""
    try:
        unquote_to_bytes(quoted).decode()
    except UnicodeDecodeError as exc:
        raise api.ParseError(f'{what} is not valid UTF-8') from exc


class BodyLoader:
    """Checks bodies by *schema*."""

    __slots__ = ('_lists', '_load', '_max_depth')

    def __init__(self, schema: Schema) -> None:
        self._max_depth: int = settings.MAX_JSON_DEPTH if settings.loaded else MAX_JSON_DEPTH
        self._load = loader(schema)
        self._lists = _list_names(schema)

    async def load(self, request: web.Request) -> Any:
        """Return the body of *request* as the schema loads it; the second call finds what the first did.

        Raises ParseError, SchemaError, PayloadTooLarge and UnsupportedMediaType.
        """
        state = request._state  # the request itself is a slow mapping
        if BODY not in state:
            try:
                state[BODY] = await self._loaded(request)
            except ValidationError as exc:
                raise api.SchemaError('some fields of the body are not valid', details=messages_of(exc)) from exc
        return state[BODY]

    async def _loaded(self, request: web.Request) -> Any:
        if _is_json(request):
            body = received(request)
            if body is None:
                body = await read(request)
            if is_too_deep(body, self._max_depth):
                raise api.ParseError(f'the body is not accepted: it is nested deeper than {self._max_depth} levels')
            return self._load.json(body)
        return self._load(_by_field(await _read_form(request), self._lists))


async def load_body(request: web.Request, schema: Schema) -> Any:
    """Return the body of *request* as *schema* loads it; see `BodyLoader`."""
    return await BodyLoader(schema).load(request)


def messages_of(error: ValidationError) -> dict[str, Any]:
    """Return the messages of a marshmallow *error* by field name."""
    messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
    return messages


def _is_json(request: web.Request) -> bool:
    """Tell whether the body of *request* is JSON; otherwise it is a form. Raises what says that it is neither."""
    if request.headers.get(CONTENT_TYPE) == api.JSON:
        return True
    content_type = request.content_type if CONTENT_TYPE in request.headers else None
    if content_type == api.JSON or (content_type or '').endswith('+json'):
        if (request.charset or 'utf-8').lower() not in ('utf-8', 'utf8', 'us-ascii'):
            raise api.UnsupportedMediaType('JSON must be encoded in UTF-8')
        return True
    if content_type in (FORM, MULTIPART):
        return False
    if content_type is None and not request.body_exists:
        raise api.ParseError(f'the body is missing; send one as {api.JSON}')
    given = f'not {content_type}' if content_type else 'and say so in the Content-Type header'
    raise api.UnsupportedMediaType(f'send the body as {api.JSON}, {FORM} or {MULTIPART}, {given}')


async def read(request: web.Request) -> bytes:
    """Return the body of *request*. Raises PayloadTooLarge before reading what is announced to be too large."""
    limit = request.client_max_size
    if limit and (request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, request.content_length or 0)
    try:
        return await request.read()
    except (web.RequestPayloadError, BadHttpMessage, ConnectionError) as exc:
        raise api.ParseError('the body ended early or is not encoded as its headers say') from exc


def received(request: web.Request) -> bytes | None:
    """Return the body of *request* if all of it has come without a fault; None if it has to be waited for by `read`.

    Raises PayloadTooLarge as `read` does.
    """
    if request._read_bytes is not None:
        return request._read_bytes
    content = request.content
    if not content.is_eof() or content.exception() is not None or request._message.compression:
        return None
    buffer: Any = getattr(content, '_buffer', ())  # aiohttp's reader of what is empty has none
    if len(buffer) == 1 and not content._buffer_offset and not content._protocol._reading_paused:
        body: bytes = buffer.popleft()  # as read_nowait does, but no transport resumes that never paused
        content._size -= len(body)
        content._cursor += len(body)
    else:
        body = content.read_nowait()
    limit = request.client_max_size
    if limit and len(body) > limit:
        raise web.HTTPRequestEntityTooLarge(limit)
    request._read_bytes = body
    return body


def body_fault(request: web.Request, error: Exception) -> str | None:
    """Return what is wrong with the body of *request* if *error* comes of it: of ``request.json()`` in a handler."""
    body = request._read_bytes
    if body is None:
        return None
    if isinstance(error, JSONDecodeError):
        text = body.decode(request.charset or 'utf-8', 'replace')
        return f'the body is not valid JSON: {error}' if error.doc == text else None
    if isinstance(error, RecursionError) and is_too_deep(body, MAX_JSON_DEPTH):
        return 'the body is not accepted: it is nested too deeply'
    if isinstance(error, UnicodeDecodeError) and error.object == body:
        return f'the body is not valid {error.encoding}: at byte {error.start}'
    return None


def is_too_deep(body: bytes, limit: int) -> bool:
    """Tell whether arrays and objects of the JSON document *body* lie within one another in over *limit* levels."""
    if body.count(b'[') + body.count(b'{') <= limit:
        return False
    brackets = _TEXT.sub(b'', body).translate(None, _NO_BRACKETS)
    depth = 0
    for start in range(0, len(brackets), _CHUNK):
        depths = list(accumulate(map(_STEPS.__getitem__, brackets[start : start + _CHUNK]), initial=depth))
        if max(depths) > limit:
            return True
        depth = depths[-1]
    return False


async def _read_form(request: web.Request) -> MultiMapping[Any]:
    if request.content_type == FORM:
        _check_encoding(await read(request), 'the form')
    try:
        return await request.post()
    except (asyncio.CancelledError, web.HTTPException):
        raise
    except _FORM_ERRORS as exc:
        raise api.ParseError(f'the body is not a valid form: {exc}') from exc


def _list_names(schema: Schema) -> frozenset[str]:
    """Return the names, as clients write them, of the fields of *schema* that take several values."""
    return frozenset(
        field.data_key or name
        for name, field in schema.load_fields.items()
        if isinstance(field, (fields.List, fields.Tuple))
    )


def _by_field(values: MultiMapping[Any], lists: frozenset[str]) -> dict[str, Any]:
    """Turn repeated *values* into lists where a field is one of *lists*, and refuse them elsewhere."""
    data: dict[str, Any] = {}
    repeated: dict[str, list[str]] = {}
    for name in dict.fromkeys(values):
        given = values.getall(name)
        if name in lists:
            data[name] = given
        else:
            data[name] = given[0]
            if len(given) > 1:
                repeated[name] = [f'Given {len(given)} times; give it once.']
    if repeated:
        raise api.SchemaError('some values are given more than once', details=repeated)
    return data
