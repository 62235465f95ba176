"""What a schema reads of the rows of a model: which columns, and which of related rows."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema
from marshmallow.decorators import POST_DUMP, PRE_DUMP
from tortoise.fields import relational
from tortoise.manager import Manager
from tortoise.models import Model

from colibris.persist.columns import RelatedId, RelatedIds
from colibris.schemas import fields

__all__ = ['NeedsInstances', 'Reading', 'Related', 'check_model', 'reading_of']

# Whose fields and schemas read what they say, and nothing else.
_FIELDS = frozenset({'marshmallow.fields', 'colibris.schemas.fields', 'colibris.persist.columns'})
_SCHEMAS = frozenset({'marshmallow.schema', 'colibris.schemas.schema', 'colibris.persist.schemas'})
_FIELD_METHODS = ('serialize', 'get_value', '_serialize')
_SCHEMA_METHODS = ('dump', '_serialize', 'get_attribute', '_invoke_dump_processors')
_MODEL_METHODS = ('__new__', '__getattribute__', '_init_from_db')


class NeedsInstances(Exception):
    """Raised, saying why, when a schema cannot be given plain rows."""


@dataclass(slots=True)
class Reading:
    """What is read of the rows of *model*."""

    model: type[Model]
    #: Attributes of the model that have columns, in the order in which they are selected.
    columns: list[str] = field(default_factory=list)
    #: The relations that are read, by name.
    related: dict[str, Related] = field(default_factory=dict)

    def add(self, *names: str) -> None:
        """Read the columns *names* too."""
        self.columns += [name for name in dict.fromkeys(names) if name not in self.columns]


@dataclass(slots=True)
class Related:
    """A relation that is read, and what is read of the rows that it leads to."""

    #: The attribute of the rows here, and of the rows there, by which they find one another.
    here: str
    there: str
    reading: Reading
    is_many: bool
    #: The table between the two, if there is one: its name, schema, and columns that refer to here and there.
    through: Through | None = None


@dataclass(frozen=True, slots=True)
class Through:
    """A table that relates the rows of two others."""

    table: str
    schema: str | None
    here: str
    there: str


def reading_of(schema: Schema, model: type[Model]) -> Reading:
    """Return what dumping rows of *model* with *schema* reads. Raises NeedsInstances."""
    reading = Reading(model)
    check_model(model)
    _read_schema(schema, reading)
    reading.add(model._meta.pk_attr)
    return reading


def check_model(model: type[Model]) -> None:
    """Raise NeedsInstances unless rows of *model* become instances as those of any model do."""
    if type(model._meta.manager) is not Manager:
        raise NeedsInstances(f'{model.__name__} has a manager of its own')
    for name in _MODEL_METHODS:
        if inspect.getattr_static(model, name) is not inspect.getattr_static(Model, name):
            raise NeedsInstances(f'{model.__name__}.{name} is overridden')
    if hasattr(model, '__getattr__'):
        raise NeedsInstances(f'{model.__name__}.__getattr__ may give anything')


def _read_schema(schema: Schema, reading: Reading) -> None:
    kind = type(schema)
    for name in _SCHEMA_METHODS:
        if getattr(kind, name).__module__ not in _SCHEMAS or name in vars(schema):
            raise NeedsInstances(f'{kind.__name__}.{name} is overridden')
    for hook in (PRE_DUMP, POST_DUMP):
        if schema._hooks[hook]:
            raise NeedsInstances(f'{kind.__name__} has a {hook} hook')
    for name, dumped in schema.dump_fields.items():
        _read_field(f'{kind.__name__}.{name}', dumped, dumped.attribute or name, reading)


def _read_field(where: str, dumped: fields.Field[Any], attribute: str, reading: Reading) -> None:
    _check_field(where, dumped)
    if isinstance(dumped, fields.Constant):
        return
    path = attribute.split('.')
    if path[-1] in reading.model._meta.fields_db_projection and len(path) == 1:
        _add_column(where, path[0], reading)
        return
    *relations, last = path
    for name in relations:
        reading = _related(where, name, reading).reading
    if last in reading.model._meta.fields_db_projection:
        _add_column(where, last, reading)
        return
    _read_relation(where, dumped, _related(where, last, reading).reading)


def _add_column(where: str, name: str, reading: Reading) -> None:
    model = reading.model
    if inspect.getattr_static(model, name, None) is not None:
        raise NeedsInstances(f'{where}: {model.__name__}.{name} is more than a column')
    reading.add(name)


def _check_field(where: str, dumped: fields.Field[Any]) -> None:
    kind = type(dumped)
    if isinstance(dumped, (fields.Method, fields.Function)):
        raise NeedsInstances(f'{where} is given the object')
    for name in _FIELD_METHODS:
        if getattr(kind, name).__module__ not in _FIELDS or name in vars(dumped):
            raise NeedsInstances(f'{where}: {kind.__name__}.{name} is overridden and may read any attribute')
    for inner in _inner_fields(dumped):
        _check_field(where, inner)


def _inner_fields(dumped: Any) -> Sequence[fields.Field[Any]]:
    inner = [getattr(dumped, name, None) for name in ('inner', 'key_field', 'value_field')]
    return [each for each in (*inner, *getattr(dumped, 'tuple_fields', ())) if isinstance(each, fields.Field)]


def _read_relation(where: str, dumped: Any, reading: Reading) -> None:
    """Read of related rows what *dumped* shows of them."""
    while isinstance(dumped, fields.List) and not isinstance(dumped, RelatedIds):
        dumped = dumped.inner
    if isinstance(dumped, (RelatedId, RelatedIds)):
        _add_column(where, dumped.id_attribute, reading)
    elif isinstance(dumped, fields.Nested):
        _read_schema(dumped.schema, reading)
    else:
        raise NeedsInstances(f'{where} shows whole objects')


def _related(where: str, name: str, reading: Reading) -> Related:
    """Return what is read of the relation *name*, which is added if need be."""
    known = reading.related.get(name)
    if known is not None:
        return known
    relation: Any = reading.model._meta.fields_map.get(name)
    if not isinstance(relation, relational.RelationalField):
        raise NeedsInstances(f'{where}: {reading.model.__name__}.{name} is neither a column nor a relation')
    check_model(relation.related_model)
    related = reading.related[name] = _made(relation, reading.model)
    reading.add(related.here)
    related.reading.add(related.reading.model._meta.pk_attr)
    if related.through is None:
        related.reading.add(related.there)
    return related


def _made(relation: Any, model: type[Model]) -> Related:
    reading = Reading(relation.related_model)
    if isinstance(relation, relational.ForeignKeyFieldInstance):  # a OneToOneField too
        return Related(str(relation.source_field), relation.to_field_instance.model_field_name, reading, is_many=False)
    if isinstance(relation, relational.ManyToManyFieldInstance):
        through = Through(relation.through, relation.through_schema, relation.backward_key, relation.forward_key)
        there = relation.related_model._meta.pk_attr
        return Related(model._meta.pk_attr, there, reading, is_many=True, through=through)
    is_many = not isinstance(relation, relational.BackwardOneToOneRelation)
    return Related(relation.to_field_instance.model_field_name, relation.relation_field, reading, is_many=is_many)
