"""From the fields of a model to the fields of a schema."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from marshmallow.validate import Validator
from tortoise import validators
from tortoise.fields import base, data, relational
from tortoise.models import Model

from colibris.persist import (
    columns,
    compiled,  # noqa: F401  # declares how columns convert
)
from colibris.schemas import fields, validate

SchemaField = fields.Field[Any]
Factory = Callable[[Any, dict[str, Any]], SchemaField]

# Words that make a column load-only: what proves an identity never leaves the service by itself.
_SECRET_WORDS = frozenset(
    {'password', 'passwd', 'pwd', 'passphrase', 'passcode', 'secret', 'secrets', 'token', 'apikey', 'credentials'}
)
_KEY_KINDS = frozenset({'api', 'secret', 'private', 'access', 'auth', 'encryption', 'signing', 'session', 'master'})


def is_secret(name: str) -> bool:
    """Whether a column called *name* holds a password or a key: ``password_hash``, ``api_key``, ``token``, ``key``."""
    words = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name).lower().split('_')
    if not _SECRET_WORDS.isdisjoint(words) or words == ['key']:
        return True
    return any(word == 'key' and words[index - 1] in _KEY_KINDS for index, word in enumerate(words) if index)


def is_automatic(field: base.Field[Any]) -> bool:
    """Whether the model or the database sets the column by itself: clients only read it."""
    if getattr(field, 'auto_now', False) or getattr(field, 'auto_now_add', False) or field.generated:
        return True
    return field.pk and (field.default is not None or field.has_db_default())


def is_required(field: base.Field[Any]) -> bool:
    """Whether a new row needs a value for the column."""
    return field.required and not is_automatic(field)


def schema_field(field: base.Field[Any], **options: Any) -> SchemaField:
    """Return a schema field that takes what the column of *field* takes.

    *options* go to the schema field and win over what the column says. Raises TypeError for a field of a type that
    has no factory; see `register`.
    """
    factory = next((_factories[base] for base in type(field).__mro__ if base in _factories), None)
    if factory is None:
        raise TypeError(
            f'{_name(field)} is a {type(field).__name__}, for which no schema field is known: '
            'declare the field on the schema by hand'
        )
    return factory(field, {**_common(field), **options})


def register(model_field: type[base.Field[Any]], factory: Factory) -> None:
    """Make *factory*, called with the model's field and keyword arguments, the maker of schema fields for it."""
    _factories[model_field] = factory


def _name(field: base.Field[Any]) -> str:
    return f'{field.model.__name__}.{field.model_field_name}'


def _common(field: base.Field[Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if field.description:
        metadata['description'] = field.description
    default = getattr(field.default, 'value', field.default)
    if isinstance(default, (bool, int, float, str)) and not is_secret(field.model_field_name):
        metadata['default'] = default
    return {
        'required': is_required(field),
        'allow_none': field.null,
        'validate': [*storage_validators(field), *_rules(field)],
        'metadata': metadata,
    }


def storage_validators(field: base.Field[Any]) -> Iterator[Validator]:
    """Yield what checks that the column can hold a value."""
    if isinstance(field, (data.CharField, data.TextField)):
        yield columns.Storable()
    if isinstance(field, data.CharField):
        yield validate.Length(max=field.max_length)
    if isinstance(field, data.IntField):
        yield validate.Range(min=field.constraints['ge'], max=field.constraints['le'])
    if isinstance(field, data.DecimalField):
        yield columns.Digits(field.max_digits, field.decimal_places)


def _rules(field: base.Field[Any]) -> Iterator[Validator]:
    """Yield the validators that the model has beside those of its columns."""
    bounds: dict[str, Any] = {}
    for check in field.validators:
        if isinstance(check, validators.MinValueValidator):
            bounds['min'] = check.min_value
        elif isinstance(check, validators.MaxValueValidator):
            bounds['max'] = check.max_value
        elif not isinstance(check, validators.MaxLengthValidator) or check.max_length != getattr(
            field, 'max_length', None
        ):
            yield _validator(check)
    if bounds:
        yield validate.Range(**bounds)


def _validator(check: Any) -> Validator:
    if isinstance(check, validators.MaxLengthValidator):
        return validate.Length(max=check.max_length)
    if isinstance(check, validators.MinLengthValidator):
        return validate.Length(min=check.min_length)
    if isinstance(check, validators.RegexValidator):
        return validate.Regexp(check.regex)
    return columns.ModelValidator(check)


def _plain(schema_field_class: type[SchemaField]) -> Factory:
    return lambda field, options: schema_field_class(**options)


def _decimal(field: Any, options: dict[str, Any]) -> SchemaField:
    return columns.Decimal(decimal_places=field.decimal_places, **options)


def _enum(numeric: bool) -> Factory:
    def make(field: Any, options: dict[str, Any]) -> SchemaField:
        options['validate'] = []  # a member is a value that the column takes
        return columns.Enum(field.enum_type, numeric=numeric, **options)

    return make


_factories: dict[type, Factory] = {
    data.BigIntField: _plain(columns.Integer),
    data.BinaryField: _plain(columns.Binary),
    data.BooleanField: _plain(fields.Boolean),
    data.CharEnumFieldInstance: _enum(numeric=False),
    data.CharField: _plain(fields.String),
    data.DateField: _plain(fields.Date),
    data.DatetimeField: _plain(columns.DateTime),
    data.DecimalField: _decimal,
    data.FloatField: _plain(columns.Float),
    data.IntEnumFieldInstance: _enum(numeric=True),
    data.IntField: _plain(columns.Integer),
    data.JSONField: _plain(columns.JSON),
    data.SmallIntField: _plain(columns.Integer),
    data.TextField: _plain(fields.String),
    data.TimeDeltaField: _plain(columns.TimeDelta),
    data.TimeField: _plain(columns.Time),
    data.UUIDField: _plain(fields.UUID),
}


def relation_field(model: type[Model], name: str) -> SchemaField:
    """Return a schema field that stands for the relation *name* of *model* by ids."""
    field = model._meta.fields_map[name]
    if isinstance(field, relational.ForeignKeyFieldInstance):
        column = model._meta.fields_map[str(field.source_field)]
        return schema_field(column, attribute=column.model_field_name)
    related = field.related_model._meta.pk  # type: ignore[attr-defined]
    options = {'id_attribute': related.model_field_name, 'metadata': {}}
    if field.description:
        options['metadata'] = {'description': field.description}
    if isinstance(field, relational.BackwardOneToOneRelation):
        return columns.RelatedId(schema_field(related), **options)
    inner = schema_field(related, allow_none=False)
    if isinstance(field, relational.ManyToManyFieldInstance):
        return columns.RelatedIds(inner, validate=validate.Length(max=columns.MAX_RELATED_IDS), **options)
    return columns.RelatedIds(inner, dump_only=True, **options)


#: The Python types of the values that columns hold, for what comes from schemas that were written by hand.
VALUE_TYPES: dict[type, type | tuple[type, ...]] = {
    data.BinaryField: bytes,
    data.DateField: dt.date,
    data.DatetimeField: dt.datetime,
    data.DecimalField: Decimal,
    data.TimeField: dt.time,
    data.TimeDeltaField: dt.timedelta,
}
