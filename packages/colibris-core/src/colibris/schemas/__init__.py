"""Schemas: what a view takes and gives, written in marshmallow's language."""

from typing import TYPE_CHECKING

from marshmallow import (
    EXCLUDE,
    INCLUDE,
    RAISE,
    ValidationError,
    post_dump,
    post_load,
    pre_dump,
    pre_load,
    validate,
    validates,
    validates_schema,
)

from colibris._lazy import hand_on
from colibris.schemas import fields
from colibris.schemas.schema import Schema

if TYPE_CHECKING:
    from colibris.persist.filters import ModelFilter
    from colibris.persist.schemas import ModelSchema

__all__ = [
    'EXCLUDE',
    'INCLUDE',
    'RAISE',
    'ModelFilter',
    'ModelSchema',
    'Schema',
    'ValidationError',
    'fields',
    'post_dump',
    'post_load',
    'pre_dump',
    'pre_load',
    'validate',
    'validates',
    'validates_schema',
]

__getattr__ = hand_on(
    __name__,
    {'ModelSchema': 'colibris.persist.schemas', 'ModelFilter': 'colibris.persist.filters'},
    'colibris-persist',
)
