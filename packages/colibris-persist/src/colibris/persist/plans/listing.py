"""A page of rows and their number, from the database to JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema
from pypika_tortoise.terms import LiteralValue
from tortoise.queryset import QuerySet

from colibris.persist.connections import Client, Transaction
from colibris.persist.database import client_of
from colibris.persist.pagination import PageNumberPagination, stable
from colibris.persist.plans.counting import estimate_term, known
from colibris.persist.plans.reading import Reading
from colibris.persist.plans.related import Rows
from colibris.persist.plans.shapes import Shape, shape_of
from colibris.persist.plans.statements import Kept, is_plain, selection
from colibris.schemas.compiled import dumper

__all__ = ['Listing', 'Usual']


@dataclass(frozen=True, slots=True)
class Usual:
    """The query of a list for which a request asks nothing but a page."""

    query: Callable[[], QuerySet[Any]]
    #: The parameters by which a request asks for more.
    parameters: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Opened:
    """What depends on the database."""

    client: Client
    rows: Rows
    texts: Kept[Any, str]
    usual: QuerySet[Any] | None
    usual_text: str
    usual_values: Sequence[Any]
    #: The usual statement for the first page of the default size, which most ask for. PostgreSQL plans it once: where
    #: it is told by values which page is wanted, it plans each time anew.
    first_text: str


class Listing:
    """How a view lists rows of its model without making instances of them."""

    def __init__(
        self, reading: Reading, schema: Schema, pagination: PageNumberPagination, usual: Usual | None = None
    ) -> None:
        self._reading = reading
        self._pagination = pagination
        self._usual = usual
        self._dump = dumper(schema, many=True, mapping=True)
        self._opened: _Opened | None = None

    def is_usual(self, args: Mapping[str, Any]) -> bool:
        """Whether *args* ask for a page and nothing else, so that the query is the usual one."""
        return self._usual is not None and self._usual.parameters.isdisjoint(args)

    def takes(self, query: QuerySet[Any]) -> bool:
        """Whether the rows of *query*, which a view or its filter has made, can be listed."""
        return is_plain(query) and isinstance(_client(query), (Client, Transaction))

    async def answer(self, query: QuerySet[Any] | None, args: Mapping[str, Any]) -> bytes:
        """Return the JSON of the list envelope with the page of *query*, or the usual one, that *args* ask for."""
        client: Any = client_of(self._reading.model) if query is None else _client(query)
        opened = self._opened
        if opened is None or opened.client is not client.root:
            opened = self._opened = self._open(client.root)
        pagination = self._pagination
        page, size = args[pagination.page_parameter], args[pagination.page_size_parameter]
        if query is None and page == 1 and size == pagination.page_size:
            raw = await client.fetch(opened.first_text, [*opened.usual_values])
        else:
            usual = opened.usual_text, opened.usual_values
            text, values = usual if query is None else self._statement(query, opened)
            raw = await client.fetch(text, [*values, size, (page - 1) * size])
        count = await self._count(query or opened.usual, raw, page, size, column=len(opened.rows.names))
        body = self._dump.json(await opened.rows.complete(raw))
        pages = 'null' if count is None else -(-count // size)
        shown = 'null' if count is None else count
        return b'{"results":%b,%b}' % (
            body,
            f'"count":{shown},"pages":{pages},"page":{page},"page_size":{size}'.encode(),
        )

    def _open(self, client: Client) -> _Opened:
        rows = Rows(self._reading, client)
        usual, text, first = None, '', ''
        values: Sequence[Any] = ()
        if self._usual is not None:
            usual = self._usual.query()
            text, values = self._make(usual, rows)
            first, _ = self._make(usual, rows, size=self._pagination.page_size)
        return _Opened(client, rows, Kept(), usual, text, values, first)

    def _statement(self, query: QuerySet[Any], opened: _Opened) -> tuple[str, Sequence[Any]]:
        """Return the statement for a page, and its values but for the two that choose the page."""
        shape = shape_of(query)
        if shape is not None and (text := opened.texts.get(shape.key)) is not None:
            return text, self._values(shape)
        text, values = self._make(query, opened.rows)
        if shape is not None and shape.explains(values, times=self._times(shape)):
            opened.texts.keep(shape.key, text)
        return text, values

    def _times(self, shape: Shape) -> int:
        """How often the values of the conditions are in a statement: once more where the rows are counted."""
        counts = self._pagination.counting
        return 2 if counts == 'exact' or (counts == 'estimated' and shape.values) else 1

    def _values(self, shape: Shape) -> Sequence[Any]:
        return [*shape.values] * self._times(shape)

    def _make(self, query: QuerySet[Any], rows: Rows, *, size: int | None = None) -> tuple[str, list[Any]]:
        """Return the statement for a page, or for the first one of *size* rows, and its values as `_statement` does."""
        counted: Any = None
        if self._pagination.counting == 'exact':
            counted = query
        elif self._pagination.counting == 'estimated':
            counted = estimate_term(query, _client(query).capabilities.dialect) or query
        page = stable(query).limit(1).offset(1)
        builder: Any = selection(page, rows.names, counted=counted)
        if size is not None:
            builder._limit, builder._offset = LiteralValue(str(size)), None
        text, values = builder.get_parameterized_sql()
        return text, values[:-2] if size is None else values

    async def _count(self, query: Any, rows: Sequence[Any], page: int, size: int, *, column: int) -> int | None:
        """Return how many rows there are in all; a page behind their end has none that could tell."""
        counting = self._pagination.counting
        if counting is None:
            return None
        if not rows:
            return 0 if page == 1 else await query.count()
        count = rows[0][column]
        if counting == 'exact':
            return int(count)
        end = (page - 1) * size + len(rows)
        if len(rows) < size:
            return end
        found = known(count)
        return max(found, end) if found is not None else await query.count()


def _client(query: QuerySet[Any]) -> Any:
    return query._db or client_of(query.model)
