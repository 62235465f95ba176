"""One row, from the database to JSON."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema
from tortoise.exceptions import MultipleObjectsReturned
from tortoise.queryset import QuerySet

from colibris.persist.connections import Client, Transaction
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

    def __init__(self, reading: Reading, schema: Schema) -> None:
        self._reading = reading
        self._dump = dumper(schema, mapping=True)
        self._opened: tuple[Client, Rows] | None = None
        self._texts: Kept[Any, str] = Kept()

    def takes(self, query: QuerySet[Any]) -> bool:
        """Whether a row of *query*, which a view has made, can be shown."""
        return is_plain(query) and isinstance(_client(query), (Client, Transaction))

    async def answer(self, query: QuerySet[Any]) -> bytes | None:
        """Return the JSON of the one row that *query* selects; None if there is none."""
        client = _client(query)
        if self._opened is None or self._opened[0] is not client.root:
            self._texts.clear()
            self._opened = client.root, Rows(self._reading, client.root)
        rows = self._opened[1]
        text, values = self._statement(query, rows)
        raw = await client.fetch(text, [*values, _LIMIT])
        if not raw:
            return None
        if len(raw) > 1:
            pk = rows.names.index(query.model._meta.pk_attr)
            if raw[0][pk] != raw[1][pk]:  # a query that joins others may give the same row again, but no second one
                raise MultipleObjectsReturned(query.model)
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
    return query._db or query.model._choose_db()
