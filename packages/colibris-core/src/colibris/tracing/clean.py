"""Spans that tell no secrets, whoever makes them.

Instrumentation packages put whole addresses into spans, with what a client has sent in them, and the messages of
exceptions, in which databases quote values. They are given the provider here, whose tracers leave both out.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace.status import Status, StatusCode

#: Attributes that hold the path or the query of a request; the route is told in their place, once it is known.
SENT = frozenset({'http.target', 'http.url', 'url.full', 'url.path', 'url.query'})


class CleanProvider(trace.TracerProvider):
    """Gives tracers of the global provider; with *within* they make spans only within others.

    What is asked of databases and caches for nobody, as by those who look again and again, would be a trace each time.
    """

    def __init__(self, *, within: bool = False) -> None:
        self._within = within

    def get_tracer(self, *args: Any, **kwargs: Any) -> CleanTracer:
        return CleanTracer(trace.get_tracer_provider().get_tracer(*args, **kwargs), within=self._within)


class CleanTracer(trace.Tracer):
    """Makes spans by another tracer."""

    def __init__(self, tracer: trace.Tracer, *, within: bool) -> None:
        self._tracer = tracer
        self._within = within

    def start_span(
        self,
        name: str,
        context: Any = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        attributes: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> trace.Span:
        if self._within and not trace.get_current_span(context).get_span_context().is_valid:
            return trace.INVALID_SPAN
        return self._tracer.start_span(name, context, kind, _without_sent(attributes), *args, **kwargs)

    @contextmanager
    def start_as_current_span(  # type: ignore[override]  # theirs is for coroutines, too
        self,
        name: str,
        context: Any = None,
        kind: trace.SpanKind = trace.SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(span, end_on_exit=end_on_exit, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as exc:
                if record_exception and not isinstance(exc, CancelledError | GeneratorExit):
                    note_error(span, exc)
                raise


def note_error(span: trace.Span, error: BaseException) -> None:
    """Tell that *span* failed by *error*; its message may hold what somebody has sent."""
    name = type(error).__qualname__
    span.set_attribute('error.type', name)
    span.set_status(Status(StatusCode.ERROR, name))


def _without_sent(attributes: Any) -> Any:
    if not attributes:
        return attributes
    return {key: value for key, value in attributes.items() if key not in SENT and value != ''}
