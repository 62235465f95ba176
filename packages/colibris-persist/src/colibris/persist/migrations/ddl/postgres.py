"""PostgreSQL: everything can be altered in place. Constraints bear the names that the server gives them by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from colibris.persist.migrations.ddl.base import Ddl, stepwise
from colibris.persist.migrations.plan import ColumnChange, Pair
from colibris.persist.migrations.schema import Column, Key, Table, TableName


class PostgresDdl(Ddl):
    """Writes for PostgreSQL ≥ 13 (it makes UUIDs)."""

    dialect: ClassVar[str] = 'postgres'

    def loosen(self, pair: Pair) -> Iterator[str]:
        table = self.table(pair.old)
        for old, new in self._columns(pair):
            if old.reference and (new is None or self._rereferenced(old, new)):
                yield from self.drop_reference(pair.old, old)
            if new is not None and old.unique and not new.unique:
                yield f'ALTER TABLE {table} DROP CONSTRAINT {self.name(unique_name(pair.old, old))}'
        for key in self.key_changes(pair)[0]:
            if key.constraint:
                yield f'ALTER TABLE {table} DROP CONSTRAINT {self.name(key.name)}'
            else:
                yield f'DROP INDEX {self._index_name(pair.old, key.name)}'

    def drop_columns(self, pair: Pair) -> Iterator[str]:
        for column in pair.change.dropped():
            yield f'ALTER TABLE {self.table(pair.old)} DROP COLUMN {self.name(column.name)}'

    def rename_table(self, old: TableName, new: TableName) -> Iterator[str]:
        if old[0] != new[0]:
            yield f'ALTER TABLE {self.table(old)} SET SCHEMA {self.name(new[0] or "public")}'
        if old[1] != new[1]:
            yield f'ALTER TABLE {self.table((new[0], old[1]))} RENAME TO {self.name(new[1])}'

    def rename_parts(self) -> Iterator[str]:
        owners: dict[TableName, tuple[str, Table]] = {}
        names: list[tuple[TableName, TableName]] = []
        for pair in self.pairs:
            for kind, before, after in self._parts(pair):
                old, new = (pair.new.schema, before), (pair.new.schema, after)
                owners[old] = (kind, pair.new)
                names.append((old, new))
            for before, after in self._reference_names(pair):
                yield self._rename_constraint(pair.new, before, after)
        for old, new in stepwise(names, spare=lambda name: (name[0], f'{name[1]}__old')):
            kind, owner = owners[new] = owners.pop(old)
            if kind == 'CONSTRAINT':
                yield self._rename_constraint(owner, old[1], new[1])
            else:
                yield f'ALTER {kind} {self.table(old)} RENAME TO {self.name(new[1])}'

    def _parts(self, pair: Pair) -> Iterator[tuple[str, str, str]]:
        """Yield what shares one space of names with all tables of the schema: its kind, its old and its new name."""
        for old, new, _ in pair.change.pairs():
            if old.primary:
                yield 'CONSTRAINT', server_name(pair.old.name, '', 'pkey'), server_name(pair.new.name, '', 'pkey')
                if old.generated:
                    yield 'SEQUENCE', sequence_name(pair.old, old), sequence_name(pair.new, new)
            if old.unique and new.unique:
                yield 'CONSTRAINT', unique_name(pair.old, old), unique_name(pair.new, new)
        for key, other in self.key_changes(pair)[2]:
            yield 'CONSTRAINT' if key.constraint else 'INDEX', key.name, other.name

    def _reference_names(self, pair: Pair) -> list[tuple[str, str]]:
        """Return the foreign keys that stay, whose names are the table's own matter."""
        names = [
            (reference_name(pair.old, old), reference_name(pair.new, new))
            for old, new, _ in pair.change.pairs()
            if old.reference and new.reference and not self._rereferenced(old, new)
        ]
        return stepwise(names, spare=lambda name: f'{name}__old')

    def _rename_constraint(self, table: Table, before: str, after: str) -> str:
        return f'ALTER TABLE {self.table(table)} RENAME CONSTRAINT {self.name(before)} TO {self.name(after)}'

    def create(self, table: Table, without: Sequence[Column] = ()) -> Iterator[str]:
        if table.schema:
            yield f'CREATE SCHEMA IF NOT EXISTS {self.name(table.schema)}'
        lines = [self.column(column) + self._inline_target(column, without) for column in table.columns]
        lines += [self._constraint(key) for key in self.keys(table) if key.constraint]
        yield f'CREATE TABLE {self.table(table)} {self.body(lines)}'
        for key in self.keys(table):
            if not key.constraint:
                yield self._index(table, key)
        if table.comment:
            yield self._comment(f'TABLE {self.table(table)}', table.comment)
        for column in table.columns:
            if column.comment:
                yield self._column_comment(table, column)

    def alter(self, pair: Pair) -> Iterator[str]:
        table = self.table(pair.new)
        for column, change in pair.change.added():
            yield from self._add(pair.new, column, change)
        for old, new, change in pair.change.pairs():
            yield from self._alter(pair.new, old, new, change)
        if pair.old.comment != pair.new.comment:
            yield self._comment(f'TABLE {table}', pair.new.comment)

    def add_keys(self, pair: Pair) -> Iterator[str]:
        table = self.table(pair.new)
        for old, new, _ in pair.change.pairs():
            if new.unique and not old.unique:
                name = self.name(unique_name(pair.new, new))
                yield f'ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({self.name(new.name)})'
        for key in self.key_changes(pair)[1]:
            yield f'ALTER TABLE {table} ADD {self._constraint(key)}' if key.constraint else self._index(pair.new, key)

    def add_references(self, pair: Pair) -> Iterator[str]:
        for old, new, _ in pair.change.pairs():
            if new.reference and (not old.reference or self._rereferenced(old, new)):
                yield from self.add_reference(pair.new, new)
        for column, _ in pair.change.added():
            if column.reference:
                yield from self.add_reference(pair.new, column)

    def add_reference(self, table: Table, column: Column) -> Iterator[str]:
        if column.reference:
            yield (
                f'ALTER TABLE {self.table(table)} ADD CONSTRAINT {self.name(reference_name(table, column))}'
                f' FOREIGN KEY ({self.name(column.name)}) {self.target(column.reference)}'
            )

    def drop_reference(self, table: Table, column: Column) -> Iterator[str]:
        yield f'ALTER TABLE {self.table(table)} DROP CONSTRAINT {self.name(reference_name(table, column))}'

    def _columns(self, pair: Pair) -> Iterator[tuple[Column, Column | None]]:
        for change in pair.change.columns:
            if change.old is not None:
                yield change.old, change.new

    def _rereferenced(self, old: Column, new: Column) -> bool:
        """Whether the reference of the column must be dropped and made again."""
        if not self.plan.same_reference(old, new) or self.type(old) != self.type(new):
            return True
        return new.reference is not None and self.plan.retyped(new.reference)

    def _inline_target(self, column: Column, without: Sequence[Column]) -> str:
        if column.reference is None or any(column is other for other in without):
            return ''
        return f' {self.target(column.reference)}'

    def _add(self, table: Table, column: Column, change: ColumnChange) -> Iterator[str]:
        fill, name = self.fill(change), self.name(column.name)
        definition = self.column(column)
        if fill is None or column.default:
            yield f'ALTER TABLE {self.table(table)} ADD COLUMN {definition}'
            if fill is not None:
                yield f'UPDATE {self.table(table)} SET {name} = {fill}'
        else:
            yield f'ALTER TABLE {self.table(table)} ADD COLUMN {definition} DEFAULT {fill}'
            yield f'ALTER TABLE {self.table(table)} ALTER COLUMN {name} DROP DEFAULT'
        if column.comment:
            yield self._column_comment(table, column)

    def _alter(self, table: Table, old: Column, new: Column, change: ColumnChange) -> Iterator[str]:
        alter = f'ALTER TABLE {self.table(table)} ALTER COLUMN {self.name(new.name)}'
        retyped = self.type(old) != self.type(new)
        if old.default and (retyped or not new.default):
            yield f'{alter} DROP DEFAULT'
        if retyped:
            yield f'{alter} TYPE {self.type(new)}{self._using(old, new)}'
            if new.primary and new.generated:
                sequence = self._index_name(table, sequence_name(table, new))
                yield f'ALTER SEQUENCE {sequence} AS {_SEQUENCE_TYPES.get(self.type(new), self.type(new))}'
        if new.default and (retyped or self.default(old) != self.default(new)):
            yield f'{alter} SET{self.default(new)}'
        if old.null and not new.null:
            if (fill := self.fill(change)) is not None:
                name = self.name(new.name)
                yield f'UPDATE {self.table(table)} SET {name} = {fill} WHERE {name} IS NULL'
            yield f'{alter} SET NOT NULL'
        elif new.null and not old.null:
            yield f'{alter} DROP NOT NULL'
        if old.comment != new.comment:
            yield self._column_comment(table, new)

    def _using(self, old: Column, new: Column) -> str:
        """Return the conversion, but where the server has one that refuses what does not fit (a cast cuts it off)."""
        before, after = (column.types[self.dialect].upper().split('(')[0] for column in (old, new))
        if after in _TEXTS or (before in _NUMBERS and after in _NUMBERS):
            return ''
        through = '::INT' if 'BOOL' in (before, after) and {before, after} & set(_NUMBERS) else ''
        return f' USING {self.name(new.name)}{through}::{self.type(new)}'

    def _constraint(self, key: Key) -> str:
        return f'CONSTRAINT {self.name(key.name)} UNIQUE ({self.key_columns(key)})'

    def _index(self, table: Table, key: Key) -> str:
        unique = 'UNIQUE ' if key.unique else ''
        using = f'USING {key.type} ' if key.type else ''
        return (
            f'CREATE {unique}INDEX {self.name(key.name)} ON {self.table(table)}'
            f' {using}({self.key_columns(key)}){key.extra}'
        )

    def _index_name(self, table: Table, name: str) -> str:
        """Return the name of an index or a sequence, which lives in the schema of its table."""
        return self.table((table.schema, name))

    def _column_comment(self, table: Table, column: Column) -> str:
        return self._comment(f'COLUMN {self.table(table)}.{self.name(column.name)}', column.comment)

    def _comment(self, what: str, comment: str) -> str:
        quoted = "'" + comment.replace("'", "''") + "'" if comment else 'NULL'
        return f'COMMENT ON {what} IS {quoted}'


_SEQUENCE_TYPES = {'INT': 'INTEGER'}
_TEXTS = ('VARCHAR', 'CHAR', 'TEXT')
_NUMBERS = ('SMALLINT', 'INT', 'BIGINT', 'DECIMAL', 'NUMERIC', 'DOUBLE PRECISION')


def unique_name(table: Table, column: Column) -> str:
    return server_name(table.name, column.name, 'key')


def reference_name(table: Table, column: Column) -> str:
    return server_name(table.name, column.name, 'fkey')


def sequence_name(table: Table, column: Column) -> str:
    return server_name(table.name, column.name, 'seq')


def server_name(table: str, column: str, label: str) -> str:
    """Return the name that PostgreSQL gives to what belongs to a column (its ``makeObjectName``, 63 bytes)."""
    parts = [table.encode(), column.encode()]
    room = 63 - len(label) - 1 - (1 if column else 0)
    while sum(map(len, parts)) > room:
        longer = 0 if len(parts[0]) > len(parts[1]) else 1
        parts[longer] = parts[longer][:-1]
    return '_'.join([*(part.decode(errors='ignore') for part in parts if part), label])
