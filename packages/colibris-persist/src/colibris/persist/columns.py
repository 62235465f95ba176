"""Schema fields for the columns of models: each takes what its column can hold on every database, and nothing else."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import decimal
import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum as PythonEnum
from typing import Any

from marshmallow.utils import get_value
from tortoise import timezone
from tortoise.exceptions import ValidationError as TortoiseValidationError

from colibris.schemas import ValidationError, fields, validate

#: MariaDB reads JSON no deeper than 32 levels, of which the value itself is one.
MAX_JSON_DEPTH = 30
MAX_RELATED_IDS = 10_000

_INTEGER = re.compile(r'[+-]?[0-9]{1,40}\Z')
_DECIMAL = re.compile(r'[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\Z')
_BASE64 = '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'
_TIME = r'^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]{1,6})?)?$'
_INT64 = 2**63
_EXACT = decimal.Context(prec=1000)


def storable(text: str) -> bool:
    """Whether every database can keep *text*: PostgreSQL takes no NUL, none takes half a surrogate pair."""
    if '\0' in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Storable(validate.Validator):
    """Validate that a text holds neither null characters nor lone surrogates."""

    message = 'Null characters and lone surrogates are not allowed.'

    def __call__(self, value: str) -> str:
        if not storable(value):
            raise ValidationError(self.message)
        return value

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Describe what is refused, for the documentation of the API."""
        return {} if direction == 'response' else {'not': {'type': 'string', 'pattern': r'\u0000'}}


class Digits(validate.Validator):
    """Validate that a decimal fits a column of *max_digits* digits, *decimal_places* of them behind the point."""

    def __init__(self, max_digits: int, decimal_places: int) -> None:
        self.max_digits = max_digits
        self.decimal_places = decimal_places

    def _repr_args(self) -> str:
        return f'max_digits={self.max_digits}, decimal_places={self.decimal_places}'

    def __call__(self, value: decimal.Decimal) -> decimal.Decimal:
        _, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            raise ValidationError('Special numeric values (nan or infinity) are not permitted.')
        text = ''.join(map(str, digits)).lstrip('0')
        significant = text.rstrip('0')
        if not significant:
            return value
        exponent += len(text) - len(significant)
        if -exponent > self.decimal_places:
            raise ValidationError(f'No more than {self.decimal_places} digits behind the decimal point.')
        before = self.max_digits - self.decimal_places
        if len(significant) + exponent > before:
            raise ValidationError(f'No more than {before} digits before the decimal point.')
        return value

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Describe the numbers that fit, given as strings or as numbers, for the documentation of the API."""
        if direction == 'response':
            return {}
        places, before = self.decimal_places, self.max_digits - self.decimal_places
        behind = rf'\.[0-9]{{1,{places}}}0*' if places else r'\.0+'
        pattern = rf'^[+-]?(0*[0-9]{{1,{before}}}({behind}|\.)?|{behind})$' if before else rf'^[+-]?(0+|0*{behind})$'
        example = f'{"1" * min(before, 2) or "0"}{"." if places else ""}{"5" * min(places, 2)}'
        bounds = {'exclusiveMinimum': -(10**before), 'exclusiveMaximum': 10**before}
        return {'pattern': pattern, 'examples': [example], 'multipleOf': float(f'1e-{places}'), **bounds}


class ModelValidator(validate.Validator):
    """Run a validator of a model's field within a schema."""

    def __init__(self, check: Callable[[Any], None]) -> None:
        self.check = check

    def _repr_args(self) -> str:
        return f'check={self.check!r}'

    def __call__(self, value: Any) -> Any:
        try:
            self.check(value.value if isinstance(value, PythonEnum) else value)
        except TortoiseValidationError as exc:
            raise ValidationError(str(exc)) from exc
        return value


class Integer(fields.Integer):
    """An integer, as a number or in digits; 1.5 is refused, not cut off."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, float) and not value.is_integer():
            raise self.make_error('invalid', input=value)
        if isinstance(value, str) and not _INTEGER.match(value):
            raise self.make_error('invalid', input=value)
        return super()._validated(value)


class Float(fields.Float):
    """A finite number."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, str) and not _DECIMAL.match(value):
            raise self.make_error('invalid', input=value)
        return super()._validated(value)


