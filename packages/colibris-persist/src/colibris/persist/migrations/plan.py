"""A plan: which table and which column becomes which. The same plan, reversed, is the way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from colibris.persist.migrations.schema import Column, Key, Reference, Sql, Table, TableName


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column before and after; None where it does not exist.

    ``fill`` is what rows without a value get on the way there, ``fill_back`` on the way back.
    """

    old: Column | None
    new: Column | None
    fill: Sql | None = None
    fill_back: Sql | None = None

    def reversed(self) -> ColumnChange:
        return ColumnChange(self.new, self.old, self.fill_back, self.fill)


@dataclass(frozen=True, slots=True)
class TableChange:
    """A table before and after; None where it does not exist. Every table has one, changed or not."""

    old: Table | None
    new: Table | None
    columns: tuple[ColumnChange, ...] = ()

    def reversed(self) -> TableChange:
        return TableChange(self.new, self.old, tuple(column.reversed() for column in self.columns))

    def pairs(self) -> Iterator[tuple[Column, Column, ColumnChange]]:
        """Yield the columns that are there before and after."""
        for change in self.columns:
            if change.old is not None and change.new is not None:
                yield change.old, change.new, change

    def added(self) -> Iterator[tuple[Column, ColumnChange]]:
        for change in self.columns:
            if change.new is not None and change.old is None:
                yield change.new, change

    def dropped(self) -> Iterator[Column]:
        for change in self.columns:
            if change.old is not None and change.new is None:
                yield change.old


@dataclass(frozen=True, slots=True)
class Pair:
    """A table that is there before and after, and its change."""

    old: Table
    new: Table
    change: TableChange


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of all tables, and what follows from the renames among them."""

    tables: tuple[TableChange, ...]
    _table_names: Mapping[TableName, TableName] = field(init=False, repr=False)
    _column_names: Mapping[tuple[TableName, str], str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tables = {pair.old.full_name: pair.new.full_name for pair in self.pairs()}
        columns = {
            (pair.old.full_name, old.name): new.name for pair in self.pairs() for old, new, _ in pair.change.pairs()
        }
        object.__setattr__(self, '_table_names', tables)
        object.__setattr__(self, '_column_names', columns)

    def reversed(self) -> Plan:
        return Plan(tuple(table.reversed() for table in self.tables))

    def pairs(self) -> Iterator[Pair]:
        for change in self.tables:
            if change.old is not None and change.new is not None:
                yield Pair(change.old, change.new, change)

    def created(self) -> list[Table]:
        return [change.new for change in self.tables if change.new is not None and change.old is None]

    def dropped(self) -> list[Table]:
        return [change.old for change in self.tables if change.old is not None and change.new is None]

    def renamed_reference(self, reference: Reference) -> Reference:
        """Return *reference* as it reads once tables and columns bear their new names."""
        schema, table = self._table_names.get(reference.target, reference.target)
        column = self._column_names.get((reference.target, reference.column), reference.column)
        return replace(reference, schema=schema, table=table, column=column)

    def renamed_key(self, table: Table, key: Key) -> Key | None:
        """Return *key* of the old *table* over the new names of its columns; None if one of them is gone."""
        names = [self._column_names.get((table.full_name, column)) for column in key.columns]
        if None in names:
            return None
        return replace(key, columns=tuple(name for name in names if name is not None))

    def same_reference(self, old: Column, new: Column) -> bool:
        """Whether both columns point at the same thing with the same effect; names of constraints aside."""
        if old.reference is None or new.reference is None:
            return old.reference is new.reference
        return _target(self.renamed_reference(old.reference)) == _target(new.reference)

    def retyped(self, reference: Reference) -> bool:
        """Whether the column that *reference* (by its new names) points at changes its type."""
        for pair in self.pairs():
            if pair.new.full_name == reference.target:
                return any(
                    new.name == reference.column and old.types != new.types for old, new, _ in pair.change.pairs()
                )
        return False

    def summary(self) -> list[str]:
        """Return what changes, in words, one line each."""
        return [line for change in self.tables for line in _summary(self, change)]

    def losses(self) -> list[str]:
        """Return what is dropped, in words: tables and columns whose rows and values are gone afterwards."""
        found = [f'table {table.name}' for table in self.dropped()]
        for pair in self.pairs():
            found += [f'column {pair.old.name}.{column.name}' for column in pair.change.dropped()]
        return found


def _target(reference: Reference) -> tuple[TableName, str, str]:
    return (reference.target, reference.column, reference.on_delete)


def _summary(plan: Plan, change: TableChange) -> Iterator[str]:
    old, new = change.old, change.new
    if old is None and new is not None:
        yield f'create table {new.name}'
    elif new is None and old is not None:
        yield f'drop table {old.name}'
    elif old is not None and new is not None:
        if old.full_name != new.full_name:
            yield f'rename table {old.name} to {new.name}'
        yield from _column_summary(plan, new, change)
        yield from _key_summary(plan, old, new)
        if old.comment != new.comment:
            yield f'describe table {new.name}'


def _column_summary(plan: Plan, table: Table, change: TableChange) -> Iterator[str]:
    for column in change.dropped():
        yield f'drop column {table.name}.{column.name}'
    for column, _ in change.added():
        yield f'add column {table.name}.{column.name}'
    for old, new, _ in change.pairs():
        if old.name != new.name:
            yield f'rename column {table.name}.{old.name} to {new.name}'
        if changed := [word for word, differs in _differences(plan, old, new) if differs]:
            yield f'alter column {table.name}.{new.name} ({", ".join(changed)})'


def _differences(plan: Plan, old: Column, new: Column) -> tuple[tuple[str, bool], ...]:
    return (
        ('type', old.types != new.types or old.generated != new.generated),
        ('null', old.null != new.null),
        ('unique', old.unique != new.unique),
        ('default', old.default != new.default),
        ('reference', not plan.same_reference(old, new)),
        ('description', old.comment != new.comment),
    )


def _key_summary(plan: Plan, old: Table, new: Table) -> Iterator[str]:
    before = [plan.renamed_key(old, key) for key in old.keys]
    for key, renamed in zip(old.keys, before, strict=True):
        if renamed is None or not any(renamed.same_as(other) for other in new.keys):
            yield f'drop {_kind(key)} {key.name} of {new.name}'
    for key in new.keys:
        if not any(renamed is not None and renamed.same_as(key) for renamed in before):
            yield f'add {_kind(key)} {key.name} to {new.name}'


def _kind(key: Key) -> str:
    return 'unique' if key.unique else 'index'
