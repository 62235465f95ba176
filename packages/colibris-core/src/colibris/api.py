"""The two envelopes and the tree of errors that every answer of an API is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from aiohttp import web

from colibris.responses import JSON as JSON
from colibris.responses import JSONResponse


class APIException(Exception):
    """Raised to answer a request with an error; subclasses name the HTTP status and the code.

    *message* is for people, *code* for programs, *details* is any JSON value that helps to mend the request.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = 'server_error'
    default_message: ClassVar[str] = 'the server failed to answer this request'

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        details: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.code = code or self.default_code
        self.details = details
        self.headers = dict(headers or {})
        super().__init__(self.message)


class InvalidRequest(APIException):
    """Raised when a request cannot be served as it stands."""

    status = 400
    default_code = 'invalid_request'
    default_message = 'the request is not valid'


class ParseError(InvalidRequest):
    """Raised when a body cannot be read in the format that it claims to be in."""

    default_code = 'parse_error'
    default_message = 'the body cannot be parsed'


class SchemaError(InvalidRequest):
    """Raised when data does not fit its schema; *details* maps field names to lists of messages."""

    default_code = 'schema_error'
    default_message = 'some fields are not valid'


class Unauthenticated(APIException):
    """Raised when a request needs an account and bears no valid credentials."""

    status = 401
    default_code = 'unauthenticated'
    default_message = 'this request needs valid credentials'


class Forbidden(APIException):
    """Raised when the account may not do what the request asks for."""

    status = 403
    default_code = 'forbidden'
    default_message = 'this account may not do that'


class NotFound(APIException):
    """Raised when there is nothing at the requested address."""

    status = 404
    default_code = 'not_found'
    default_message = 'there is nothing at this address'


class MethodNotAllowed(APIException):
    """Raised when an address does not know the request's method."""

    status = 405
    default_code = 'method_not_allowed'
    default_message = 'this address does not accept that method'


class RequestTimeout(APIException):
    """Raised when a client does not send in time what it has announced."""

    status = 408
    default_code = 'request_timeout'
    default_message = 'the request did not arrive in time'


class Conflict(APIException):
    """Raised when a request contradicts what is stored."""

    status = 409
    default_code = 'conflict'
    default_message = 'the request conflicts with what is stored'


class Duplicate(Conflict):
    """Raised when a value that must be unique is taken; *details* maps field names to lists of messages."""

    default_code = 'duplicate'
    default_message = 'a value that must be unique is taken'


class Referenced(Conflict):
    """Raised when something cannot be deleted because something else refers to it."""

    default_code = 'referenced'
    default_message = 'this cannot be deleted: something else refers to it'


class PayloadTooLarge(APIException):
    """Raised when a body is larger than ``MAX_REQUEST_BODY_SIZE``."""

    status = 413
    default_code = 'payload_too_large'
    default_message = 'the body is too large'


class UnsupportedMediaType(APIException):
    """Raised when a body comes in a format that the view does not take."""

    status = 415
    default_code = 'unsupported_media_type'
    default_message = 'this format is not accepted here'


class UnprocessableEntity(APIException):
    """Raised when a request is well-formed but makes no sense."""

    status = 422
    default_code = 'unprocessable_entity'
    default_message = 'the request makes no sense'


class HeadersTooLarge(APIException):
    """Raised when a request has more headers than the server takes."""

    status = 431
    default_code = 'headers_too_large'
    default_message = 'the request has too many headers'


class ServerError(APIException):
    """Raised when the server is at fault."""


class Unhealthy(ServerError):
    """Raised when the service finds that it cannot do its work."""

    default_code = 'unhealthy'
    default_message = 'the service is unhealthy'


class ServiceUnavailable(APIException):
    """Raised when something that the service depends on cannot be reached."""

    status = 503
    default_code = 'service_unavailable'
    default_message = 'the service is not available at the moment'


_BY_STATUS: Mapping[int, type[APIException]] = {
    error.status: error
    for error in (
        InvalidRequest,
        Unauthenticated,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        RequestTimeout,
        Conflict,
        PayloadTooLarge,
        UnsupportedMediaType,
        UnprocessableEntity,
        HeadersTooLarge,
        ServerError,
        ServiceUnavailable,
    )
}

# What describes the body of an answer; the envelope has a body of its own.
_BODY_HEADERS = frozenset({'content-type', 'content-length', 'content-encoding', 'transfer-encoding'})


def from_http_exception(error: web.HTTPException) -> APIException:
    """Translate an aiohttp *error* (status 400 and above), keeping its status and headers."""
    headers = {name: value for name, value in error.headers.items() if name.lower() not in _BODY_HEADERS}
    known = _BY_STATUS.get(error.status)
    if known is not None:
        custom = error.text if error.text and error.text != f'{error.status}: {error.reason}' else None
        return known(custom, headers=headers)
    phrase = _phrase(error)
    other = APIException(error.text or phrase, code=phrase.lower().replace(' ', '_').replace('-', '_'), headers=headers)
    other.status = error.status  # type: ignore[misc]  # one instance stands for a status without a class
    return other


def _phrase(error: web.HTTPException) -> str:
    try:
        return HTTPStatus(error.status).phrase
    except ValueError:
        return error.reason or 'error'


class Encoded:
    """The answer of a view that is JSON already: *body* is sent as it is."""

    __slots__ = ('body',)

    def __init__(self, body: bytes) -> None:
        self.body = body


def _encode_other(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):  # lazily translated strings and the like
        return str(value)
    raise TypeError(f'{type(value).__name__} cannot be encoded as JSON; turn it into a string or a number first')


_encode = msgspec.json.Encoder(enc_hook=_encode_other).encode


def encode_json(data: object) -> bytes:
    """Encode *data* as JSON: dates in ISO 8601, decimals and UUIDs as strings, NaN and the infinities as null.

    Raises TypeError for what JSON cannot carry.
    """
    return _encode(data)


def decode_json(data: bytes) -> Any:
    """Decode the JSON document *data*.

    Raises ParseError for malformed JSON, NaN, invalid UTF-8 and documents nested too deeply.
    """
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as exc:
        reason = str(exc).removeprefix('JSON is malformed: ')
        raise ParseError(f'the body is not valid JSON: {_lower_first(reason)}') from exc
    except UnicodeDecodeError as exc:
        raise ParseError(f'the body is not valid JSON: invalid UTF-8 at byte {exc.start}') from exc
    except RecursionError as exc:
        raise ParseError('the body is not accepted: it is nested too deeply') from exc
    except ValueError as exc:  # a number with more digits than Python converts
        raise ParseError('the body is not accepted: a number has too many digits') from exc


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def json_response(data: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with *data* as JSON."""
    if headers:
        return web.Response(body=encode_json(data), status=status, headers=headers, content_type=JSON)
    return JSONResponse(encode_json(data), status)


def error_response(error: APIException) -> web.Response:
    """Answer with the error envelope: ``{"code", "message", "details"}``."""
    body = {'code': error.code, 'message': error.message, 'details': error.details}
    return json_response(body, status=error.status, headers=error.headers)


def list_envelope(results: Sequence[object], *, count: int | None, page: int, page_size: int) -> dict[str, object]:
    """Return the list envelope: ``{"results", "count", "pages", "page", "page_size"}``.

    A *count* of None says that nobody counted; then ``pages`` is null too.
    """
    pages = None if count is None else -(-count // page_size)
    return {'results': results, 'count': count, 'pages': pages, 'page': page, 'page_size': page_size}
