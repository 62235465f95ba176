"""SQLite: it alters by a rebuild, as https://www.sqlite.org/lang_altertable.html#otheralter describes.

The rows move to a new table that takes the old one's name. Meanwhile foreign keys are off: dropping the old table
would delete the rows that refer to it. They can only be switched outside of a transaction, so the statements bear the
transaction in them, and check the references before it is committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from colibris.persist.migrations.ddl.base import Ddl
from colibris.persist.migrations.plan import Pair
from colibris.persist.migrations.schema import Column, Key, Reference, Table, TableName
from colibris.persist.migrations.script import SQLITE_AFTER, SQLITE_BEFORE


class SqliteDdl(Ddl):
    """Writes for SQLite ≥ 3.25 (it renames columns)."""

    dialect: ClassVar[str] = 'sqlite'

    def statements(self) -> list[str]:
        found = super().statements()
        if any(self._rebuilds(pair) for pair in self.pairs) or self.plan.dropped():
            return [*SQLITE_BEFORE, *found, *SQLITE_AFTER]
        return found

    def table(self, table: Table | Reference | TableName) -> str:
        if isinstance(table, Reference):
            table = table.target
        return self.name(table.name if isinstance(table, Table) else table[1])

    def loosen(self, pair: Pair) -> Iterator[str]:
        gone, _, kept = self.key_changes(pair)
        for key in [*gone, *(old for old, new in kept if old.name != new.name)]:
            if not key.constraint:
                yield f'DROP INDEX {self.name(key.name)}'

    def drop_columns(self, pair: Pair) -> Iterator[str]:
        taken = {new.name.lower() for _, new, _ in pair.change.pairs()}
        for column in pair.change.dropped():  # the rebuild leaves it out
            if column.name.lower() in taken:
                spare = self.name(f'{column.name}__dropped')
                yield f'ALTER TABLE {self.table(pair.old)} RENAME COLUMN {self.name(column.name)} TO {spare}'

    def rename_table(self, old: TableName, new: TableName) -> Iterator[str]:
        if old[1] != new[1]:
            yield f'ALTER TABLE {self.table(old)} RENAME TO {self.table(new)}'

    def create(self, table: Table, without: Sequence[Column] = ()) -> Iterator[str]:
        yield self._create(table, self.table(table))
        for key in self.keys(table):
            yield from self._index(table, key)

    def alter(self, pair: Pair) -> Iterator[str]:
        if self._rebuilds(pair):
            yield from self._rebuild(pair)
            return
        for column, _ in pair.change.added():
            yield f'ALTER TABLE {self.table(pair.new)} ADD COLUMN {self._definition(column)}'

    def add_keys(self, pair: Pair) -> Iterator[str]:
        _, added, kept = self.key_changes(pair)
        if self._rebuilds(pair):
            added = self.keys(pair.new)
        else:
            added += [new for old, new in kept if old.name != new.name]
        for key in added:
            yield from self._index(pair.new, key)

    def _create(self, table: Table, name: str) -> str:
        lines = [self._definition(column) for column in table.columns]
        lines += [
            f'CONSTRAINT {self.name(key.name)} UNIQUE ({self.key_columns(key)})'
            for key in self.keys(table)
            if key.constraint
        ]
        return f'CREATE TABLE {name} {self.body(lines)}'

    def _definition(self, column: Column) -> str:
        target = f' {self.target(column.reference)}' if column.reference else ''
        return self.column(column) + target

    def _index(self, table: Table, key: Key) -> Iterator[str]:
        if not key.constraint:
            unique = 'UNIQUE ' if key.unique else ''
            yield (
                f'CREATE {unique}INDEX {self.name(key.name)} ON {self.table(table)}'
                f' ({self.key_columns(key)}){key.extra}'
            )

    def _rebuilds(self, pair: Pair) -> bool:
        """Whether *pair* needs more than what SQLite's ALTER TABLE can do."""
        gone, added, _ = self.key_changes(pair)
        if any(key.constraint for key in (*gone, *added)) or any(True for _ in pair.change.dropped()):
            return True
        if any(not self._addable(column) or change.fill for column, change in pair.change.added()):
            return True
        return any(not self._alike(old, new) for old, new, _ in pair.change.pairs())

    def _addable(self, column: Column) -> bool:
        """Whether ADD COLUMN takes *column*: no key, and optional or with a constant as its default."""
        if column.primary or column.unique or column.generated:
            return False
        if not column.default:
            return column.null
        constant = not column.default['sqlite'].startswith(('(', 'CURRENT'))
        return constant and column.reference is None

    def _alike(self, old: Column, new: Column) -> bool:
        same = self.type(old) == self.type(new) and self.default(old) == self.default(new)
        same = same and old.generated.get('sqlite') == new.generated.get('sqlite')
        same = same and (old.null, old.unique, old.primary) == (new.null, new.unique, new.primary)
        return same and self.plan.same_reference(old, new)

    def _rebuild(self, pair: Pair) -> Iterator[str]:
        table = pair.new
        new, old = self.name(f'{table.name}__new'), self.table(table)
        columns, selected = self._copied(pair)
        yield self._create(table, new)
        yield f'INSERT INTO {new} ({", ".join(columns)})\nSELECT {", ".join(selected)}\nFROM {old}'
        if any('AUTOINCREMENT' in column.generated.get('sqlite', '') for column in table.columns):
            yield f'DELETE FROM sqlite_sequence WHERE name = {_quoted(table.name + "__new")}'
            yield (
                f'INSERT INTO sqlite_sequence (name, seq) SELECT {_quoted(table.name + "__new")}, seq'
                f' FROM sqlite_sequence WHERE name = {_quoted(table.name)}'
            )
        yield f'DROP TABLE {old}'
        yield 'PRAGMA legacy_alter_table = ON'  # views and other tables go on to refer to the name
        yield f'ALTER TABLE {new} RENAME TO {old}'
        yield 'PRAGMA legacy_alter_table = OFF'

    def _copied(self, pair: Pair) -> tuple[list[str], list[str]]:
        """Return the columns that get values, and where the values come from."""
        columns: list[str] = []
        selected: list[str] = []
        for change in pair.change.columns:
            if change.new is None:
                continue
            name, fill = self.name(change.new.name), self.fill(change)
            if change.old is None:
                if fill is None:  # its default or NULL
                    continue
                selected.append(fill)
            else:
                value = self._converted(name, self.type(change.old), self.type(change.new))
                selected.append(value if fill is None else f'COALESCE({value}, {fill})')
            columns.append(name)
        return columns, selected

    def _converted(self, name: str, old: str, new: str) -> str:
        """Return the value of the column *name* as one of type *new*, where it is kept in another form."""
        if (old, new) == ('TIMESTAMP', 'DATE'):
            return f'date({name})'
        if (old, new) == ('DATE', 'TIMESTAMP'):
            return f"{name} || ' 00:00:00+00:00'"
        return name


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
