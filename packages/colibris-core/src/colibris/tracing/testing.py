"""For tests of what is traced."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from colibris.tracing.options import Options
from colibris.tracing.setup import making

__all__ = ['recorded']


@asynccontextmanager
async def recorded() -> AsyncIterator[InMemorySpanExporter]:
    """Switch tracing on and keep the spans in memory: ``exporter.get_finished_spans()``.

    Subsystems have to be opened within, as they look at that time whether tracing is on.
    """
    exporter = InMemorySpanExporter()
    async with making(Options(service_name='test', sample=1), lambda options: SimpleSpanProcessor(exporter)):
        yield exporter
