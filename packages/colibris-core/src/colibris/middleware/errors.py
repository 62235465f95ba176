"""Errors as JSON: whatever goes wrong is answered in the error envelope."""

from __future__ import annotations

import logging
import traceback

from aiohttp import web
from aiohttp.typedefs import Handler
from marshmallow import ValidationError

from colibris import api, subsystems
from colibris.conf import settings
from colibris.health import HealthException
from colibris.logs.context import route_of
from colibris.requests import body_fault, current_request, messages_of

logger = logging.getLogger(__name__)


@web.middleware
async def handle_errors_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with the error envelope when something fails further down; details of faults only in DEBUG.

    An error after an answer has begun, in a stream for instance, cannot be told: the connection is closed.
    """
    current_request.set(request)
    try:
        return await handler(request)
    except Exception as exc:
        if request.writer.output_size > 0:
            logger.exception('%s %s failed after its answer had begun', request.method, route_of(request))
            raise ConnectionError('the answer has been begun and cannot become an error') from exc
        if isinstance(exc, web.HTTPException) and exc.status < 400:
            raise
        error = _translate(request, exc)
    return api.error_response(error)


def _translate(request: web.Request, exc: Exception) -> api.APIException:
    if isinstance(exc, api.APIException):
        return exc
    if isinstance(exc, web.HTTPException):
        return api.from_http_exception(exc)
    if isinstance(exc, ValidationError):
        return api.SchemaError(details=messages_of(exc))
    if isinstance(exc, HealthException):
        return api.Unhealthy(str(exc) or None)
    if (reason := body_fault(request, exc)) is not None:
        return api.ParseError(reason)
    translated = subsystems.translate(exc)
    if translated is None:
        if request.transport is None and isinstance(exc, ConnectionError):
            logger.info('%s %s: the client has gone', request.method, route_of(request))
        else:
            logger.exception('%s %s failed', request.method, route_of(request), exc_info=exc)
        return api.ServerError(details=_details(exc))
    if translated.status >= 500:
        logger.error('%s %s failed: %s', request.method, route_of(request), exc)
    return translated


def _details(exc: Exception) -> object:
    if not settings.DEBUG:
        return None
    return {'type': type(exc).__name__, 'error': str(exc), 'traceback': traceback.format_exception(exc)}
