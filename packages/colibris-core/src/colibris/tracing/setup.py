"""Tracing in the life of a process: who takes the spans, from when on, and until when."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from threading import Thread

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from colibris import tracing
from colibris.conf import settings
from colibris.logs.context import set_trace_source
from colibris.tracing.options import Options, options
from colibris.tracing.spans import Spans, current_trace_id

logger = logging.getLogger(__name__)

#: How long the spans that are left may take to be sent at the end, in seconds.
LIMIT = 5.0


class Outlet(SpanProcessor):
    """Hands spans to *inner*, which comes and goes: OpenTelemetry lets a process set its provider only once."""

    def __init__(self) -> None:
        self.inner: SpanProcessor | None = None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self.inner is not None:
            self.inner.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        if self.inner is not None:
            self.inner.on_end(span)


_outlet: Outlet | None = None


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    """Make spans and send them, if TRACING says so and nobody does yet. Raises ImproperlyConfigured."""
    found = options()
    if found is None or tracing.is_on():
        yield
        return
    async with making(found, _make_processor):
        yield


@asynccontextmanager
async def making(found: Options, make: Callable[[Options], SpanProcessor | None]) -> AsyncIterator[None]:
    """Make spans, and give them to the processor that *make* returns, unless the project has a provider of its own."""
    finish = _start(found, make)
    set_trace_source(current_trace_id)
    tracing.switch(Spans())
    try:
        yield
    finally:
        tracing.switch(None)
        set_trace_source(None)
        await _within_limit(finish)


def _start(found: Options, make: Callable[[Options], SpanProcessor | None]) -> Callable[[], object]:
    """Have spans sent; return what sends those that are left, which may take long."""
    global _outlet
    current = trace.get_tracer_provider()
    if _outlet is None and not isinstance(current, trace.ProxyTracerProvider):  # the project's own
        return getattr(current, 'force_flush', lambda: None)
    if _outlet is None:
        _outlet = Outlet()
        made = _make_provider(found)
        made.add_span_processor(_outlet)
        trace.set_tracer_provider(made)
    processor = _outlet.inner = make(found)
    return lambda: _end(processor)


def _end(processor: SpanProcessor | None) -> None:
    if processor is not None:
        processor.shutdown()


def _make_provider(found: Options) -> TracerProvider:
    attributes: dict[str, str | int] = {'process.pid': os.getpid()}
    if (name := found.service_name or _default_name()) is not None:
        attributes['service.name'] = name
    sampler = None if found.sample is None else ParentBased(TraceIdRatioBased(found.sample))
    return TracerProvider(sampler=sampler, resource=Resource.create(attributes), shutdown_on_exit=False)


def _default_name() -> str | None:
    named = 'service.name=' in os.environ.get('OTEL_RESOURCE_ATTRIBUTES', '') or os.environ.get('OTEL_SERVICE_NAME')
    return None if named else settings.PROJECT_PACKAGE_NAME


def _make_processor(found: Options) -> SpanProcessor | None:
    """Return what collects spans and sends them from a thread of its own."""
    if os.environ.get('OTEL_TRACES_EXPORTER') == 'none' and found.endpoint is None:
        return None
    headers = None if found.headers is None else dict(found.headers)
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=found.url, headers=headers, timeout=found.timeout))


async def _within_limit(finish: Callable[[], object]) -> None:
    """Run *finish* in a thread, but wait no longer than `LIMIT`: the collector may be away."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def work() -> None:
        try:
            finish()
        except Exception:
            logger.exception('spans could not be sent')
        with suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(done.set)

    # Not of the event loop's executor, whose threads the end of the process waits for.
    Thread(target=work, name='colibris.tracing', daemon=True).start()
    try:
        async with asyncio.timeout(LIMIT):
            await done.wait()
    except TimeoutError:
        logger.warning('spans are lost: they could not be sent within %g s', LIMIT)
