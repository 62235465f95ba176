"""From the data that a schema loads to rows: checked against the columns, written with what relates to them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import INCLUDE, Schema
from tortoise.exceptions import IntegrityError
from tortoise.fields import data as columns
from tortoise.fields import relational
from tortoise.fields.db_defaults import SqlDefault
from tortoise.models import Model
from tortoise.queryset import QuerySet

from colibris.api import NotFound, SchemaError
from colibris.persist.conversion import is_required, schema_field, storage_validators
from colibris.persist.errors import Violation
from colibris.schemas import ValidationError, fields

RelatedQuery = Callable[[str], Awaitable[QuerySet[Any]]]


@dataclass(frozen=True, slots=True)
class Target:
    """What one key of the loaded data sets: a column, a relation to many, or nothing that the model knows."""

    #: The attribute of the model; None if there is none.
    name: str | None
    #: How clients call it.
    label: str
    is_many: bool = False
    #: Checks values of fields that were not made from the column.
    check: fields.Field[Any] | None = None
    #: Tells of some values that the check would return them as they are.
    passes: Callable[[Any], bool] | None = None


class Writer:
    """How the data of one schema becomes rows of one model; made at start-up."""

    def __init__(self, model: type[Model], schema: Schema) -> None:
        if schema.many:
            raise TypeError(f'{type(schema).__name__} loads lists; a model view takes the body of one row')
        self.model = model
        self.schema = schema
        made: frozenset[str] = getattr(type(schema), 'made', frozenset())
        self.targets = {
            loaded.attribute or name: self._target(loaded.attribute or name, loaded.data_key or name, name in made)
            for name, loaded in schema.load_fields.items()
        }
        #: Whether rows of the model may refer to others.
        self.refers = bool(model._meta.fk_fields or model._meta.o2o_fields)
        self._labels = {target.name: target.label for target in self.targets.values() if target.name}

    def _target(self, key: str, label: str, made: bool) -> Target:
        meta = self.model._meta
        name = key
        if name in meta.fk_fields | meta.o2o_fields:
            name = str(meta.fields_map[name].source_field)
        if name in meta.fields_db_projection:
            if made:
                return Target(name, label)
            return Target(name, label, check=column_field(self.model, name), passes=_passing(meta.fields_map[name]))
        if name in meta.m2m_fields:
            return Target(name, label, is_many=True)
        return Target(None, label)

    def label(self, attribute: str) -> str:
        """Return how clients call *attribute* of the model."""
        return self._labels.get(attribute, attribute)

    def check_complete(self, view: str) -> None:
        """Raise TypeError if a row could never be made from what the schema loads, or not all of that would be kept."""
        if self.schema.unknown == INCLUDE:
            raise TypeError(
                f'{view} would let clients set any column: {type(self.schema).__name__} includes what it does not know'
            )
        if any(self.schema._hooks.values()):
            return  # a hook may add and take away what it wants
        for key, target in self.targets.items():
            loaded = next(f for n, f in self.schema.load_fields.items() if (f.attribute or n) == key)
            if target.name is None or isinstance(loaded, fields.Nested):
                raise TypeError(
                    f'{view} would not know where to keep {target.label!r} of {type(self.schema).__name__}: it is no '
                    f'column of {self.model.__name__}; make it dump_only or override the hooks perform_create and '
                    'perform_update'
                )

    def check_creates(self, view: str) -> None:
        """Raise TypeError if the schema does not load a column that each new row needs."""
        if any(self.schema._hooks.values()):
            return
        given = {target.name for target in self.targets.values()}
        for name in self.model._meta.fields_db_projection:
            column = self.model._meta.fields_map[name]
            if is_required(column) and name not in given:
                raise TypeError(
                    f'{view} cannot create a {self.model.__name__}: {name!r} has no default, and '
                    f'{type(self.schema).__name__} does not load it; add it to the schema or override perform_create'
                )

    def fit(self, data: Any) -> Any:
        """Return *data* with the names and values that the model takes. Raises SchemaError."""
        if not isinstance(data, dict):
            if isinstance(data, self.model):
                return data
            raise TypeError(
                f'{type(self.schema).__name__} loads a {type(data).__name__}; a model view needs a dictionary or a '
                f'{self.model.__name__}'
            )
        errors: dict[str, list[Any]] = {}
        values: dict[str, Any] = {}
        targets = self.targets
        for key, value in data.items():
            target = targets.get(key) or self._target(key, key, made=False)
            if target.check is None or (target.passes is not None and target.passes(value)):
                values[target.name or key] = value
                continue
            try:
                values[target.name or key] = _checked(target, value)
            except ValidationError as exc:
                errors[target.label] = exc.messages if isinstance(exc.messages, list) else [exc.messages]
        if errors:
            raise SchemaError('some fields of the body are not valid', details=errors)
        return values

    async def with_defaults(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return *data* with the defaults of what the schema loads and *data* leaves out, as PUT wants it.

        What clients cannot read stays as it is: they could not send back what they got.
        """
        missing: dict[str, Any] = {}
        for name, loaded in self.schema.load_fields.items():
            target = self.targets[loaded.attribute or name]
            if target.name is None or target.name in data or loaded.load_only:
                continue
            if target.is_many:
                missing[target.name] = []
            elif not (column := self.model._meta.fields_map[target.name]).pk:
                missing |= await _default(target.name, column)
        return {**missing, **data}


