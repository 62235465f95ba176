"""MySQL and MariaDB: altered in place, but a foreign key stands in the way of much and is dropped meanwhile.

The index that InnoDB needs below each foreign key is written out, as it would otherwise come and go by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from colibris.persist.migrations.ddl.base import Ddl, stepwise
from colibris.persist.migrations.plan import ColumnChange, Pair
from colibris.persist.migrations.schema import Column, Key, Table, TableName


class MySQLDdl(Ddl):
    """Writes for MySQL ≥ 8.0 and MariaDB ≥ 10.5.2 (they rename columns and indexes)."""

    dialect: ClassVar[str] = 'mysql'

    def name(self, name: str) -> str:
        return '`' + name.replace('`', '``') + '`'

    def extra(self, key: Key) -> str:
        return '' if key.extra.lstrip().upper().startswith('WHERE') else key.extra  # it has no partial indexes

    def keys(self, table: Table) -> list[Key]:
        """Return the keys of *table*, with those of unique columns and those below foreign keys."""
        found = [Key(column.name, (column.name,), unique=True) for column in table.columns if column.unique]
        found += super().keys(table)
        covered = {key.columns[0] for key in found if key.columns and not key.type}
        for column, reference in table.references():
            if not column.primary and column.name not in covered:
                found.append(Key(reference.index, (column.name,)))
        return found

    def loosen(self, pair: Pair) -> Iterator[str]:
        kept = {column.name for column in self._kept_references(pair)}
        for column, _ in pair.old.references():
            if column.name not in kept:
                yield from self.drop_reference(pair.old, column)
        for key in self.key_changes(pair)[0]:
            yield f'ALTER TABLE {self.table(pair.old)} DROP INDEX {self.name(key.name)}'

    def drop_columns(self, pair: Pair) -> Iterator[str]:
        for column in pair.change.dropped():
            yield f'ALTER TABLE {self.table(pair.old)} DROP COLUMN {self.name(column.name)}'

    def rename_table(self, old: TableName, new: TableName) -> Iterator[str]:
        yield f'RENAME TABLE {self.table(old)} TO {self.table(new)}'

    def rename_parts(self) -> Iterator[str]:
        for pair in self.pairs:
            names = [(old.name, new.name) for old, new in self.key_changes(pair)[2]]
            for before, after in stepwise(names, spare=lambda name: f'{name}__old'):
                yield f'ALTER TABLE {self.table(pair.new)} RENAME INDEX {self.name(before)} TO {self.name(after)}'

    def create(self, table: Table, without: Sequence[Column] = ()) -> Iterator[str]:
        lines = [self._definition(column) for column in table.columns]
        lines += [self._key(key) for key in self.keys(table)]
        lines += [
            self._reference(column) for column, _ in table.references() if not any(column is other for other in without)
        ]
        comment = f' COMMENT={_quoted(table.comment)}' if table.comment else ''
        yield f'CREATE TABLE {self.table(table)} {self.body(lines)} CHARACTER SET utf8mb4{comment}'

    def alter(self, pair: Pair) -> Iterator[str]:
        table = self.table(pair.new)
        for column, change in pair.change.added():
            yield from self._add(table, column, change)
        for old, new, change in pair.change.pairs():
            yield from self._alter(table, old, new, change)
        if pair.old.comment != pair.new.comment:
            yield f'ALTER TABLE {table} COMMENT={_quoted(pair.new.comment)}'

    def add_keys(self, pair: Pair) -> Iterator[str]:
        for key in self.key_changes(pair)[1]:
            yield f'ALTER TABLE {self.table(pair.new)} ADD {self._key(key)}'

    def add_references(self, pair: Pair) -> Iterator[str]:
        kept = {self._new_name(pair, column) for column in self._kept_references(pair)}
        for column, _ in pair.new.references():
            if column.name not in kept:
                yield from self.add_reference(pair.new, column)

    def add_reference(self, table: Table, column: Column) -> Iterator[str]:
        yield f'ALTER TABLE {self.table(table)} ADD {self._reference(column)}'

    def drop_reference(self, table: Table, column: Column) -> Iterator[str]:
        if column.reference:
            yield f'ALTER TABLE {self.table(table)} DROP FOREIGN KEY {self.name(column.reference.name)}'

    def _kept_references(self, pair: Pair) -> list[Column]:
        """Return the old columns whose foreign key nothing of this plan touches."""
        gone, added, _ = self.key_changes(pair)
        touched = {key.columns[0] for key in gone if key.columns}
        renamed = {key.columns[0] for key in added if key.columns}
        return [
            old
            for old, new, _ in pair.change.pairs()
            if old.reference
            and new.reference
            and old.reference.name == new.reference.name
            and self.plan.same_reference(old, new)
            and not self._modified(old, new)
            and old.name not in touched
            and new.name not in renamed
            and not self._target_modified(new)
        ]

    def _target_modified(self, column: Column) -> bool:
        """Whether the column that *column* refers to is modified."""
        reference = column.reference
        for pair in self.pairs:
            if reference and pair.new.full_name == reference.target:
                return any(
                    new.name == reference.column and self._modified(old, new) for old, new, _ in pair.change.pairs()
                )
        return False

    def _new_name(self, pair: Pair, column: Column) -> str:
        return next(new.name for old, new, _ in pair.change.pairs() if old is column)

    def default(self, column: Column) -> str:
        if not column.default or self.type(column).upper() not in _WITHOUT_LITERALS:
            return super().default(column)
        return f' DEFAULT ({column.default[self.dialect]})'

    def _definition(self, column: Column) -> str:
        """Return the definition of *column* without its keys, but for the primary one."""
        comment = f' COMMENT {_quoted(column.comment)}' if column.comment else ''
        if generated := column.generated.get(self.dialect):
            return f'{self.name(column.name)} {generated}{comment}'
        primary = ' PRIMARY KEY' if column.primary else ''
        return self._plain(column, null=column.null, primary=primary)

    def _plain(self, column: Column, *, null: bool, primary: str = '') -> str:
        comment = f' COMMENT {_quoted(column.comment)}' if column.comment else ''
        nullable = ' NULL' if null else ' NOT NULL'
        return f'{self.name(column.name)} {self.type(column)}{nullable}{primary}{comment}{self.default(column)}'

    def _modified(self, old: Column, new: Column) -> bool:
        same = self.type(old) == self.type(new) and self.default(old) == self.default(new)
        return not (same and old.null == new.null and old.comment == new.comment)

    def _add(self, table: str, column: Column, change: ColumnChange) -> Iterator[str]:
        fill = self.fill(change)
        if column.null or (fill is None and column.default) or column.generated:
            yield f'ALTER TABLE {table} ADD COLUMN {self._definition(column)}'
            return
        yield f'ALTER TABLE {table} ADD COLUMN {self._plain(column, null=True)}'
        if fill is not None:
            yield f'UPDATE {table} SET {self.name(column.name)} = {fill}'
        yield f'ALTER TABLE {table} MODIFY COLUMN {self._definition(column)}'

    def _alter(self, table: str, old: Column, new: Column, change: ColumnChange) -> Iterator[str]:
        if not self._modified(old, new):
            return
        if old.null and not new.null and (fill := self.fill(change)) is not None:
            name = self.name(new.name)
            yield f'UPDATE {table} SET {name} = {fill} WHERE {name} IS NULL'
        definition = self._definition(new).replace(' PRIMARY KEY', '')
        yield f'ALTER TABLE {table} MODIFY COLUMN {definition}'

    def _key(self, key: Key) -> str:
        kind = 'UNIQUE ' if key.unique else f'{key.type} ' if key.type else ''
        return f'{kind}KEY {self.name(key.name)} ({self.key_columns(key)}){key.extra}'

    def _reference(self, column: Column) -> str:
        if column.reference is None:
            raise ValueError(f'{column.name} refers to nothing')
        return (
            f'CONSTRAINT {self.name(column.reference.name)} FOREIGN KEY ({self.name(column.name)})'
            f' {self.target(column.reference)}'
        )


#: Types for which MySQL takes an expression as the default, but no literal.
_WITHOUT_LITERALS = ('TEXT', 'LONGTEXT', 'JSON', 'BLOB', 'LONGBLOB', 'GEOMETRY')


def _quoted(text: str) -> str:
    return "'" + text.replace('\\', '\\\\').replace("'", "''") + "'"
