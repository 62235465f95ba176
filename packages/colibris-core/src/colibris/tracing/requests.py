"""Spans of requests, by OpenTelemetry's own instrumentation of aiohttp."""

from __future__ import annotations

import os
import warnings
from typing import Any

from aiohttp import web
from opentelemetry import trace
from opentelemetry.instrumentation import aiohttp_server

from colibris.conf import ImproperlyConfigured
from colibris.edge.access import TRACE_ID
from colibris.edge.layer import Handle
from colibris.logs.context import current_request_id, route_of
from colibris.tracing.clean import CleanProvider, note_error

#: Headers whose values are not told, where a variable of OpenTelemetry asks for headers, as regular expressions.
_SECRET_HEADERS = (
    *('authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'location', 'referer'),
    *('.*token.*', '.*secret.*', '.*passw.*', '.*key.*', '.*session.*', '.*signature.*'),
)

_instrumented = False


class _Unrouted(web.UrlMappingMatchInfo):
    """What is known of a request's route before it is looked up; the instrumentation asks."""

    def __init__(self) -> None:
        super().__init__({}, None)  # type: ignore[arg-type]


def traced(handle: Handle) -> Handle:
    """Return *handle* with a span around each request. Raises ImproperlyConfigured."""
    middleware: Any = _middleware()

    async def trace_request(request: web.Request) -> web.StreamResponse:
        if not _has_url(request):
            return await handle(request)
        failure: Exception | None = None

        async def answer(request: web.Request) -> web.StreamResponse:
            # The middleware is given an answer also where there is an exception, whose text it would write down.
            nonlocal failure
            request._match_info = None
            request._cache.pop('match_info', None)
            span = trace.get_current_span()
            try:
                return await handle(request)
            except web.HTTPException as exc:
                failure = exc
                return exc
            except Exception as exc:
                failure = exc
                note_error(span, exc)
                return web.Response(status=500)
            finally:
                if span.is_recording():
                    _name(span, request)

        request._match_info = _Unrouted()
        response: web.StreamResponse = await middleware(request, answer)
        if failure is not None:
            try:
                raise failure
            finally:
                failure = None  # which refers to this frame
        return response

    return trace_request


def _has_url(request: web.Request) -> bool:
    """Tell whether the address of *request* can be read; its header ``Host`` may be anything."""
    try:
        return bool(request.url)
    except ValueError:
        return False


def _name(span: trace.Span, request: web.Request) -> None:
    """Name *span* by the route: what is in its place in the path may be a secret."""
    request[TRACE_ID] = trace.format_trace_id(span.get_span_context().trace_id)
    if (route := route_of(request)) is not None:
        span.update_name(aiohttp_server.get_default_span_name(request))
        span.set_attribute('http.route', route)
        span.set_attribute('url.path', route)
    if (request_id := current_request_id()) is not None:
        span.set_attribute('colibris.request_id', request_id)


def _middleware() -> Any:
    """Return the middleware of the instrumentation, which expects to be installed by replacing a class of aiohttp's."""
    global _instrumented
    instrumentor = aiohttp_server.AioHttpServerInstrumentor()
    if not _instrumented:
        if instrumentor.is_instrumented_by_opentelemetry:
            raise ImproperlyConfigured(
                'TRACING traces requests, but aiohttp is instrumented already: start the service without '
                'opentelemetry-instrument, or leave TRACING out',
                setting='TRACING',
            )
        os.environ.setdefault('OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS', ','.join(_SECRET_HEADERS))
        original = web.Application
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # aiohttp's, of classes made from the application's
            instrumentor.instrument(tracer_provider=CleanProvider())
        web.Application = original  # type: ignore[misc]
        _instrumented = True
    return aiohttp_server.create_aiohttp_middleware(tracer_provider=CleanProvider())
