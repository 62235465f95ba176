"""Compare the tables of the last migration with those of the models now, and plan the way between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tortoise.fields import Field
from tortoise.models import Model

from colibris.persist.migrations import values
from colibris.persist.migrations.errors import MigrationError, QuestionUnanswered
from colibris.persist.migrations.plan import ColumnChange, Plan, TableChange
from colibris.persist.migrations.questions import Answers
from colibris.persist.migrations.schema import Column, Schema, Sql, Table

#: Types between which a column is carried over, so that one field may be another one renamed.
_FAMILIES: Mapping[str, str] = {
    'SMALLINT': 'integer',
    'INT': 'integer',
    'BIGINT': 'integer',
    'VARCHAR': 'text',
    'CHAR': 'text',
    'TEXT': 'text',
    'JSON': 'json',
    'JSONB': 'json',
}


def compare(old: Schema, new: Schema, models: Iterable[type[Model]], answers: Answers) -> Plan:
    """Return the plan that leads from *old* to *new*. Raises QuestionUnanswered where a decision is missing."""
    return _Differ(old, new, models, answers).plan()


class _Differ:
    def __init__(self, old: Schema, new: Schema, models: Iterable[type[Model]], answers: Answers) -> None:
        self.old = {name: table for name, table in old.items() if not table.is_relation}
        self.new = {name: table for name, table in new.items() if not table.is_relation}
        self.old_relations = {name: table for name, table in old.items() if table.is_relation}
        self.new_relations = {name: table for name, table in new.items() if table.is_relation}
        self.models = {model.__name__: model for model in models}
        self.answers = answers
        #: New name of a model (or a relation's table) -> the old one.
        self.matched: dict[str, str] = {}

    def plan(self) -> Plan:
        self.matched.update(self._match_models())
        self.matched.update(self._match_relations())
        old, new = self.old | self.old_relations, self.new | self.new_relations
        before = {name: old[self.matched[name]] for name in new if name in self.matched}
        kept = {table.model for table in before.values()}
        columns = {name: self._match_columns(table, new[name]) for name, table in before.items()}
        changes = [TableChange(old=table, new=None) for name, table in old.items() if name not in kept]
        for name, table in new.items():
            if name not in before:
                changes.append(TableChange(old=None, new=table))
            else:
                paired = tuple(self._completed(change, table) for change in columns[name])
                changes.append(TableChange(old=before[name], new=table, columns=paired))
        return Plan(tuple(changes))

    def _match_models(self) -> dict[str, str]:
        """Return the old name of each model that was there: same name, else same table, else as answered."""
        matched = {name: name for name in self.new if name in self.old}
        by_table = {self.old[name].full_name: name for name in self.old if name not in matched}
        for name, table in self.new.items():
            if name not in matched and table.full_name in by_table:
                matched[name] = by_table[table.full_name]
        return _renamed(
            matched, list(self.old), list(self.new), lambda *_: True, self.answers.model_rename, self.answers.ask_model
        )

    def _match_relations(self) -> dict[str, str]:
        """Return the old name of each many-to-many table: of the same field, else of the same table, else asked."""
        matched: dict[str, str] = {}
        for name in self.new_relations:
            model, field = name.split('.')
            before = f'{self.matched.get(model, model)}.{field}'
            if before in self.old_relations:
                matched[name] = before
        taken = set(matched.values())
        by_table = {table.full_name: name for name, table in self.old_relations.items() if name not in taken}
        for name, table in self.new_relations.items():
            if name not in matched and table.full_name in by_table:
                matched[name] = by_table[table.full_name]
        for model in sorted({name.split('.')[0] for name in self.new_relations}):
            self._match_renamed_relations(model, matched)
        return {name: old for name, old in matched.items() if self._same_ends(old, name)}

    def _match_renamed_relations(self, model: str, matched: dict[str, str]) -> None:
        before = self.matched.get(model, model)
        old = [name.split('.')[1] for name in self.old_relations if name.startswith(f'{before}.')]
        new = [name.split('.')[1] for name in self.new_relations if name.startswith(f'{model}.')]
        known = {
            name.split('.')[1]: value.split('.')[1] for name, value in matched.items() if name.split('.')[0] == model
        }
        names = [model, before]
        found = _renamed(
            known,
            old,
            new,
            lambda one, other: self._same_ends(f'{before}.{one}', f'{model}.{other}'),
            lambda field, candidates: self.answers.field_rename(names, field, candidates),
            lambda field, candidates: self.answers.ask_field(model, field, candidates),
        )
        matched.update({f'{model}.{field}': f'{before}.{value}' for field, value in found.items()})

    def _same_ends(self, old: str, new: str) -> bool:
        """Whether two many-to-many tables join the same two tables."""
        renamed = {
            self.old[before].full_name: self.new[name].full_name
            for name, before in self.matched.items()
            if before in self.old and name in self.new
        }
        ends = [reference.target for _, reference in self.old_relations[old].references()]
        return [renamed.get(end, end) for end in ends] == [
            reference.target for _, reference in self.new_relations[new].references()
        ]

    def _match_columns(self, old: Table, new: Table) -> list[ColumnChange]:
        before = {column.field: column for column in old.columns}
        after = {column.field: column for column in new.columns}
        matched = {name: name for name in after if name in before}
        taken = set(matched.values())
        by_column = {column.name: name for name, column in before.items() if name not in taken}
        for name, column in after.items():
            if name not in matched and column.name in by_column:
                matched[name] = by_column[column.name]
        names = [new.model, old.model]
        found = _renamed(
            matched,
            list(before),
            list(after),
            lambda one, other: _compatible(before[one], after[other]),
            lambda field, candidates: self.answers.field_rename(names, field, candidates),
            lambda field, candidates: self.answers.ask_field(new.model, field, candidates),
        )
        kept = set(found.values())
        changes = [ColumnChange(column, None) for name, column in before.items() if name not in kept]
        return changes + [
            ColumnChange(before[found[name]] if name in found else None, column) for name, column in after.items()
        ]

    def _completed(self, change: ColumnChange, table: Table) -> ColumnChange:
        """Return *change* with the values that rows get which have none, both ways."""
        old, new = change.old, change.new
        if old is not None and new is not None:
            _check_primary(table, old, new)
        if new is None or (old is not None and old.null == new.null):
            needed = old is not None and new is None and not (old.null or old.default or old.reference)
            return replace(change, fill_back=values.neutral(old.types)) if old and needed else change
        if old is not None and not old.null:  # becomes optional; on the way back it is not
            return replace(change, fill_back=old.default or (None if old.reference else values.neutral(old.types)))
        return change if new.null else replace(change, fill=self._fill(table, old, new))

    def _fill(self, table: Table, old: Column | None, new: Column) -> Sql | None:
        """Return what rows get that have no value for the required column *new*; None if the database knows."""
        if new.primary:
            raise MigrationError(f'{table.model}.{new.field}: a primary key cannot be added to a table that exists')
        if new.generated or self.answers.undecided:
            return None
        given = self.answers.default(table.model, new.field)
        item = self._field(table, new)
        if given is not None:
            return self._parsed(given, table, new, item)
        if new.default:
            return None if old is None else new.default
        reason = 'is new and must have a value' if old is None else 'must have a value from now on'
        constant = values.constant_default(item)
        if self.answers.ask is None:
            if constant is not None:
                return constant
            raise QuestionUnanswered(
                f'{table.model}.{new.field} {reason}, and has no database default: say what the existing rows get by'
                f' --default {table.model}.{new.field}={_example(item)}, or declare it with null=True or db_default'
            )
        proposal = constant['postgres'] if constant is not None else None
        text = self.answers.ask.value(table.model, new.field, reason, proposal)
        return constant if not text and constant is not None else self._parsed(text, table, new, item)

    def _parsed(self, text: str, table: Table, column: Column, item: Field[object]) -> Sql:
        try:
            return values.parse(text, item)
        except MigrationError as exc:
            raise MigrationError(f'{table.model}.{column.field}: {exc}') from exc

    def _field(self, table: Table, column: Column) -> Field[object]:
        meta = self.models[table.model]._meta
        name = next(name for name, db_name in meta.fields_db_projection.items() if db_name == column.name)
        return meta.fields_map[name]


def _renamed(
    matched: Mapping[str, str],
    old: Sequence[str],
    new: Sequence[str],
    possible: Callable[[str, str], bool],
    answered: Callable[[str, Sequence[str]], str | None],
    ask: Callable[[str, Sequence[str]], str | None],
) -> dict[str, str]:
    """Return *matched* (new name -> old name) with the renames among the rest, as answered by options or when asked."""
    found = dict(matched)
    for name in new:
        gone = [before for before in old if before not in found.values()]
        if name not in found and (before := answered(name, gone)):
            found[name] = before
    for name in new:
        gone = [before for before in old if before not in found.values()]
        if name not in found and (before := ask(name, [item for item in gone if possible(item, name)])):
            found[name] = before
    return found


def _compatible(old: Column, new: Column) -> bool:
    """Whether the values of *old* could be those of *new*."""
    if (old.reference is None) != (new.reference is None) or old.primary != new.primary:
        return False
    return _family(old) == _family(new)


def _family(column: Column) -> str:
    kind = column.types['postgres'].upper().split('(')[0].strip()
    return _FAMILIES.get(kind, kind)


def _check_primary(table: Table, old: Column, new: Column) -> None:
    """Refuse changes of a primary key that no database can carry over together with what points at it."""
    if not (old.primary or new.primary):
        return
    if old.primary != new.primary or bool(old.generated) != bool(new.generated) or _family(old) != _family(new):
        raise MigrationError(
            f'{table.model}.{new.field}: the primary key changes from {old.types["postgres"]} to'
            f' {new.types["postgres"]}, which cannot be done for rows that exist; add a new model, copy the rows in a'
            ' migration of your own (makemigrations --empty NAME) and drop the old one'
        )


def _example(item: Field[object]) -> str:
    """Return a value of the right kind for the message that asks for one."""
    examples = {
        'BooleanField': 'false',
        'DatetimeField': 'now',
        'DateField': 'today',
        'UUIDField': 'uuid',
        'JSONField': '{}',
        'DecimalField': '0',
        'FloatField': '0',
    }
    if type(item).__name__ in examples:
        return examples[type(item).__name__]
    return '0' if type(item).__name__.endswith('IntField') else 'VALUE'
