"""Persistence: models and databases.

``from colibris.persist import Model, fields, transaction`` is what most projects need. Backends are imported when they
are asked for, so that only the driver of the chosen one has to be installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tortoise.exceptions import (
    DoesNotExist,
    IntegrityError,
    MultipleObjectsReturned,
    OperationalError,
    TransactionManagementError,
    ValidationError,
)
from tortoise.expressions import F, Function, Q, RawSQL, Subquery
from tortoise.functions import Avg, Coalesce, Concat, Count, Length, Lower, Max, Min, Sum, Trim, Upper
from tortoise.indexes import Index
from tortoise.manager import Manager
from tortoise.query_utils import Prefetch
from tortoise.queryset import QuerySet
from tortoise.signals import post_delete, post_save, pre_delete, pre_save

from colibris.persist import fields
from colibris.persist.base import DatabaseBackend
from colibris.persist.database import Database, connectivity_check, get_connection, get_database
from colibris.persist.errors import (
    AccessDenied,
    CheckViolation,
    DatabaseUnavailable,
    InvalidValue,
    MissingDatabase,
    MissingReference,
    NotNullViolation,
    StillReferenced,
    TransactionConflict,
    UniqueViolation,
)
from colibris.persist.fields import (
    CASCADE,
    NO_ACTION,
    RESTRICT,
    SET_DEFAULT,
    SET_NULL,
    BackwardFKRelation,
    BackwardOneToOneRelation,
    BigIntegerField,
    BigIntField,
    BinaryField,
    BooleanField,
    CharEnumField,
    CharField,
    DateField,
    DateTimeField,
    DatetimeField,
    DecimalField,
    DurationField,
    Field,
    FloatField,
    ForeignKey,
    ForeignKeyField,
    ForeignKeyNullableRelation,
    ForeignKeyRelation,
    IntegerField,
    IntEnumField,
    IntField,
    JSONField,
    ManyToManyField,
    ManyToManyRelation,
    Now,
    OnDelete,
    OneToOneField,
    OneToOneNullableRelation,
    OneToOneRelation,
    RandomHex,
    ReverseRelation,
    SmallIntegerField,
    SmallIntField,
    SqlDefault,
    TextField,
    TimeDeltaField,
    TimeField,
    UUIDField,
)
from colibris.persist.models import Model
from colibris.persist.transactions import on_commit, transaction

if TYPE_CHECKING:
    from colibris.persist.mysql import MySQLBackend as MySQLBackend
    from colibris.persist.postgresql import PostgreSQLBackend as PostgreSQLBackend
    from colibris.persist.sqlite import SQLiteBackend as SQLiteBackend

_BACKENDS = {
    'SQLiteBackend': 'colibris.persist.sqlite',
    'PostgreSQLBackend': 'colibris.persist.postgresql',
    'MySQLBackend': 'colibris.persist.mysql',
}


def __getattr__(name: str) -> Any:
    if name not in _BACKENDS:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(_BACKENDS[name]), name)


__all__ = [
    'CASCADE',
    'NO_ACTION',
    'RESTRICT',
    'SET_DEFAULT',
    'SET_NULL',
    'AccessDenied',
    'Avg',
    'BackwardFKRelation',
    'BackwardOneToOneRelation',
    'BigIntField',
    'BigIntegerField',
    'BinaryField',
    'BooleanField',
    'CharEnumField',
    'CharField',
    'CheckViolation',
    'Coalesce',
    'Concat',
    'Count',
    'Database',
    'DatabaseBackend',
    'DatabaseUnavailable',
    'DateField',
    'DateTimeField',
    'DatetimeField',
    'DecimalField',
    'DoesNotExist',
    'DurationField',
    'F',
    'Field',
    'FloatField',
    'ForeignKey',
    'ForeignKeyField',
    'ForeignKeyNullableRelation',
    'ForeignKeyRelation',
    'Function',
    'Index',
    'IntEnumField',
    'IntField',
    'IntegerField',
    'IntegrityError',
    'InvalidValue',
    'JSONField',
    'Length',
    'Lower',
    'Manager',
    'ManyToManyField',
    'ManyToManyRelation',
    'Max',
    'Min',
    'MissingDatabase',
    'MissingReference',
    'Model',
    'MultipleObjectsReturned',
    'NotNullViolation',
    'Now',
    'OnDelete',
    'OneToOneField',
    'OneToOneNullableRelation',
    'OneToOneRelation',
    'OperationalError',
    'Prefetch',
    'Q',
    'QuerySet',
    'RandomHex',
    'RawSQL',
    'ReverseRelation',
    'SmallIntField',
    'SmallIntegerField',
    'SqlDefault',
    'StillReferenced',
    'Subquery',
    'Sum',
    'TextField',
    'TimeDeltaField',
    'TimeField',
    'TransactionConflict',
    'TransactionManagementError',
    'Trim',
    'UUIDField',
    'UniqueViolation',
    'Upper',
    'ValidationError',
    'connectivity_check',
    'fields',
    'get_connection',
    'get_database',
    'on_commit',
    'post_delete',
    'post_save',
    'pre_delete',
    'pre_save',
    'transaction',
]
