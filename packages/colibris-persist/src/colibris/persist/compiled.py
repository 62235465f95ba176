"""How the schema fields of columns convert the values that are common, for compiled schemas."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Callable
from typing import Any

from tortoise import timezone

from colibris.persist import columns
from colibris.schemas import validate
from colibris.schemas.compiled import DOUBT, declare, declare_validator, isoformat

Convert = Callable[[Any], Any]

_HARMLESS = (columns.Storable, columns.Digits, validate.Length, validate.Range)
_ISO = ('iso', 'iso8601')


def load_integer(field: columns.Integer) -> Convert:
    """Return what loads integers, and their digits."""

    def convert(value: Any) -> Any:
        if type(value) is int:
            return value
        if type(value) is str and not field.strict and columns._INTEGER.match(value):
            return int(value)
        return DOUBT

    return convert


def dump_integer(field: columns.Integer) -> Convert | None:
    """Return what dumps integers."""
    return None if field.as_string else lambda value: value if type(value) is int else DOUBT


def load_float(field: columns.Float) -> Convert:
    """Return what loads finite numbers."""

    def convert(value: Any) -> Any:
        number = float(value) if _is_number(value) else DOUBT
        return number if number is not DOUBT and math.isfinite(number) else DOUBT

    return convert


def dump_float(field: columns.Float) -> Convert | None:
    """Return what dumps numbers."""
    return None if field.as_string else lambda value: value if type(value) is float else DOUBT


def load_decimal(field: Any) -> Convert | None:
    """Return what loads decimals of sensible size."""
    if field.places is not None:
        return None

    def convert(value: Any) -> Any:
        if not _is_number(value):
            return DOUBT
        number = decimal.Decimal(str(value))
        return number if number.is_finite() and abs(number.adjusted()) <= field.max_exponent else DOUBT

    return convert


def dump_decimal(field: columns.Decimal) -> Convert | None:
    """Return what dumps decimals as their column writes them."""
    if field.places is not None or field.allow_nan:
        return None

    def convert(value: Any) -> Any:
        if type(value) is not decimal.Decimal:
            return DOUBT
        number = value.quantize(field.quantum, context=columns._EXACT)
        return format(number or abs(number), 'f')

    return convert


def load_datetime(field: columns.DateTime) -> Convert | None:
    """Return what loads moments in ISO 8601."""
    if (field.format or field.DEFAULT_FORMAT) not in _ISO:
        return None

    def convert(value: Any) -> Any:
        moment = dt.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            return DOUBT
        return moment if moment.tzinfo is dt.UTC else moment.astimezone(dt.UTC)

    return convert


def dump_datetime(field: columns.DateTime) -> Convert | None:
    """Return what dumps moments in UTC."""
    if (field.format or field.DEFAULT_FORMAT) not in _ISO:
        return None

    def convert(value: Any) -> Any:
        return isoformat(_in_utc(value)) if type(value) is dt.datetime else DOUBT

    return convert


def json_datetime(field: columns.DateTime) -> Convert | None:
    """Return what makes moments ready for JSON."""
    if (field.format or field.DEFAULT_FORMAT) not in _ISO:
        return None
    return lambda value: _in_utc(value) if type(value) is dt.datetime else DOUBT


def _in_utc(moment: dt.datetime) -> dt.datetime:
    if moment.tzinfo is dt.UTC:
        return moment
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def load_time(field: columns.Time) -> Convert | None:
    """Return what loads times of day in ISO 8601."""
    if (field.format or field.DEFAULT_FORMAT) not in _ISO:
        return None

    def convert(value: Any) -> Any:
        time = dt.time.fromisoformat(value)
        if time.tzinfo is not None:
            return DOUBT
        return time.replace(tzinfo=timezone.get_default_timezone() if timezone.get_use_tz() else None)

    return convert


def load_timedelta(field: columns.TimeDelta) -> Convert:
    """Return what loads periods, given as numbers."""

    def convert(value: Any) -> Any:
        if not _is_number(value):
            return DOUBT
        period = dt.timedelta(**{field.precision: float(value)})
        return period if abs(period) <= field.LONGEST else DOUBT

    return convert


def _is_number(value: Any) -> bool:
    kind = type(value)
    return kind is int or kind is float or (kind is str and columns._DECIMAL.match(value) is not None)


def dump_enum(field: columns.Enum) -> Convert | None:
    """Return what dumps members by their values."""
    kinds = {member: type(member.value) for member in field.enum}
    if not set(kinds.values()) <= {str, int} or 'value' in vars(field.enum):
        return None
    enum = field.enum
    return lambda value: value._value_ if type(value) is enum else DOUBT


def load_enum(field: columns.Enum) -> Convert | None:
    """Return what loads members by their values."""
    if any('_missing_' in vars(cls) for cls in field.enum.__mro__ if cls.__module__ != 'enum'):
        return None
    load = load_integer(field.field) if isinstance(field.field, columns.Integer) else _load_text

    def convert(value: Any) -> Any:
        loaded = load(value)
        return DOUBT if loaded is DOUBT else field.enum(loaded)

    return convert


def _load_text(value: Any) -> Any:
    return value if type(value) is str else DOUBT


def load_related_ids(field: columns.RelatedIds) -> Convert | None:
    """Return what loads ids, if what checks each of them has no effects."""
    inner = field.inner
    if inner.pre_load or inner.post_load or any(type(check) not in _HARMLESS for check in inner.validators):
        return None
    return load_plainly(field)


def load_plainly(field: Any) -> Convert:
    """Return what loads by the field's own method, which has no effects."""
    return lambda value: field._deserialize(value, None, None)


def dump_plainly(field: Any) -> Convert:
    """Return what dumps by the field's own method, which looks at the value alone."""
    return lambda value: field._serialize(value, None, None)


declare(columns.Integer, load=load_integer, dump=dump_integer, same=lambda field: None if field.as_string else int)
declare(columns.Float, load=load_float, dump=dump_float, same=lambda field: None if field.as_string else float)
declare(columns.Decimal, load=load_decimal, dump=dump_decimal)
declare(
    columns.DateTime,
    load=load_datetime,
    dump=dump_datetime,
    json=json_datetime,
    same=lambda field: dt.datetime if (field.format or field.DEFAULT_FORMAT) in _ISO else None,
)
declare(columns.Time, load=load_time, dump=dump_plainly)
declare(columns.TimeDelta, load=load_timedelta, dump=dump_plainly)
declare(columns.Enum, load=load_enum, dump=dump_enum)
declare(columns.Binary, load=load_plainly, dump=dump_plainly)
declare(columns.JSON, load=load_plainly, dump=lambda field: lambda value: value)
declare(columns.RelatedId, dump=dump_plainly)
declare(columns.RelatedIds, load=load_related_ids, dump=dump_plainly)
declare_validator(columns.Storable)
declare_validator(columns.Digits)
