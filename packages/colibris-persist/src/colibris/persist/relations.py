"""Which relations a schema reads, and how they are fetched: one query a relation, however long the list is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from marshmallow import Schema
from tortoise.fields import relational
from tortoise.models import Model
from tortoise.query_utils import Prefetch
from tortoise.queryset import QuerySet

from colibris.persist.columns import RelatedId, RelatedIds
from colibris.persist.pagination import stable
from colibris.schemas import fields

#: Schemas that nest one another in a circle have no end.
MAX_DEPTH = 6

# Fields that make one value of one value: given a related object, they would fail at the first request.
_SCALARS = (fields.String, fields.Number, fields.Boolean, fields.UUID, fields.DateTime, fields.Date, fields.Time)


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation that is read, and what is read of the objects that it leads to."""

    related: type[Model]
    is_many: bool
    inner: dict[str, Relation] = field(default_factory=dict)


Relations = Mapping[str, Relation]


def relations_read(schema: Schema | None, model: type[Model], paths: Sequence[str] = ()) -> Relations:
    """Return the relations of *model* that dumping with *schema* reads, and those that *paths* name besides.

    Raises TypeError for a schema that could not dump what it reads, or that nests itself without end.
    """
    found: dict[str, Relation] = {}
    if schema is not None:
        _read_schema(schema, model, found, ())
    for path in paths:
        if not _read_path(path.split('__'), model, found):
            raise TypeError(f'prefetch names {path!r}, which is no relation of {model.__name__}')
    return found


def _read_schema(schema: Schema, model: type[Model], found: dict[str, Relation], way: tuple[str, ...]) -> None:
    for name, dumped in schema.dump_fields.items():
        where = (*way, f'{type(schema).__name__}.{name}')
        if len(where) > MAX_DEPTH:
            raise TypeError(
                f'{" -> ".join(where)}: schemas that nest one another so deeply would take a query a level; '
                'end the circle with only= or exclude='
            )
        path = (dumped.attribute or name).split('.')
        relation = _read_path(path, model, found)
        if relation is None:
            continue
        _check_dumps(where[-1], dumped, model, path)
        inner = _nested(dumped)
        if inner is not None:
            _read_schema(inner.schema, relation.related, relation.inner, where)


def _read_path(path: Sequence[str], model: type[Model], found: dict[str, Relation]) -> Relation | None:
    """Add the relations along *path*; return the last one if the path ends in a relation."""
    first, *rest = path
    field = model._meta.fields_map.get(first)
    if not isinstance(field, relational.RelationalField):
        return None
    related: type[Model] = field.related_model
    is_many = isinstance(field, (relational.ManyToManyFieldInstance, relational.BackwardFKRelation))
    is_many = is_many and not isinstance(field, relational.BackwardOneToOneRelation)
    relation = found.setdefault(first, Relation(related, is_many))
    if not rest:
        return relation
    return _read_path(rest, related, relation.inner)


def _nested(dumped: Any) -> fields.Nested | None:
    while isinstance(dumped, fields.List):
        dumped = dumped.inner
    return dumped if isinstance(dumped, fields.Nested) else None


def _check_dumps(where: str, dumped: fields.Field[Any], model: type[Model], path: Sequence[str]) -> None:
    simple = dumped
    while isinstance(simple, fields.List) and not isinstance(simple, RelatedIds):
        simple = simple.inner
    if isinstance(simple, _SCALARS) and not isinstance(simple, (RelatedId, RelatedIds)):
        raise TypeError(
            f'{where} is a {type(dumped).__name__}, but {model.__name__}.{".".join(path)} is a relation: use '
            'fields.Nested or fields.Pluck, or a ModelSchema, which shows relations by their ids'
        )


async def fetch(objects: Sequence[Any], relations: Relations) -> None:
    """Fetch *relations* for *objects*, all of one model; a number of queries that does not depend on how many."""
    if not objects or not relations:
        return
    model: type[Model] = type(objects[0])
    db = model._choose_db()
    queries: dict[str, list[tuple[str | None, QuerySet[Any]]]] = {
        name: [(None, _query(relation))] for name, relation in relations.items()
    }
    executor = db.executor_class(model=model, db=db, prefetch_queries=queries)
    await executor.fetch_for_list(objects)


def _query(relation: Relation) -> QuerySet[Any]:
    query: QuerySet[Any] = relation.related.all()
    if relation.is_many:
        query = stable(query)
    if relation.inner:
        query = query.prefetch_related(*(Prefetch(name, _query(each)) for name, each in relation.inner.items()))
    return query
