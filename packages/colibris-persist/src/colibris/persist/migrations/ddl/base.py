"""What the databases have in common: the order of the steps, and the definitions of tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from colibris.persist.migrations.plan import ColumnChange, Pair, Plan
from colibris.persist.migrations.schema import Column, Key, Reference, Sql, Table, TableName

N = TypeVar('N')

#: Kinds of index that only one database knows; the others go without, as they only make queries faster.
_INDEX_TYPES = {
    'FULLTEXT': 'mysql',
    'SPATIAL': 'mysql',
    'BLOOM': 'postgres',
    'BRIN': 'postgres',
    'GIN': 'postgres',
    'GIST': 'postgres',
    'HASH': 'postgres',
    'SPGIST': 'postgres',
}


class Ddl(ABC):
    """Writes the statements of one database. Made for one plan."""

    dialect: ClassVar[str]

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.pairs = list(plan.pairs())

    def statements(self) -> list[str]:
        """Return the statements in an order in which each finds what it needs."""
        return list(self._statements())

    def _statements(self) -> Iterator[str]:
        dropped, knots = in_order(self.plan.dropped())
        for pair in self.pairs:
            yield from self.loosen(pair)
        for table, column in knots:
            yield from self.drop_reference(table, column)
        for table in reversed(dropped):
            yield f'DROP TABLE {self.table(table)}'
        for pair in self.pairs:
            yield from self.drop_columns(pair)
        yield from self._renames()
        for pair in self.pairs:
            yield from self.alter(pair)
        for pair in self.pairs:
            yield from self.add_keys(pair)
        created, knots = in_order(self.plan.created())
        for table in created:
            yield from self.create(table, without=[column for owner, column in knots if owner is table])
        for table, column in knots:
            yield from self.add_reference(table, column)
        for pair in self.pairs:
            yield from self.add_references(pair)

    def _renames(self) -> Iterator[str]:
        tables = [(pair.old.full_name, pair.new.full_name) for pair in self.pairs]
        for old, new in stepwise(tables, spare=lambda name: (name[0], f'{name[1]}__old')):
            yield from self.rename_table(old, new)
        for pair in self.pairs:
            columns = [(old.name, new.name) for old, new, _ in pair.change.pairs()]
            for before, after in stepwise(columns, spare=lambda name: f'{name}__old'):
                yield f'ALTER TABLE {self.table(pair.new)} RENAME COLUMN {self.name(before)} TO {self.name(after)}'
        yield from self.rename_parts()

    # What a database does in its own way.

    def loosen(self, pair: Pair) -> Iterable[str]:
        """Drop constraints and indexes that are in the way of what follows; all still bear their old names."""
        return ()

    @abstractmethod
    def drop_columns(self, pair: Pair) -> Iterable[str]:
        """Drop columns, or make way for those that take their names."""

    @abstractmethod
    def rename_table(self, old: TableName, new: TableName) -> Iterable[str]: ...

    def rename_parts(self) -> Iterable[str]:
        """Rename what bears the name of a table or a column in its own."""
        return ()

    @abstractmethod
    def create(self, table: Table, without: Sequence[Column] = ()) -> Iterable[str]:
        """Create *table*; the references of the columns *without* follow later."""

    @abstractmethod
    def alter(self, pair: Pair) -> Iterable[str]:
        """Add and alter columns; names are the new ones."""

    @abstractmethod
    def add_keys(self, pair: Pair) -> Iterable[str]:
        """Add unique constraints and indexes."""

    def add_references(self, pair: Pair) -> Iterable[str]:
        """Add foreign keys."""
        return ()

    def add_reference(self, table: Table, column: Column) -> Iterable[str]:
        return ()

    def drop_reference(self, table: Table, column: Column) -> Iterable[str]:
        return ()

    # Names and definitions.

    def name(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def table(self, table: Table | Reference | TableName) -> str:
        """Return the quoted name of a table, or of the table that a reference points at."""
        if isinstance(table, Reference):
            table = table.target
        schema, name = table.full_name if isinstance(table, Table) else table
        return f'{self.name(schema)}.{self.name(name)}' if schema else self.name(name)

    def type(self, column: Column) -> str:
        return column.types[self.dialect]

    def default(self, column: Column) -> str:
        return f' DEFAULT {column.default[self.dialect]}' if column.default else ''

    def column(self, column: Column) -> str:
        """Return the definition of *column* in CREATE TABLE, without its references."""
        if generated := column.generated.get(self.dialect):
            return f'{self.name(column.name)} {generated}'
        primary = ' PRIMARY KEY' if column.primary else ''
        unique = ' UNIQUE' if column.unique else ''
        null = '' if column.null else ' NOT NULL'
        return f'{self.name(column.name)} {self.type(column)}{null}{unique}{primary}{self.default(column)}'

    def target(self, reference: Reference) -> str:
        return f'REFERENCES {self.table(reference)} ({self.name(reference.column)}) ON DELETE {reference.on_delete}'

    def keys(self, table: Table) -> list[Key]:
        """Return the keys of *table* that this database has."""
        return [replace(key, extra=self.extra(key)) for key in table.keys if self.knows(key)]

    def knows(self, key: Key) -> bool:
        return _INDEX_TYPES.get(key.type, self.dialect) == self.dialect

    def extra(self, key: Key) -> str:
        """Return what stands behind the columns of *key*, such as the condition of a partial index."""
        return key.extra

    def key_columns(self, key: Key) -> str:
        return ', '.join(key.expressions.get(self.dialect) or [self.name(column) for column in key.columns])

    def body(self, lines: Iterable[str]) -> str:
        return '(\n    ' + ',\n    '.join(lines) + '\n)'

    # Comparisons.

    def key_changes(self, pair: Pair) -> tuple[list[Key], list[Key], list[tuple[Key, Key]]]:
        """Return the keys to drop, those to add, and those that stay (old and new, as their names may differ)."""
        remaining = self.keys(pair.new)
        gone: list[Key] = []
        kept: list[tuple[Key, Key]] = []
        for key in self.keys(pair.old):
            renamed = self.plan.renamed_key(pair.old, key)
            same = next((other for other in remaining if renamed is not None and renamed.same_as(other)), None)
            if same is None:
                gone.append(key)
            else:
                remaining.remove(same)
                kept.append((key, same))
        return gone, remaining, kept

    def fill(self, change: ColumnChange) -> str | None:
        return _of(change.fill, self.dialect)


def _of(sql: Sql | None, dialect: str) -> str | None:
    return None if sql is None else sql[dialect]


def in_order(tables: Sequence[Table]) -> tuple[list[Table], list[tuple[Table, Column]]]:
    """Sort *tables* so that each comes after those that it refers to.

    The second list holds the columns, with their tables, whose references cannot be made at once because the tables
    refer to one another in a circle.
    """
    waiting = list(tables)
    ordered: list[Table] = []
    knots: list[tuple[Table, Column]] = []

    def missing(table: Table) -> list[Column]:
        names = {other.full_name for other in waiting if other is not table}
        tied = {id(column) for owner, column in knots if owner is table}
        return [
            column for column, reference in table.references() if reference.target in names and id(column) not in tied
        ]

    while waiting:
        table = next((table for table in waiting if not missing(table)), None)
        if table is None:
            table = waiting[0]
            knots += [(table, column) for column in missing(table)]
        waiting.remove(table)
        ordered.append(table)
    return ordered, knots


def stepwise(pairs: Sequence[tuple[N, N]], spare: Callable[[N], N]) -> list[tuple[N, N]]:
    """Return the renames among *pairs* so that none meets a name in use; *spare* makes names for the meantime."""
    names = {_folded(old) for old, _ in pairs}
    waiting = [(old, new) for old, new in pairs if old != new]
    steps: list[tuple[N, N]] = []
    while waiting:
        free = next((pair for pair in waiting if _folded(pair[1]) not in names), None)
        if free is None:  # names change places, or differ in case only
            old, new = waiting.pop(0)
            step = (old, spare(old))
            waiting.append((step[1], new))
        else:
            step = free
            waiting.remove(step)
        steps.append(step)
        names.discard(_folded(step[0]))
        names.add(_folded(step[1]))
    return steps


def _folded(name: object) -> str:
    return str(name).lower()
