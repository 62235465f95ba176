"""The making of spans while tracing is on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from colibris._version import __version__
from colibris.tracing import Carrier, Kind, Span, Value
from colibris.tracing.clean import CleanProvider, CleanTracer

_KINDS: Mapping[str, trace.SpanKind] = {kind.name.lower(): kind for kind in trace.SpanKind}

#: Only the trace is carried on: baggage is whatever clients have sent.
_propagator = TraceContextTextMapPropagator()


class Spans:
    """Makes spans by the global TracerProvider."""

    def __init__(self) -> None:
        self._tracer: CleanTracer = CleanProvider().get_tracer('colibris', __version__)

    def span(self, name: str, kind: Kind, attributes: Mapping[str, Value] | None) -> AbstractContextManager[Span]:
        return self._tracer.start_as_current_span(name, kind=_KINDS[kind], attributes=attributes)

    def carrier(self) -> dict[str, str]:
        found: dict[str, str] = {}
        _propagator.inject(found)
        return found

    @contextmanager
    def continued(self, carrier: Carrier) -> Iterator[None]:
        token = context.attach(_propagator.extract(carrier, context.Context()))
        try:
            yield
        finally:
            context.detach(token)

    def provider(self) -> Any:
        return CleanProvider(within=True)


def current_trace_id() -> str | None:
    """Return the id of the trace that the running code belongs to."""
    found = trace.get_current_span().get_span_context()
    return f'{found.trace_id:032x}' if found.is_valid else None
