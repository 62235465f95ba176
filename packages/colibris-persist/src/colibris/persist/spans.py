"""Spans of statements, made while tracing is on: what is done by asyncpg, sqlite3 and asyncmy, without the values."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import copy_context
from typing import Any

import aiosqlite
from opentelemetry.instrumentation.dbapi import TracedConnectionProxy
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.trace import SpanKind

from colibris import tracing

_ITER_CHUNK_SIZE = 64  # aiosqlite's own


@contextmanager
def of_asyncpg() -> Iterator[None]:
    """Make a span of each statement that asyncpg runs."""
    from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor

    instrumentor = AsyncPGInstrumentor()  # type: ignore[no-untyped-call]
    instrumentor.instrument(tracer_provider=tracing.provider())
    try:
        yield
    finally:
        instrumentor.uninstrument()


class _TracedSQLite(TracedConnectionProxy[sqlite3.Connection]):
    """A connection with a span for each statement, also where sqlite3 makes the cursor itself."""

    def execute(self, *args: Any) -> Any:
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        return self.cursor().executemany(*args)


class _TracedConnection(aiosqlite.Connection):
    """A connection in a thread, which works for the trace of whoever asks it."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await super()._execute(copy_context().run, fn, *args, **kwargs)  # type: ignore[no-untyped-call]


def connect_sqlite(database: str, **options: Any) -> aiosqlite.Connection:
    """Do as ``aiosqlite.connect``, with spans."""

    def connect() -> Any:
        known = SQLite3Instrumentor.instrument_connection(
            sqlite3.connect(database, **options), tracer_provider=provider
        )
        return _TracedSQLite(known.__wrapped__, known._self_db_api_integration)

    provider = tracing.provider()
    return _TracedConnection(connect, _ITER_CHUNK_SIZE)


def mysql_options(database: str) -> Mapping[str, Any]:
    """Return the options for asyncmy that make a span of each statement."""
    from asyncmy.cursors import Cursor

    class TracedCursor(Cursor):
        _in_batch_of_ours = False

        async def execute(self, query: Any, args: Any = None) -> Any:
            if self._in_batch_of_ours:  # with the values in the statement
                return await super().execute(query, args)
            with of_mysql(query, database):
                return await super().execute(query, args)

        async def executemany(self, query: Any, args: Any) -> Any:
            with of_mysql(query, database):
                self._in_batch_of_ours = True
                try:
                    return await super().executemany(query, args)
                finally:
                    self._in_batch_of_ours = False

    return {'cursor_cls': TracedCursor}


def of_mysql(query: Any, database: str) -> AbstractContextManager[Any]:
    """Return a block that is the span of the statement *query*, for whose values it has placeholders."""
    statement = str(query)
    name = statement.split(None, 1)[0] if statement.strip() else 'mysql'
    attributes = {'db.system': 'mysql', 'db.name': database, 'db.statement': statement}
    tracer = tracing.provider().get_tracer(__name__)
    found: AbstractContextManager[Any] = tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes)
    return found
