"""Responses of JSON bytes, which cost less than `aiohttp.web.Response` as long as nobody changes them.

To whoever looks, a `JSONResponse` is a ``web.Response``: its headers, cookies and compression work, and what it sends
is equal to the byte. What most answers never need, it makes when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp import hdrs, web
from aiohttp.compression_utils import MAX_SYNC_CHUNK_SIZE
from aiohttp.helpers import EMPTY_BODY_STATUS_CODES, rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE, HttpVersion11, StreamWriter
from aiohttp.web_response import REASON_PHRASES
from multidict import CIMultiDict

from colibris.logs.context import REQUEST_ID_HEADER

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.web_request import BaseRequest

JSON: Final = 'application/json'

H = TypeVar('H', bound=Callable[..., Any])

#: What is to be done to the response of a request before its headers are sent; see `finish`.
RESPONSE_HOOKS = web.RequestKey('response_hooks', list[Callable[[web.StreamResponse], None]])

#: Headers of the answer to a request, whichever it will be; see `add_header`.
HEADERS = web.RequestKey('headers', list[tuple[str, str]])

_indifferent: list[Callable[..., Any]] = []


def indifferent(handler: H) -> H:
    """Declare that *handler*, of the signal ``on_response_prepare``, does nothing to a plain JSON response.

    It is not called for those, unless the request has hooks by `on_response`.
    """
    _indifferent.append(handler)
    return handler


def on_response(request: web.Request, hook: Callable[[web.StreamResponse], None]) -> None:
    """Call *hook* with the response of *request*, whichever it will be, before its headers are sent.

    It may change the headers; the response's cookies are among them by then.
    """
    request.setdefault(RESPONSE_HOOKS, []).append(hook)


def has_hooks(request: web.Request) -> bool:
    """Tell whether something waits for the response of *request* by `on_response`."""
    return RESPONSE_HOOKS in request._state


def add_header(request: web.Request, name: str, value: str) -> None:
    """Add a header to the response of *request*, whichever it will be; it may be there several times.

    It stands beside such headers of the response itself, unless there can be but one (see `_REPLACED` and `_KEPT`). It
    costs less than `on_response`. Raises ValueError for a *value* that would not stay one line.
    """
    if '\r' in value or '\n' in value:
        raise ValueError(f'the header {name} cannot hold a line break')
    request._state.setdefault(HEADERS, []).append((name, value))


def set_default_headers(headers: Mapping[str, str]) -> None:
    """Let each response of this process have *headers* where it has no such header of its own."""
    global _defaults, _default_lines, _date
    _defaults, _date = dict(headers), ''
    _default_lines = ''.join(f'{name}: {value}\r\n' for name, value in headers.items())


def finish(request: web.Request, response: web.StreamResponse) -> None:
    """Give *response* what the one to *request* is to have; for the signal ``on_response_prepare``."""
    for hook in request._state.get(RESPONSE_HOOKS, ()):
        hook(response)
    _add_headers(request, response.headers)


def _add_headers(request: BaseRequest, headers: CIMultiDict[str]) -> None:
    for name, value in request._state.get(HEADERS, ()):
        if name in headers:
            if name in _REPLACED:
                headers[name] = value
                continue
            if name in _KEPT or (name == hdrs.VARY and _lists(headers, name, value)):
                continue
        headers.add(name, value)
    for name, value in _defaults.items():
        headers.setdefault(name, value)


#: Headers of which a response has but one: what is added replaces what the response says itself, or does not.
_REPLACED: Final = frozenset(
    {hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS, hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, REQUEST_ID_HEADER}
)
_KEPT: Final = frozenset({hdrs.STRICT_TRANSPORT_SECURITY})


def _lists(headers: CIMultiDict[str], name: str, value: str) -> bool:
    """Tell whether the list *name* of *headers* has *value* already."""
    listed = ','.join(headers.getall(name)).lower()
    return not {'*', value.lower()}.isdisjoint(text.strip() for text in listed.split(','))


class JSONResponse(web.Response):
    """A response whose body is the JSON document *body*."""

    # Looked for in each response by aiohttp; here, so that it is found.
    __http_exception__ = False
    _zlib_executor = None
    _zlib_executor_size = MAX_SYNC_CHUNK_SIZE
    #: The header Location, if it has one from the beginning.
    _location: str | None = None

    def __init__(self, body: bytes, status: int = 200, location: str | None = None) -> None:
        # No more attributes than these: each further one tells that somebody has changed the response.
        self._body = body
        self._status = status
        if location is not None:
            if '\r' in location or '\n' in location:
                raise ValueError('the header Location cannot hold a line break')
            self._location = location

    def __getattr__(self, name: str) -> Any:
        make = _MISSING.get(name)
        if make is None:
            raise AttributeError(f'{type(self).__name__!r} object has no attribute {name!r}')
        value = make(self)
        setattr(self, name, value)
        return value

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        attributes = self.__dict__
        headers = attributes.get('_headers')
        line = _LINES.get(self._status)
        writer = request._payload_writer
        if (
            len(attributes) != 2 + (headers is not None) + ('_location' in attributes)
            or line is None
            or not _is_plain(request)
            or type(writer) is not StreamWriter
            or not (headers is None or _leaves_rest(headers))
        ):
            return await super().prepare(request)
        self._keep_alive = True
        self._must_be_empty_body = False
        self._req = request
        self._payload_writer = writer
        writer.length = size = len(self._body)  # type: ignore[arg-type]  # bytes
        if headers is None:
            location = self._location
            place = b'' if location is None else f'Location: {location}\r\n'.encode()
            self._head = writer._headers_buf = _START % (line, place, size, _rest(), _lines(request))
            writer._headers_written = False
        else:
            self._head = b''
            headers[hdrs.CONTENT_LENGTH] = str(size)
            headers[hdrs.DATE] = rfc822_formatted_time()
            headers[hdrs.SERVER] = SERVER_SOFTWARE
            _add_headers(request, headers)
            await writer.write_headers(line.decode(), headers)
        return writer

    async def write_eof(self, data: bytes = b'') -> None:
        writer = self._payload_writer
        if '_head' not in self.__dict__ or writer is None or data:
            await super().write_eof(data)
            return
        await writer.write_eof(self._body)  # type: ignore[arg-type]  # bytes
        self._eof_sent = True
        self._req = None
        self._body_length = writer.output_size
        self._payload_writer = None


def _headers(response: JSONResponse) -> CIMultiDict[str]:
    """Return the headers that *response* has, before anybody changed them or after they were sent."""
    head: bytes | None = response.__dict__.get('_head')
    if not head:
        headers = CIMultiDict({hdrs.CONTENT_TYPE: JSON})
        if response._location is not None:
            headers[hdrs.LOCATION] = response._location
        return headers
    lines = (line.partition(': ') for line in head.decode().split('\r\n')[1:-2])
    return CIMultiDict((name, value) for name, _, value in lines)


#: How the attributes of `web.Response` are made that a response has only once they are asked for.
_MISSING: dict[str, Callable[[JSONResponse], Any]] = {
    '_headers': _headers,
    '_state': lambda response: {},
    '_reason': lambda response: REASON_PHRASES.get(response._status, ''),
}


def _is_plain(request: BaseRequest) -> bool:
    """Tell whether the answer to *request* needs no other headers than any, and nobody wants to see it before."""
    if request._version != HttpVersion11 or request._method in _EMPTY or request._message.should_close:
        return False
    if RESPONSE_HOOKS in request._state:
        return False
    match_info = getattr(request, '_match_info', None)
    if match_info is None:
        return False
    for app in match_info._apps:
        for handler in app._on_response_prepare:
            if handler not in _indifferent:
                return False
    return True


_EMPTY = frozenset({hdrs.METH_HEAD, hdrs.METH_CONNECT})

#: The first line of the head, by status.
_LINES = {
    int(status): f'HTTP/1.1 {status.value} {status.phrase}'.encode()
    for status in HTTPStatus
    if status >= 200 and status not in EMPTY_BODY_STATUS_CODES
}
_START = b'%b\r\nContent-Type: ' + JSON.encode() + b'\r\n%bContent-Length: %d\r\n%b%b\r\n'


def _leaves_rest(headers: CIMultiDict[str]) -> bool:
    """Tell whether *headers* say what the body is, and leave it to us how it is sent."""
    return hdrs.CONTENT_TYPE in headers and not (
        hdrs.CONTENT_LENGTH in headers
        or hdrs.TRANSFER_ENCODING in headers
        or hdrs.CONNECTION in headers
        or hdrs.DATE in headers
        or hdrs.SERVER in headers
    )


def _lines(request: BaseRequest) -> bytes:
    """Return the lines of the headers that were added for *request*."""
    added = request._state.get(HEADERS)
    if added is None:
        return b''
    if len(added) == 1:  # the id of the request
        name, value = added[0]
        return f'{name}: {value}\r\n'.encode()
    return ''.join(f'{name}: {value}\r\n' for name, value in added).encode()


_defaults: dict[str, str] = {}
_default_lines = ''
_date = ''
_tail = b''


def _rest() -> bytes:
    """Return the lines of the head that all answers share; they change once a second."""
    global _date, _tail
    date = rfc822_formatted_time()
    if date is not _date:
        _date, _tail = date, f'Date: {date}\r\nServer: {SERVER_SOFTWARE}\r\n{_default_lines}'.encode()
    return _tail
