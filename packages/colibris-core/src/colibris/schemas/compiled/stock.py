"""What of a schema, field or validator is marshmallow's own: only that is known well enough to be compiled."""

from __future__ import annotations

from typing import Any

import marshmallow
from marshmallow import fields, validate

from colibris.schemas import fields as own_fields

#: What marshmallow calls of a field; a subclass, an instance or a patch that has another one is left to marshmallow.
_FIELD: tuple[str, ...] = (
    *('deserialize', '_deserialize', 'serialize', '_serialize', '_validate', '_validate_all', '_validate_missing'),
    *('get_value', '_CHECK_ATTRIBUTE'),
)
_NUMBER = ('_validated', '_format_num', '_to_string', 'num_type')
_TEMPORAL = ('_make_object_from_format', 'SERIALIZATION_FUNCS', 'DESERIALIZATION_FUNCS', 'DEFAULT_FORMAT', 'OBJ_TYPE')
_NESTED = ('schema', '_load', '_test_collection', '_nested_normalized_option')

_LOAD = ('_do_load', '_deserialize', '_call_and_store', '_invoke_load_processors')
_VALIDATE = ('_invoke_field_validators', '_invoke_schema_validators')
_DUMP = ('_serialize', 'get_attribute', '_invoke_dump_processors')


class NotCompiled(Exception):
    """Raised when something is left to marshmallow; its text says why."""


def _names(cls: type) -> tuple[str, ...]:
    names = _FIELD
    if issubclass(cls, (fields.Number, fields.UUID)):
        names += _NUMBER
    if issubclass(cls, (fields.DateTime, fields.Time, fields.Date)):
        names += _TEMPORAL
    if issubclass(cls, fields.Nested):
        names += (*_NESTED, '_field_data_key')
    if issubclass(cls, (fields.IP, fields.IPInterface)):
        names += ('DESERIALIZATION_CLASS',)
    if issubclass(cls, fields.Mapping):
        names += ('mapping_type',)
    return names


def _parts(cls: type, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(cls, name, None) for name in names}


_FIELD_CLASSES: dict[type, dict[str, Any]] = {
    cls: _parts(cls, _names(cls))
    for cls in (
        *{getattr(fields, name) for name in fields.__all__},
        own_fields.Decimal,
    )
}
_BASE = _parts(fields.Field, tuple(name for name in _FIELD if name not in ('_deserialize', '_serialize')))
_VALIDATOR_CLASSES: dict[type, Any] = {
    cls: cls.__call__
    for cls in (
        *(validate.And, validate.ContainsNoneOf, validate.ContainsOnly, validate.Email, validate.Equal),
        *(validate.Length, validate.NoneOf, validate.OneOf, validate.Range, validate.Regexp),
        validate.URL,
    )
}
#: The methods that are looked at of a schema.
METHODS = ('load', 'dump', *_LOAD, *_VALIDATE, *_DUMP)
_SCHEMA_CLASSES: list[type[marshmallow.Schema]] = []
_SCHEMA_PARTS: list[dict[str, Any]] = [_parts(marshmallow.Schema, METHODS)]


def know_schema(cls: type[marshmallow.Schema]) -> None:
    """Take the methods of *cls* for as good as marshmallow's own."""
    _SCHEMA_CLASSES.append(cls)
    _SCHEMA_PARTS.append(_parts(cls, METHODS))


def check_field(field: fields.Field[Any]) -> None:
    """Raise NotCompiled unless *field* does what its class in marshmallow does."""
    cls = type(field)
    known = _FIELD_CLASSES.get(cls)
    if known is None:
        raise NotCompiled(f'{cls.__module__}.{cls.__qualname__} declares no conversion')
    own = vars(field)
    for name, part in known.items():
        if getattr(cls, name, None) is not part or name in own:
            raise NotCompiled(f'{cls.__qualname__}.{name} was replaced')


def skips_missing(field: fields.Field[Any]) -> bool:
    """Whether *field* does with what is missing what fields do, if nothing of its own says otherwise."""
    cls = type(field)
    return (
        cls.deserialize is fields.Field.deserialize
        and cls._validate_missing is fields.Field._validate_missing
        and vars(field).keys().isdisjoint(('deserialize', '_validate_missing'))
    )


def check_declared(field: fields.Field[Any]) -> None:
    """Raise NotCompiled unless *field*, whose conversions are declared, does all else as marshmallow's fields do."""
    cls, own = type(field), vars(field)
    for name, part in _BASE.items():
        if getattr(cls, name, None) is not part or name in own:
            raise NotCompiled(f'{cls.__qualname__}.{name} is overridden')


def check_validator(validator: Any) -> bool:
    """Whether *validator* is one of marshmallow's, and does what it did there."""
    known = _VALIDATOR_CLASSES.get(type(validator))
    return known is not None and type(validator).__call__ is known


def has_known(schema: marshmallow.Schema, method: str) -> bool:
    """Whether the method of that name of *schema* is marshmallow's own, or one that is known to do the same."""
    found = getattr(type(schema), method)
    return method not in vars(schema) and any(found is parts[method] for parts in _SCHEMA_PARTS)


def _check_methods(schema: marshmallow.Schema, names: tuple[str, ...]) -> None:
    cls = type(schema)
    for name in names:
        if not has_known(schema, name):
            raise NotCompiled(f'{cls.__qualname__}.{name} is overridden')
    if cls.dict_class is not dict or 'dict_class' in vars(schema):
        raise NotCompiled(f'{cls.__qualname__}.dict_class is not dict')


def check_load(schema: marshmallow.Schema, *, nested: bool) -> None:
    """Raise NotCompiled unless *schema* loads by marshmallow's own methods; hooks are another matter.

    Whether `load` itself is overridden matters for a *nested* schema: of another one it has been called already.
    """
    _check_methods(schema, (*_LOAD, *_VALIDATE, *(('load',) if nested else ())))


def check_deserialize(schema: marshmallow.Schema) -> None:
    """Raise NotCompiled unless *schema* deserializes dictionaries by marshmallow's own methods."""
    _check_methods(schema, ('_deserialize', '_call_and_store'))


def check_by_field(schema: marshmallow.Schema) -> None:
    """Raise NotCompiled unless *schema* can run code for single fields, as our base class does."""
    if not isinstance(schema, tuple(_SCHEMA_CLASSES)):
        raise NotCompiled('only what derives from colibris.schemas.Schema is compiled field by field')


def check_dump(schema: marshmallow.Schema, *, nested: bool) -> None:
    """Raise NotCompiled unless *schema* dumps by marshmallow's own methods; hooks are another matter."""
    _check_methods(schema, (*_DUMP, *(('dump',) if nested else ())))


def hooks(schema: marshmallow.Schema, *tags: str) -> list[str]:
    """Return the names of the methods that *schema* has as hooks of the given kinds."""
    return [hook[0] for tag in tags for hook in schema._hooks.get(tag, ())]
