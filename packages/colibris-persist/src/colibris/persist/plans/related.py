"""Related rows, fetched as mappings: one statement a relation, however many rows ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pypika_tortoise.queries import Table
from tortoise.models import Model
from tortoise.queryset import QuerySet

from colibris.persist.connections import Client
from colibris.persist.pagination import stable
from colibris.persist.plans.reading import Reading, Related, Through
from colibris.persist.plans.rows import converter
from colibris.persist.plans.statements import Kept, selection

__all__ = ['Rows']

#: Statements for more keys than that are not kept.
_MOST_KEPT = 1024
#: The most keys of one statement, a power of two: asyncpg takes no more than 32,767 values, SQLite 32,766.
_MOST = 1 << 14


class Rows:
    """Makes mappings of the rows that *client* gives, with all that *reading* says, relations included.

    Each row begins with the columns of `names`.
    """

    def __init__(self, reading: Reading, client: Client) -> None:
        self.names = tuple(reading.columns)
        self._convert = converter(reading.model, self.names, client.capabilities.dialect, mutable=bool(reading.related))
        self._relations = [_Relation(reading.model, name, related, client) for name, related in reading.related.items()]

    async def complete(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Return mappings for *rows*; their relations are fetched."""
        made = self._convert(rows)
        if made:
            for relation in self._relations:
                await relation.fetch(made)
        return made


class _Relation:
    """One relation of mappings that are there."""

    def __init__(self, model: type[Model], name: str, related: Related, client: Client) -> None:
        self._name = name
        self._related = related
        self._client = client
        self._model = related.reading.model
        self._rows = Rows(related.reading, client)
        self._texts: Kept[int, str] = Kept(32)
        self._key_field = model._meta.fields_map[related.here]
        self._key_model = model
        through = related.through
        self._key_column = len(self._rows.names)
        self._to_python = None if through is None else _to_python(model, related.here)

    async def fetch(self, rows: Sequence[dict[str, Any]]) -> None:
        """Give each of *rows* what it relates to."""
        here = self._related.here
        keys = list({key: None for row in rows if (key := row[here]) is not None})
        found = await self._find(keys) if keys else {}
        for row in rows:
            related = found.get(row[here], ())
            row[self._name] = list(related) if self._related.is_many else related[-1] if related else None

    async def _find(self, keys: list[Any]) -> dict[Any, list[Any]]:
        """Return the related rows by the keys of those that they relate to."""
        raw = await self._select(keys[:_MOST])
        for start in range(_MOST, len(keys), _MOST):
            raw = [*raw, *await self._select(keys[start : start + _MOST])]
        rows = await self._rows.complete(raw)
        found: dict[Any, list[Any]] = {}
        if self._to_python is None:
            there = self._related.there
            for row in rows:
                found.setdefault(row[there], []).append(row)
        else:
            for given, row in zip(raw, rows, strict=True):
                found.setdefault(self._to_python(given[self._key_column]), []).append(row)
        return found

    async def _select(self, keys: list[Any]) -> Sequence[Any]:
        """Return the related rows of those that have *keys*, at most `_MOST`, as the driver gives them."""
        field, model = self._key_field, self._key_model
        values = [field.to_db_value(key, model) for key in keys]
        size = 1 << (len(values) - 1).bit_length()  # a statement serves up to twice as many keys
        values += values[-1:] * (size - len(values))
        found: Sequence[Any] = await self._client.fetch(self._text(size), values)
        return found

    def _text(self, size: int) -> str:
        text = self._texts.get(size)
        if text is None:
            text = self._make_text(size)
            if size <= _MOST_KEPT:
                self._texts.keep(size, text)
        return text

    def _make_text(self, size: int) -> str:
        query: QuerySet[Any] = self._model.all()
        if self._related.is_many:
            query = stable(query)
        builder = selection(query, self._rows.names)
        meta = self._model._meta
        through = self._related.through
        keys: Any
        if through is None:
            keys = meta.basetable[meta.fields_db_projection[self._related.there]]
        else:
            table = _table(through)
            own = meta.basetable[meta.fields_db_projection[self._related.there]]
            builder = builder.join(table).on(own == table[through.there])
            keys = table[through.here]
            builder._selects.append(keys)
        return str(builder.where(keys.isin(list(range(size)))).get_parameterized_sql()[0])


def _table(through: Through) -> Table:
    return Table(through.table, schema=through.schema)


def _to_python(model: type[Model], name: str) -> Any:
    """Return what makes the model's value of what the driver gives for a column that refers to *name*."""
    return model._meta.fields_map[name].to_python_value
