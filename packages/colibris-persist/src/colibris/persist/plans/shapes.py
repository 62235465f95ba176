"""The shape of a query: what its statement depends on, apart from the values that are bound to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from tortoise.expressions import Q
from tortoise.fields import relational
from tortoise.models import Model
from tortoise.queryset import QuerySet

from colibris.persist.matching import TextQ, bound_values

__all__ = ['Shape', 'shape_of']

#: The ends of Tortoise's conditions that compare with one value, or with each of several.
_ONE = ('', 'not', 'gt', 'gte', 'lt', 'lte')
_SEVERAL = ('in',)
_NONE = ('isnull', 'not_isnull')
_VALUES = (str, int, float, Decimal, dt.date, dt.time, dt.timedelta, UUID, bytes, Enum)


class _Unknown(Exception):
    """Raised when it is not known how a condition is written."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Equal keys: one statement. The *values* of the conditions are as the ORM would bind them, in its order."""

    key: Any
    values: Sequence[Any]
    #: By value: which given value it was made from.
    sources: Sequence[int]

    def explains(self, bound: Sequence[Any], *, times: int) -> bool:
        """Whether it is certain that what the ORM has *bound* are these values, in this order, so many *times*."""
        if list(self.values) * times != list(bound):
            return False
        if any(type(ours) is not type(theirs) for ours, theirs in zip(list(self.values) * times, bound, strict=True)):
            return False
        # Equal values of different sources could have changed places.
        first: list[tuple[Any, int]] = []
        for value, source in zip(self.values, self.sources, strict=True):
            if any(value == other and source != origin for other, origin in first):
                return False
            first.append((value, source))
        return True


def shape_of(query: QuerySet[Any]) -> Shape | None:
    """Return the shape of *query*, which asks for nothing but rows by conditions; None if that is not known."""
    if not query._q_objects:
        return Shape((query.model, tuple(query._orderings)), [], [])
    found = _Conditions(query.model, query.capabilities.dialect)
    try:
        keys = tuple(found.add(condition) for condition in query._q_objects)
    except _Unknown:
        return None
    return Shape((query.model, tuple(query._orderings), keys), found.values, found.sources)


class _Conditions:
    """Collects the values of conditions, and what else their text depends on."""

    def __init__(self, model: type[Model], dialect: str) -> None:
        self.model = model
        self.dialect = dialect
        self.values: list[Any] = []
        self.sources: list[int] = []
        self._source = 0

    def add(self, condition: Q) -> Any:
        if type(condition) is TextQ:
            return self._add_text(condition)
        if type(condition) is not Q:
            raise _Unknown
        filters = tuple(self._add_filter(key, value) for key, value in condition.filters.items())
        children = tuple(self.add(child) for child in condition.children)
        return condition.join_type, condition._is_negated, filters, children

    def _add_text(self, condition: TextQ) -> Any:
        bound = bound_values(condition, self.dialect)
        if bound is None:
            raise _Unknown
        several = condition.operator == 'in'
        count = len(condition.value) if several else 1
        for index, value in enumerate(bound):
            self._bind(value, self._source + (index % count if count else 0))
        self._source += count
        return condition.path, condition.operator, condition._is_negated, len(bound)

    def _add_filter(self, key: str, value: Any) -> Any:
        model, name, end = _column(self.model, key)
        field = model._meta.fields_map[name]
        if end in _NONE:
            if not isinstance(value, bool):
                raise _Unknown
            return key, value
        given: Sequence[Any] = value if end in _SEVERAL else [value]
        if not isinstance(given, (list, tuple)):
            raise _Unknown
        for each in given:
            if not isinstance(each, _VALUES):  # an expression, a query or a row
                raise _Unknown
            self._bind(field.to_db_value(each, model), self._source)
            self._source += 1
        return key, len(given)

    def _bind(self, value: Any, source: int) -> None:
        if isinstance(value, Enum) or value == '*':  # which are written into the text
            raise _Unknown
        self.values.append(value)
        self.sources.append(source)


def _column(model: type[Model], key: str) -> tuple[type[Model], str, str]:
    """Return the model and the column that the condition *key* compares, and how it does."""
    *way, last = _steps(model, key)
    for relation in way:
        model = relation
    name, _, end = last.partition('__')
    if name == 'pk':
        name = model._meta.pk_attr
    if name not in model._meta.fields_db_projection or end not in (*_ONE, *_SEVERAL, *_NONE):
        raise _Unknown
    return model, name, end


def _steps(model: type[Model], key: str) -> Iterator[Any]:
    """Yield the models along *key*, then what is left of it."""
    while True:
        first, _, rest = key.partition('__')
        field = model._meta.fields_map.get(first)
        if not isinstance(field, relational.RelationalField) or not rest:
            yield key
            return
        model = field.related_model
        yield model
        key = rest
