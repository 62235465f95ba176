"""Values as SQL: how each database writes a literal, and what a user types for the rows that are there already."""

from __future__ import annotations

import datetime
import uuid
import warnings
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from tortoise import fields
from tortoise.exceptions import ConfigurationError, ValidationError
from tortoise.fields import Field

from colibris.persist.migrations.errors import MigrationError
from colibris.persist.migrations.schema import DIALECTS, Sql

#: Words that stand for a value of its own in each row, with the SQL that makes it.
NOW: Sql = {
    'sqlite': "strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')",
    'postgres': 'CURRENT_TIMESTAMP',
    'mysql': 'UTC_TIMESTAMP(6)',
}
TODAY: Sql = {'sqlite': "date('now')", 'postgres': 'CURRENT_DATE', 'mysql': 'UTC_DATE()'}
UUID: Sql = {
    'sqlite': (
        "lower(printf('%s-%s-4%s-a%s-%s', hex(randomblob(4)), hex(randomblob(2)), substr(hex(randomblob(2)), 2), "
        'substr(hex(randomblob(2)), 2), hex(randomblob(6))))'
    ),
    'postgres': 'gen_random_uuid()',
    'mysql': 'UUID()',
}

_TRUE = ('true', 'yes', 'on', '1')
_FALSE = ('false', 'no', 'off', '0')

#: By the type of PostgreSQL, what stands in for a date or a time that is gone.
_EPOCHS: Mapping[str, object] = {
    'TIMESTAMPTZ': datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
    'TIMESTAMP': datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
    'DATE': datetime.date(1970, 1, 1),
    'TIMETZ': '00:00:00',
    'TIME': '00:00:00',
}


def literal(value: object, dialect: str) -> str:
    """Return *value*, in a form that Tortoise gives to drivers, as a literal of *dialect*."""
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        return 'NULL'
    if isinstance(value, bool):
        return str(value) if dialect == 'postgres' else str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, bytes):
        return rf"'\x{value.hex()}'::bytea" if dialect == 'postgres' else f"X'{value.hex()}'"
    if isinstance(value, datetime.datetime):
        return _datetime(value, dialect)
    if isinstance(value, datetime.time) and dialect == 'mysql':  # its TIME has no time zone
        value = value.replace(tzinfo=None)
    if isinstance(value, datetime.date | datetime.time | uuid.UUID | Decimal):
        return _text(str(value), dialect)
    if isinstance(value, str):
        return _text(value, dialect)
    raise MigrationError(f'{value!r} ({type(value).__name__}) cannot be written as a value in SQL')


def _datetime(value: datetime.datetime, dialect: str) -> str:
    if dialect == 'mysql' and value.tzinfo is not None:  # its DATETIME has no time zone; Tortoise keeps UTC there
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return _text(value.isoformat(' '), dialect)


def _text(value: str, dialect: str) -> str:
    if '\0' in value:
        raise MigrationError('a value with a NUL character cannot be written in SQL')
    if dialect == 'mysql':
        value = value.replace('\\', '\\\\')
    return "'" + value.replace("'", "''") + "'"


def parse(text: str, item: Field[Any]) -> Sql:
    """Return the SQL of what a user typed as the value of field *item*. Raises MigrationError when it is none."""
    word = text.strip().lower()
    if word == 'now' and isinstance(item, fields.DatetimeField):
        return NOW
    if word in ('now', 'today') and isinstance(item, fields.DateField):
        return TODAY
    if word == 'uuid' and isinstance(item, fields.UUIDField):
        return UUID
    try:
        return of_python(_to_python(text, item), item)
    except (ValueError, TypeError, ArithmeticError, KeyError, ValidationError, ConfigurationError) as exc:
        raise MigrationError(f'{text!r} is not a value for a {type(item).__name__}: {exc}') from exc


def _to_python(text: str, item: Field[Any]) -> object:
    if isinstance(item, fields.BooleanField):
        if text.strip().lower() not in _TRUE + _FALSE:
            raise ValueError('true or false is expected')
        return text.strip().lower() in _TRUE
    if isinstance(item, fields.BinaryField):
        return text.encode()
    value: object = item.to_python_value(text)
    item.validate(value)
    return value


def of_python(value: object, item: Field[Any]) -> Sql:
    """Return the SQL of the Python value *value* of field *item*."""
    found = stored(value, item)
    return {dialect: literal(found, dialect) for dialect in DIALECTS}


def stored(value: object, item: Field[Any]) -> object:
    """Return *value* as Tortoise gives it to drivers. Raises MigrationError if it is no value for the field *item*."""
    try:
        if isinstance(item, fields.DatetimeField) and isinstance(value, str):  # Tortoise would fail with each new row
            raise TypeError('a datetime is needed')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)  # a time of day without a zone is none of our business here
            return item.to_db_value(value, item.model)
    except (ValueError, TypeError, ArithmeticError, AttributeError, KeyError, ValidationError) as exc:
        name = f'{item.model.__name__}.{item.model_field_name}'
        raise MigrationError(f'{name}: {value!r} is not a value for a {type(item).__name__}: {exc}') from exc


def constant_default(item: Field[Any]) -> Sql | None:
    """Return the SQL of the default that *item* has in Python, if it is the same for each row (or a fresh UUID)."""
    default = item.default
    if default is uuid.uuid4:
        return UUID
    if default is dict or default is list:
        return of_python(default(), item)
    if default is None or callable(default):
        return None
    return of_python(default, item)


def neutral(item_types: Sql) -> Sql | None:
    """Return what stands in for values that are gone, when a downgrade brings back a column that must have one.

    It depends on the type only: 0, an empty text, false, the epoch, an empty JSON object, a fresh UUID.
    """
    kind = item_types['postgres'].upper().split('(')[0].strip()
    if kind in ('SMALLINT', 'INT', 'BIGINT', 'DOUBLE PRECISION', 'DECIMAL', 'NUMERIC', 'REAL'):
        return dict.fromkeys(DIALECTS, '0')
    if kind in ('VARCHAR', 'CHAR', 'TEXT'):
        return dict.fromkeys(DIALECTS, "''")
    if kind == 'BOOL':
        return {dialect: literal(False, dialect) for dialect in DIALECTS}
    if kind == 'UUID':
        return UUID
    if kind in ('JSON', 'JSONB'):
        return dict.fromkeys(DIALECTS, "'{}'")
    if kind == 'BYTEA':
        return {dialect: literal(b'', dialect) for dialect in DIALECTS}
    if kind in _EPOCHS:
        return {dialect: literal(_EPOCHS[kind], dialect) for dialect in DIALECTS}
    return None