async def _default(name: str, column: Any) -> dict[str, Any]:
    """Return the value of a new row's column by its name; nothing if only the database knows it."""
    default = column.default
    if callable(default):
        default = default()
        if inspect.isawaitable(default):
            default = await default
    if default is None and column.has_db_default():
        return {} if isinstance(column.db_default, SqlDefault) else {name: column.db_default}
    return {name: default} if default is not None or column.null else {}


def column_field(model: type[Model], name: str) -> fields.Field[Any]:
    """Return a schema field that checks what is to be stored in a column, without the rules that are no column's."""
    column = model._meta.fields_map[name]
    return schema_field(column, required=False, validate=list(storage_validators(column)), metadata={})


def _passing(column: Any) -> Callable[[Any], bool] | None:
    """Return what tells of plain values that the column holds them, without the words for those that it does not."""
    kind = type(column)
    if kind is columns.CharField or kind is columns.TextField:
        most = getattr(column, 'max_length', math.inf)
        return lambda value: type(value) is str and len(value) <= most and value.isascii() and '\0' not in value
    if kind in (columns.IntField, columns.BigIntField, columns.SmallIntField):
        low, high = column.constraints['ge'], column.constraints['le']
        return lambda value: type(value) is int and low <= value <= high
    if kind is columns.FloatField:
        return lambda value: type(value) is float and math.isfinite(value)
    if kind is columns.BooleanField:
        return lambda value: type(value) is bool
    return None


def _checked(target: Target, value: Any) -> Any:
    if target.check is None or isinstance(value, Model):
        return value
    return target.check.deserialize(value)


