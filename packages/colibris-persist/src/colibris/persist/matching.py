"""Conditions on texts that mean the same on every database, whatever its collation and its idea of LIKE.

Texts are equal if all their characters are. ``like`` finds a part of a text, ``ilike`` does so without regard to case;
no character of what is looked for stands for others. ``regexp`` is the database's own, and SQLite has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from pypika_tortoise.context import SqlContext
from pypika_tortoise.enums import Equality, Matching, SqlTypes
from pypika_tortoise.functions import Cast, Lower
from pypika_tortoise.terms import BasicCriterion, Criterion, Function, Term, ValueWrapper
from tortoise.expressions import Q, ResolveContext
from tortoise.filters import Like
from tortoise.query_utils import QueryModifier, resolve_nested_field

#: The function in which SQLite compares without regard to case; its own knows the letters of ASCII only.
SQLITE_LOWER = 'colibris_lower'

_ESCAPE = '|'
_Build = Callable[[Term, Any], Criterion]


class TextQ(Q):
    """A condition on one text column, put where Tortoise takes a Q.

    *path* names the column, across relations by ``__``; *operator* is a key of `OPERATORS`.
    """

    __slots__ = ('operator', 'path', 'value')

    def __init__(self, path: str, operator: str, value: Any) -> None:
        super().__init__()
        self.path = path
        self.operator = operator
        self.value = value

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextQ):
            return NotImplemented
        return (self.path, self.operator, self.value) == (other.path, other.operator, other.value)

    __hash__ = None  # type: ignore[assignment]

    def __invert__(self) -> Q:
        inverted = TextQ(self.path, self.operator, self.value)
        inverted._is_negated = not self._is_negated
        return inverted

    def resolve(self, resolve_context: ResolveContext) -> QueryModifier:
        model = resolve_context.model
        term, joins, _ = resolve_nested_field(model, resolve_context.table, self.path)
        dialect = model._meta.db.capabilities.dialect
        build = _DIALECTS.get(dialect, {}).get(self.operator) or OPERATORS[self.operator]
        criterion = build(term, self.value)
        return QueryModifier(where_criterion=~criterion if self._is_negated else criterion, joins=joins)


def bound_values(condition: TextQ, dialect: str) -> list[Any] | None:
    """Return what is bound to the text of *condition*, in order; None if that is not known."""
    operator, value = condition.operator, condition.value
    if operator == 'in':
        values = list(value)
        return values * 2 if dialect == 'mysql' else values
    if operator in ('like', 'ilike'):
        if dialect == 'sqlite':
            return [value if operator == 'like' else value.lower()]
        return [_pattern(value).value]
    if dialect == 'mysql' and operator == 'eq':
        return [value, value]
    return [value] if operator in OPERATORS else None


class _Regexp(Enum):
    """Ways to write that a text matches a regular expression."""

    MYSQL = ' REGEXP '
    POSTGRES = ' ~ '


class _Exact(Function):
    """A text of MySQL in a collation in which only equal characters are equal."""

    def __init__(self, term: Any) -> None:
        super().__init__('CONVERT', term)

    def get_special_params_sql(self, ctx: SqlContext) -> str:
        return 'USING utf8mb4'

    def get_function_sql(self, ctx: SqlContext) -> str:
        return f'{super().get_function_sql(ctx)} COLLATE utf8mb4_bin'


def _bytes(term: Any) -> Term:
    """The bytes of a text: unlike in its collations, MySQL does not ignore spaces at their ends."""
    return Cast(_Exact(term), SqlTypes.BINARY)


def _eq(term: Term, value: str) -> Criterion:
    return term.eq(ValueWrapper(value))


def _not(term: Term, value: str) -> Criterion:
    return term.ne(ValueWrapper(value)) | term.isnull()


def _in(term: Term, values: list[str]) -> Criterion:
    return term.isin([ValueWrapper(value) for value in values])


def _mysql_eq(term: Term, value: str) -> Criterion:
    # The first condition can use an index, the second one is exact.
    return _eq(term, value) & _bytes(term).eq(_bytes(value))


def _mysql_not(term: Term, value: str) -> Criterion:
    return _bytes(term).ne(_bytes(value)) | term.isnull()


def _mysql_in(term: Term, values: list[str]) -> Criterion:
    return _in(term, values) & _bytes(term).isin([_bytes(value) for value in values])


def _contains(term: Term, value: str, comparator: Any = Matching.like) -> Criterion:
    criterion = Like(term, _pattern(value), escape=f" ESCAPE '{_ESCAPE}'")
    criterion.comparator = comparator
    return criterion


def _pattern(value: str) -> ValueWrapper:
    for special in (_ESCAPE, '%', '_'):
        value = value.replace(special, _ESCAPE + special)
    return ValueWrapper(f'%{value}%')


def _postgres_ilike(term: Term, value: str) -> Criterion:
    return _contains(term, value, Matching.ilike)


def _mysql_like(term: Term, value: str) -> Criterion:
    return Like(_Exact(term), _pattern(value), escape=f" ESCAPE '{_ESCAPE}'")


def _mysql_ilike(term: Term, value: str) -> Criterion:
    return Like(Lower(_Exact(term)), Lower(_Exact(_pattern(value))), escape=f" ESCAPE '{_ESCAPE}'")


def _sqlite_like(term: Term, value: str) -> Criterion:
    # LIKE knows no case in SQLite.
    return Function('INSTR', term, ValueWrapper(value)).gt(0)


def _sqlite_ilike(term: Term, value: str) -> Criterion:
    return Function('INSTR', Function(SQLITE_LOWER, term), ValueWrapper(value.lower())).gt(0)


def _regexp(comparator: _Regexp, term: Term, value: str) -> Criterion:
    return BasicCriterion(comparator, term, ValueWrapper(value))


#: The operators of texts, as standard SQL has them.
OPERATORS: Mapping[str, _Build] = {
    'eq': _eq,
    'not': _not,
    'in': _in,
    'gt': lambda term, value: BasicCriterion(Equality.gt, term, ValueWrapper(value)),
    'ge': lambda term, value: BasicCriterion(Equality.gte, term, ValueWrapper(value)),
    'lt': lambda term, value: BasicCriterion(Equality.lt, term, ValueWrapper(value)),
    'le': lambda term, value: BasicCriterion(Equality.lte, term, ValueWrapper(value)),
    'like': _contains,
    'ilike': _postgres_ilike,
    'regexp': lambda term, value: _regexp(_Regexp.POSTGRES, term, value),
}

_DIALECTS: Mapping[str, Mapping[str, _Build]] = {
    'sqlite': {'like': _sqlite_like, 'ilike': _sqlite_ilike},
    'mysql': {
        'eq': _mysql_eq,
        'not': _mysql_not,
        'in': _mysql_in,
        'like': _mysql_like,
        'ilike': _mysql_ilike,
        'regexp': lambda term, value: _regexp(_Regexp.MYSQL, _Exact(term), value),
    },
}