class Decimal(fields.Decimal):
    """A decimal, given as a string or a number and always answered as a string, as its column writes it."""

    def __init__(self, *, decimal_places: int, **kwargs: Any) -> None:
        super().__init__(as_string=True, **kwargs)
        self.quantum = decimal.Decimal(1).scaleb(-decimal_places)

    def _validated(self, value: Any) -> decimal.Decimal:
        if isinstance(value, str) and not _DECIMAL.match(value):
            raise self.make_error('invalid', input=value)
        return super()._validated(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        # A default that was given to the model has not been through the database yet.
        if value is not None:
            value = decimal.Decimal(value).quantize(self.quantum, context=_EXACT)
            value = value or abs(value)  # which keeps no sign of zero
        return super()._serialize(value, attr, obj, **kwargs)


class DateTime(fields.AwareDateTime):
    """A moment in ISO 8601 with a time zone, answered in UTC."""

    default_error_messages = {  # noqa: RUF012  # declared so by marshmallow
        'invalid': 'Not a valid datetime: write ISO 8601 with a time zone, such as 2026-01-31T12:30:00Z.',
        'invalid_awareness': 'The time zone is missing: write it behind the time, such as 2026-01-31T12:30:00Z.',
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.datetime:
        moment = super()._deserialize(value, attr, data, **kwargs)
        try:
            return moment.astimezone(dt.UTC)
        except OverflowError as exc:
            raise self.make_error('invalid') from exc

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | float | None:
        if value is not None:
            value = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        return super()._serialize(value, attr, obj, **kwargs)


class Time(fields.Time):
    """A time of day without a time zone, in ISO 8601."""

    default_error_messages = {  # noqa: RUF012  # declared so by marshmallow
        'invalid': 'Not a valid time: write ISO 8601, such as 12:30:00.',
        'zoned': 'A time of day has no time zone: leave it out, such as 12:30:00.',
    }

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Describe the text, for the documentation of the API."""
        return {'type': 'string', 'pattern': _TIME}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.time:
        time = super()._deserialize(value, attr, data, **kwargs)
        if time.tzinfo is not None and not isinstance(value, dt.time):
            raise self.make_error('zoned')
        # What the model expects; the column keeps no zone but that.
        return time.replace(tzinfo=timezone.get_default_timezone() if timezone.get_use_tz() else None)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | float | None:
        if isinstance(value, dt.timedelta):  # as MySQL's driver gives it
            value = (dt.datetime.min + value).time()
        return super()._serialize(value and value.replace(tzinfo=None), attr, obj, **kwargs)


class TimeDelta(fields.TimeDelta):
    """A period in seconds, exact to the microsecond."""

    LONGEST = dt.timedelta(microseconds=_INT64 - 1)

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Describe the number, for the documentation of the API."""
        seconds = self.LONGEST // dt.timedelta(seconds=1)
        return {'type': 'number', 'minimum': -seconds, 'maximum': seconds}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.timedelta:
        if isinstance(value, bool) or (isinstance(value, str) and not _DECIMAL.match(value)):
            raise self.make_error('invalid')
        period = super()._deserialize(value, attr, data, **kwargs)
        if abs(period) > self.LONGEST:
            raise self.make_error('invalid')
        return period


class Enum(fields.Enum[Any]):
    """A member of an enumeration, by its value."""

    def __init__(self, enum: type[PythonEnum], *, numeric: bool, **kwargs: Any) -> None:
        super().__init__(enum, by_value=Integer if numeric else fields.String, **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        # A default that was given to the model as a bare value has not been through the database yet.
        return super()._serialize(value if value is None else self.enum(value), attr, obj, **kwargs)


class Binary(fields.Field[bytes]):
    """Bytes, in base64 (RFC 4648, section 4)."""

    default_error_messages = {'invalid': 'Not valid base64.'}  # noqa: RUF012  # declared so by marshmallow

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Describe the text, for the documentation of the API."""
        return {'type': 'string', 'contentEncoding': 'base64', 'pattern': _BASE64}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return base64.b64decode(value, validate=True)
        except (TypeError, ValueError, binascii.Error) as exc:
            raise self.make_error('invalid') from exc

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else base64.b64encode(value).decode('ascii')


class JSON(fields.Raw):
    """Any JSON value but a bare string, which the ORM takes for JSON that is encoded already."""

    default_error_messages = {  # noqa: RUF012  # declared so by marshmallow
        'string': 'A bare string is not accepted: give an object or an array.',
        'deep': 'Nested too deeply: no more than {depth} levels.',
        'text': Storable.message,
        'number': 'Numbers must be finite, and integers must fit 64 bits.',
        'invalid': 'Not a JSON value.',
    }

    def json_schema(self, direction: str) -> dict[str, Any]:
        """Describe the values, for the documentation of the API."""
        return {} if direction == 'response' else {'type': ['object', 'array', 'number', 'boolean']}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str):
            raise self.make_error('string')
        self._check(value, MAX_JSON_DEPTH)
        return value

    def _check(self, value: Any, levels: int) -> None:
        if isinstance(value, str):
            if not storable(value):
                raise self.make_error('text')
        elif isinstance(value, (dict, list)):
            if not levels:
                raise self.make_error('deep', depth=MAX_JSON_DEPTH)
            for part in _parts(value):
                self._check(part, levels - 1)
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise self.make_error('number')
        elif isinstance(value, int):
            if not -_INT64 <= value < _INT64:
                raise self.make_error('number')
        elif value is not None:
            raise self.make_error('invalid')


def _parts(value: dict[Any, Any] | list[Any]) -> Iterable[Any]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    else:
        yield from value


class RelatedId(fields.Field[Any]):
    """The id of the one related object; dump-only, for relations whose column is in the other table."""

    def __init__(self, inner: fields.Field[Any], *, id_attribute: str, **kwargs: Any) -> None:
        super().__init__(dump_only=True, allow_none=True, **kwargs)
        self.inner = self.described_as = inner
        self.id_attribute = id_attribute

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        return self.inner._serialize(get_value(value, self.id_attribute), attr, obj)


class RelatedIds(fields.List[Any]):
    """The ids of the related objects; loaded, each counts once."""

    def __init__(self, inner: fields.Field[Any], *, id_attribute: str, **kwargs: Any) -> None:
        super().__init__(inner, **kwargs)
        self.id_attribute = id_attribute

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> list[Any]:
        return list(dict.fromkeys(super()._deserialize(value, attr, data, **kwargs)))

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> list[Any] | None:
        if value is None:
            return None
        return [self.inner._serialize(get_value(each, self.id_attribute), attr, obj) for each in value]