def split(model: type[Model], data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Part *data* into the values of columns, and the ids or objects of relations to many."""
    many = {name: list(value or ()) for name, value in data.items() if name in model._meta.m2m_fields}
    return {name: value for name, value in data.items() if name not in many}, many


async def create(model: type[Model], data: Any, related_query: RelatedQuery) -> Any:
    """Make a row, and the rows that relate others to it."""
    if isinstance(data, model):
        await data.save(force_create=True)
        return data
    values, many = split(model, data)
    related = {name: await _related(model, name, ids, related_query) for name, ids in many.items()}
    obj = await model.create(**values)
    for name, objects in related.items():
        await getattr(obj, name).add(*objects)
    return obj


async def update(obj: Any, data: Mapping[str, Any], related_query: RelatedQuery) -> None:
    """Change a row to *data*, and which others it relates to. Raises NotFound if it is gone meanwhile."""
    model = type(obj)
    if not isinstance(data, Mapping):
        raise TypeError(f'to change a {model.__name__}, its schema must load a dictionary, not a {type(data).__name__}')
    values, many = split(model, data)
    related = {name: await _related(model, name, ids, related_query) for name, ids in many.items()}
    pk = model._meta.pk_attr
    if values.pop(pk, obj.pk) != obj.pk:
        raise SchemaError('some fields of the body are not valid', details={pk: ['The primary key cannot be changed.']})
    obj.update_from_dict(values)
    await _save(obj, values, touched=bool(values or many))
    for name, objects in related.items():
        await _replace(getattr(obj, name), objects)


async def _save(obj: Any, values: Mapping[str, Any], *, touched: bool) -> None:
    meta = obj._meta
    names = [str(meta.fields_map[name].source_field) if name in meta.fetch_fields else name for name in values]
    if touched:
        names += [name for name, field in meta.fields_map.items() if getattr(field, 'auto_now', False)]
    if not names:
        return
    try:
        await obj.save(update_fields=list(dict.fromkeys(names)), force_update=True)
    except Violation:
        raise
    except IntegrityError:
        # No row was changed. MySQL says so, too, of one that is already as it should be.
        if not await type(obj).exists(pk=obj.pk):
            raise NotFound from None


async def delete(obj: Any) -> None:
    """Remove a row. Raises NotFound if it is gone meanwhile."""
    model = type(obj)
    if model.delete is not Model.delete:
        await obj.delete()
        return
    db = model._choose_db(True)
    await obj._pre_delete(db)
    if not await db.executor_class(model=model, db=db).execute_delete(obj):
        raise NotFound
    await obj._post_delete(db)


async def _related(model: type[Model], name: str, given: list[Any], related_query: RelatedQuery) -> list[Any]:
    """Return the objects of the relation *name* that *given*, their ids, mean. Raises SchemaError."""
    ids = list(dict.fromkeys(each.pk if isinstance(each, Model) else each for each in given))
    if not ids:
        return []
    found = {obj.pk: obj for obj in await (await related_query(name)).filter(pk__in=ids)}
    if missing := [each for each in ids if each not in found]:
        shown = ', '.join(map(str, missing[:10])) + (', …' if len(missing) > 10 else '')
        related = model._meta.fields_map[name].related_model.__name__  # type: ignore[attr-defined]
        raise SchemaError(
            'some fields of the body are not valid', details={name: [f'There is no {related.lower()} {shown}.']}
        )
    return [found[each] for each in ids]


async def _replace(relation: Any, objects: list[Any]) -> None:
    wanted = {obj.pk for obj in objects}
    there = {obj.pk: obj for obj in await relation.all()}
    if gone := [obj for pk, obj in there.items() if pk not in wanted]:
        await relation.remove(*gone)
    if new := [obj for obj in objects if obj.pk not in there]:
        await relation.add(*new)


async def missing_references(
    model: type[Model],
    data: Mapping[str, Any],
    related_query: RelatedQuery,
    chosen: Callable[[str], bool] = lambda name: True,
) -> list[str]:
    """Return the columns of *data* that refer to rows that do not exist, for databases that do not say which.

    Only relations that are *chosen* by name are looked at.
    """
    missing = []
    for name in model._meta.fk_fields | model._meta.o2o_fields:
        relation: Any = model._meta.fields_map[name]
        if not isinstance(relation, relational.ForeignKeyFieldInstance) or relation.source_field not in data:
            continue
        if not chosen(name):
            continue
        value = data.get(str(relation.source_field))
        if value is not None and not await (await related_query(name)).filter(**{relation.to_field: value}).exists():
            missing.append(str(relation.source_field))
    return missing
