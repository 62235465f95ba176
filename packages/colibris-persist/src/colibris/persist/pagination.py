"""Pagination: how a list is cut into pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tortoise.expressions import Subquery
from tortoise.queryset import QuerySet

from colibris.api import list_envelope
from colibris.persist.columns import Integer
from colibris.persist.plans.counting import Mode, estimate
from colibris.schemas import fields, validate

__all__ = ['PageNumberPagination', 'stable']

#: Databases count the rows that they skip in 64 bits.
_MAX_OFFSET = 2**63 - 1


def stable(query: QuerySet[Any]) -> QuerySet[Any]:
    """Return *query* in an order that gives each row its one place: its own or the model's, then the primary key."""
    meta = query.model._meta
    orderings = query._orderings or meta.ordering
    names = {name for name, _ in orderings}
    if _orders_by_others(query, names):
        chosen = Subquery(query.order_by(meta.pk_attr).values_list(meta.pk_attr))
        query = query.model.filter(pk__in=chosen).using_db(query._db)
    elif names & {meta.pk_attr, 'pk'} and query._orderings:
        return query
    order = [('-' if direction.value == 'DESC' else '') + name for name, direction in orderings]
    if not names & {meta.pk_attr, 'pk'}:
        order.append(meta.pk_attr)
    return query.order_by(*order)


def _orders_by_others(query: QuerySet[Any], names: set[str]) -> bool:
    """Whether distinct rows are to be ordered by columns of others, which PostgreSQL does in no single SELECT."""
    return query._distinct and not query._annotations and query._limit is None and any('__' in name for name in names)


class PageNumberPagination:
    """Pages by number: ``?page=2&page_size=50``.

    A subclass may set ``page_size``, the size where none is asked for, ``max_page_size``, the largest that may be
    asked for (a larger one is an error, not cut down), and the names of the parameters.
    """

    page_size: ClassVar[int] = 25
    max_page_size: ClassVar[int] = 100
    page_parameter: ClassVar[str] = 'page'
    page_size_parameter: ClassVar[str] = 'page_size'
    #: What the view says of counting; see `ModelView.count`.
    counting: Mode = 'exact'

    def __init__(self) -> None:
        where = f'{type(self).__module__}.{type(self).__qualname__}'
        if not 1 <= self.page_size <= self.max_page_size:
            raise TypeError(
                f'{where}: page_size ({self.page_size}) must be between 1 and max_page_size ({self.max_page_size})'
            )
        pages = validate.Range(min=1, max=_MAX_OFFSET // self.max_page_size)
        sizes = validate.Range(min=1, max=self.max_page_size)
        #: The parameters, by name.
        self.fields: dict[str, fields.Field[Any]] = {
            self.page_parameter: Integer(
                load_default=1, validate=pages, metadata={'description': 'The number of the page, from 1.'}
            ),
            self.page_size_parameter: Integer(
                load_default=self.page_size, validate=sizes, metadata={'description': 'How many results a page has.'}
            ),
        }

    @property
    def is_default(self) -> bool:
        """Whether the class pages and counts as this one does."""
        base, kind = PageNumberPagination, type(self)
        return kind.paginate is base.paginate and kind.count is base.count

    async def paginate(self, query: QuerySet[Any], args: Mapping[str, Any]) -> dict[str, Any]:
        """Return the list envelope with the page of *query* that *args*, the checked query parameters, ask for."""
        page, size = args[self.page_parameter], args[self.page_size_parameter]
        offset = (page - 1) * size
        if self.counting == 'exact':
            count = await self.count(query)
            results = await stable(query).offset(offset).limit(size) if offset < count else []
            return list_envelope(results, count=count, page=page, page_size=size)
        results = await stable(query).offset(offset).limit(size)
        estimated = None if self.counting is None else await self._estimate(query, offset, len(results), size)
        return list_envelope(results, count=estimated, page=page, page_size=size)

    async def _estimate(self, query: QuerySet[Any], offset: int, length: int, size: int) -> int:
        """Return about how many results *query* has; a page that is not full tells exactly."""
        if 0 < length < size:
            return offset + length
        estimated = await estimate(query) if length else None
        return await self.count(query) if estimated is None else max(estimated, offset + length)

    async def count(self, query: QuerySet[Any]) -> int:
        """Return how many results *query* has."""
        return await query.count()
