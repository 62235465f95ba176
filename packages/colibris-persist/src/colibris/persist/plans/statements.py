"""The text of statements, made by the ORM once for each shape of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pypika_tortoise.queries import QueryBuilder
from pypika_tortoise.terms import Term
from tortoise.models import Model
from tortoise.queryset import QuerySet

__all__ = ['COUNT', 'Kept', 'is_plain', 'selection']

#: The column in which a statement gives the number of all rows.
COUNT = 'colibris_count'

K = TypeVar('K')
V = TypeVar('V')


class Kept(dict[K, V]):
    """What was made, by its shape: at most *most* of them, of which the oldest goes first."""

    def __init__(self, most: int = 256) -> None:
        super().__init__()
        self.most = most

    def keep(self, key: K, value: V) -> V:
        """Keep *value* and return it."""
        if len(self) >= self.most:
            del self[next(iter(self))]
        self[key] = value
        return value


def is_plain(query: QuerySet[Any]) -> bool:
    """Whether *query* selects rows of its model by conditions, and asks for nothing else than their order."""
    return type(query) is QuerySet and not (
        query._annotations
        or query._custom_filters
        or query._distinct
        or query._fields_for_select
        or query._force_indexes
        or query._group_bys
        or query._having
        or query._limit is not None
        or query._offset is not None
        or query._prefetch_map
        or query._prefetch_queries
        or query._select_for_update
        or query._select_related
        or query._single
        or query._use_indexes
    )


def selection(
    query: QuerySet[Any], names: Sequence[str], *, counted: QuerySet[Any] | Term | None = None
) -> QueryBuilder:
    """Return what selects the columns of the attributes *names* as *query* does.

    The number of the rows of *counted*, a query, or its value, a term, is the last column of each row.
    """
    query._choose_db_if_not_chosen(query._select_for_update)
    query._make_query()
    builder: QueryBuilder = query.query
    builder._selects = list(_columns(query.model, names))
    if counted is not None:
        count: Any = _count(counted) if isinstance(counted, QuerySet) else counted
        builder._selects.append(count.as_(COUNT))
    return builder


def _columns(model: type[Model], names: Sequence[str]) -> list[Any]:
    meta = model._meta
    columns = [meta.basetable[meta.fields_db_projection[name]] for name in names]
    return [column.as_(name) if column.name != name else column for column, name in zip(columns, names, strict=True)]


def _count(query: QuerySet[Any]) -> QueryBuilder:
    count = query.count()
    count._choose_db_if_not_chosen()
    count._make_query()
    builder: QueryBuilder = count.query
    return builder
