"""Traces for OpenTelemetry: what was done for a request, by whom, and how long it took; ``TRACING`` switches them on.

Subsystems and plug-ins use the functions here, which do nothing, and import nothing, while tracing is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, Protocol

__all__ = ['Carrier', 'Kind', 'Span', 'Tracing', 'carrier', 'continued', 'is_on', 'provider', 'span', 'switch']

#: What carries a trace from one process to another: headers of W3C Trace Context.
Carrier = Mapping[str, str]

Kind = Literal['internal', 'server', 'client', 'producer', 'consumer']
Value = str | bool | int | float


class Span(Protocol):
    """Something that takes a while; more can be told of it while it lasts."""

    def set_attribute(self, key: str, value: Value) -> None:
        """Tell one more thing; no secrets."""


class Tracing(Protocol):
    """What makes spans while tracing is on."""

    def span(self, name: str, kind: Kind, attributes: Mapping[str, Value] | None) -> AbstractContextManager[Span]:
        """See `colibris.tracing.span`."""

    def carrier(self) -> dict[str, str]:
        """See `colibris.tracing.carrier`."""

    def continued(self, carrier: Carrier) -> AbstractContextManager[None]:
        """See `colibris.tracing.continued`."""

    def provider(self) -> Any:
        """See `colibris.tracing.provider`."""


class _NoSpan:
    def set_attribute(self, key: str, value: Value) -> None:
        """Forget it."""


_NO_SPAN: AbstractContextManager[Span] = nullcontext(_NoSpan())
_NOTHING: AbstractContextManager[None] = nullcontext()

_tracing: Tracing | None = None


def switch(tracing: Tracing | None) -> None:
    """Let *tracing* make the spans from now on; with None there are none."""
    global _tracing
    _tracing = tracing


def is_on() -> bool:
    """Tell whether spans are made."""
    return _tracing is not None


def span(
    name: str, *, kind: Kind = 'internal', attributes: Mapping[str, Value] | None = None
) -> AbstractContextManager[Span]:
    """Return a block that becomes a span within the current one: ``with span('resize', attributes={'pixels': n}):``.

    *name* says what is done, not to what: there must be few different ones. Of an exception that leaves the block the
    span tells the type, not the message, which may hold what somebody has sent.
    """
    return _NO_SPAN if _tracing is None else _tracing.span(name, kind, attributes)


def carrier() -> dict[str, str]:
    """Return what another process, or later work, needs to continue the current trace; nothing if there is none."""
    return {} if _tracing is None else _tracing.carrier()


def continued(carrier: Carrier) -> AbstractContextManager[None]:
    """Return a block whose spans continue the trace that *carrier* tells of, or begin a new one if it is empty."""
    return _NOTHING if _tracing is None else _tracing.continued(carrier)


def provider() -> Any:
    """Return the TracerProvider to give to instrumentation packages. Only while `is_on`.

    Its spans hold no secrets, and are made only within others: what is done for nobody is not traced.
    """
    if _tracing is None:
        raise RuntimeError('tracing is off: ask colibris.tracing.is_on() first')
    return _tracing.provider()
