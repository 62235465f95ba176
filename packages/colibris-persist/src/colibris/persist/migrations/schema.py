"""Tables as migrations see them: plain data, independent of model classes, the same for all databases.

A schema is read from models (see `state.py`), kept in each migration file, and compared with the next one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

#: The databases for which each migration file has statements, by the name of Tortoise's ``capabilities.dialect``.
DIALECTS = ('sqlite', 'postgres', 'mysql')

#: SQL by dialect.
Sql = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a column points at by a foreign key."""

    table: str
    column: str
    on_delete: str
    #: Names of the constraint and of the index below it on MySQL; the other databases name theirs after the column.
    name: str
    index: str
    schema: str = ''

    @property
    def target(self) -> TableName:
        return (self.schema, self.table)


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``field`` is what the model calls it (``author`` for the column ``author_id``)."""

    field: str
    name: str
    types: Sql
    null: bool = False
    unique: bool = False
    primary: bool = False
    #: Full definition of a column whose values the database makes.
    generated: Sql = dataclasses.field(default_factory=dict)
    #: The default that the database knows.
    default: Sql = dataclasses.field(default_factory=dict)
    comment: str = ''
    reference: Reference | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A unique constraint or an index over columns (or over expressions, by dialect)."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    #: Whether it is a constraint of the table or an index beside it; uniques can be either.
    constraint: bool = False
    type: str = ''
    extra: str = ''
    expressions: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def same_as(self, other: Key) -> bool:
        """Whether both do the same, whatever they are called."""
        return replace(self, name='') == replace(other, name='')


#: A table's database schema ('' for the default one) and its name.
TableName = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; ``model`` is the model's name, or ``Model.field`` for the table behind a many-to-many relation."""

    model: str
    name: str
    columns: tuple[Column, ...]
    keys: tuple[Key, ...] = ()
    comment: str = ''
    schema: str = ''

    @property
    def full_name(self) -> TableName:
        return (self.schema, self.name)

    @property
    def is_relation(self) -> bool:
        """Whether it is the table behind a many-to-many relation."""
        return '.' in self.model

    @property
    def primary(self) -> Column | None:
        return next((column for column in self.columns if column.primary), None)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def references(self) -> Iterator[tuple[Column, Reference]]:
        for column in self.columns:
            if column.reference is not None:
                yield column, column.reference


#: All tables of a project, by ``Table.model``.
Schema = Mapping[str, Table]


def dump(table: Table) -> dict[str, Any]:
    """Return *table* in JSON types, without what is at its default."""
    data: dict[str, Any] = _dump(table)
    return data


def load(data: Mapping[str, Any]) -> Table:
    """Return the table that `dump` gave *data* for."""
    columns = tuple(
        Column(**{**column, 'reference': Reference(**column['reference']) if 'reference' in column else None})
        for column in data['columns']
    )
    keys = tuple(
        Key(
            **{
                **key,
                'columns': tuple(key['columns']),
                'expressions': {name: tuple(value) for name, value in key.get('expressions', {}).items()},
            }
        )
        for key in data.get('keys', ())
    )
    return Table(**{**data, 'columns': columns, 'keys': keys})


def _dump(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_dump(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _dump(item) for name, item in value.items()}
    if hasattr(value, '__dataclass_fields__'):
        found = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        required = {'columns', 'types'}
        return {name: _dump(item) for name, item in found.items() if item or name in required}
    return value
