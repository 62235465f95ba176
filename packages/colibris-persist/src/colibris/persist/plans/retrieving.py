"""One row, from the database to JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from marshmallow import Schema
from tortoise.exceptions import MultipleObjectsReturned
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from colibris.persist.connections import Client, Transaction
from colibris.persist.database import client_of
from colibris.persist.plans.reading import Reading
from colibris.persist.plans.related import Rows
from colibris.persist.plans.shapes import shape_of
from colibris.persist.plans.statements import Kept, is_plain, selection
from colibris.schemas.compiled import dumper

__all__ = ['Retrieving']

# As many rows are asked for as tell that there is more than one.
_LIMIT = 2


class Retrieving:
    """How a view shows a row of its model without making an instance of it."""

    def __init__(
        self, reading: Reading, schema: Schema, by_value: tuple[str, Callable[[Any], Q]] | None = None
    ) -> None:
        self._reading = reading
        self._by_value = by_value
        self._text_by_value: str | None = None
        self._dump = dumper(schema, mapping=True)
        self._opened: tuple[Client, Rows] | None = None
        self._texts: Kept[Any, str] = Kept()

    def takes(self, query: QuerySet[Any]) -> bool:
        """Whether a row of *query*, which a view has made, can be shown."""
        return is_plain(query) and isinstance(_client(query), (Client, Transaction))

    async def answer(self, query: QuerySet[Any]) -> bytes | None:
        """Return the JSON of the one row that *query* selects; None if there is none."""
        client = _client(query)
        rows = self._rows(client.root)
        text, values = self._statement(query, rows)
        return await self._answer(rows, await client.fetch(text, [*values, _LIMIT]))

    @property
    def takes_value(self) -> bool:
        """Whether the value of one column is all that chooses the row."""
        return self._by_value is not None

    async def answer_by_value(self, value: Any) -> bytes | None:
        """Return the JSON of the row whose column has *value*; None if there is none."""
        client = client_of(self._reading.model)
        rows = self._rows(client)
        bound = self._bound(value, client.capabilities.dialect)
        text = self._text_by_value
        if text is None:
            text, bound = self._make_by_value(value, bound, rows)
        return await self._answer(rows, await client.fetch(text, bound))

    def _bound(self, value: Any, dialect: str) -> list[Any]:
        """Return what the ORM binds, which for texts compares twice with MySQL."""
        if isinstance(value, str):
            return [value, value, _LIMIT] if dialect == 'mysql' else [value, _LIMIT]
        name, _ = self._by_value  # type: ignore[misc]
        return [self._reading.model._meta.fields_map[name].to_db_value(value, self._reading.model), _LIMIT]

    def _make_by_value(self, value: Any, bound: list[Any], rows: Rows) -> tuple[str, list[Any]]:
        """Return the statement for *value*, and what it binds; it is kept if that is what is always bound."""
        _, condition = self._by_value  # type: ignore[misc]
        query = self._reading.model.filter(condition(value)).limit(_LIMIT)
        text, values = selection(query, rows.names).get_parameterized_sql()
        if values == bound:
            self._text_by_value = text
        return text, values

    def _rows(self, client: Client) -> Rows:
        """Return what makes mappings of rows; statements are those of one database."""
        if self._opened is None or self._opened[0] is not client:
            self._texts.clear()
            self._text_by_value = None
            self._opened = client, Rows(self._reading, client)
        return self._opened[1]

    async def _answer(self, rows: Rows, raw: Sequence[Any]) -> bytes | None:
        if not raw:
            return None
        if len(raw) > 1:
            pk = rows.names.index(self._reading.model._meta.pk_attr)
            if raw[0][pk] != raw[1][pk]:  # a query that joins others may give the same row again, but no second one
                raise MultipleObjectsReturned(self._reading.model)
        return self._dump.json((await rows.complete(raw[:1]))[0])

    def _statement(self, query: QuerySet[Any], rows: Rows) -> tuple[str, list[Any]]:
        """Return the statement, and its values but for the last, the limit."""
        shape = shape_of(query)
        if shape is not None and (text := self._texts.get(shape.key)) is not None:
            return text, list(shape.values)
        text, values = selection(query.limit(_LIMIT), rows.names).get_parameterized_sql()
        if shape is not None and shape.explains(values[:-1], times=1):
            self._texts.keep(shape.key, text)
        return text, values[:-1]


def _client(query: QuerySet[Any]) -> Any:
    return query._db or client_of(query.model)
