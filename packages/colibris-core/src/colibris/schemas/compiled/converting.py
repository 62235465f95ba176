"""Code that turns a value from outside into what a field makes of it, if there is no doubt about what that is."""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import math
import uuid
from collections.abc import Callable
from enum import EnumType
from typing import TYPE_CHECKING, Any

from marshmallow import fields, missing

from colibris.schemas import fields as own_fields
from colibris.schemas.compiled.conversions import DOUBT, declared
from colibris.schemas.compiled.stock import NotCompiled, check_declared, check_field

if TYPE_CHECKING:
    from colibris.schemas.compiled.reading import Reader


class Doubt(Exception):
    """Raised by compiled code for what marshmallow is to judge."""


#: What compiled code refers to by fixed names.
GLOBALS: dict[str, Any] = {
    'DOUBT': DOUBT,
    'Decimal': decimal.Decimal,
    'Doubt': Doubt,
    'UUID': uuid.UUID,
    'date': dt.date,
    'datetime': dt.datetime,
    'isfinite': math.isfinite,
    'missing': missing,
    'time': dt.time,
    'timedelta': dt.timedelta,
}

_UNITS = ('weeks', 'days', 'hours', 'minutes', 'seconds', 'milliseconds', 'microseconds')
_TIMESTAMPS = ('timestamp', 'timestamp_ms')

#: Writes the conversion of a value in a variable; returns whether the value stays what it is.
Writer = Callable[['Reader', Any, str, Any], bool]


def write_conversion(reader: Reader, field: fields.Field[Any], value: str, partial: Any) -> bool:
    """Write what turns the variable *value*, not None, into what ``field._deserialize`` makes of it.

    Returns whether the value stays what it is. Raises NotCompiled for fields of which that is not known.
    """
    conversion = declared.get(type(field))
    if conversion is not None:
        return _write_declared(reader, field, value, conversion.load)
    check_field(field)
    writer = _WRITERS.get(type(field))
    if writer is None:
        raise NotCompiled(f'{type(field).__name__} calls code of yours')
    return writer(reader, field, value, partial)


def _write_declared(reader: Reader, field: Any, value: str, maker: Any) -> bool:
    convert = None if maker is None else maker(field)
    check_declared(field)
    if convert is None:
        raise NotCompiled(f'{type(field).__qualname__} declares no conversion for loading')
    source = reader.source
    with reader.plainly(value):
        source.line(f'{value} = {source.constant(convert, "convert")}({value})')
        source.line(f'if {value} is DOUBT: raise Doubt')
    return False


def _string(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    reader.expect(value, str)
    return True


def _integer(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    if field.strict or reader.typed:
        reader.expect(value, int)
        return True
    with reader.source.block(f'if type({value}) is not int:'):
        reader.expect(value, str)
        reader.source.line(f'{value} = int({value})')
    return False


def _float(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    if reader.typed:  # JSON has no other numbers than finite ones
        reader.expect(value, float)
        return True
    source = reader.source
    with source.block(f'if type({value}) is not float:'):
        reader.expect(value, int, str)
        source.line(f'{value} = float({value})')
    if field.allow_nan is False:
        source.line(f'if not isfinite({value}): raise Doubt')
    return False


def _decimal(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    source = reader.source
    reader.expect(value, str, int, float)
    source.line(f'{value} = Decimal({value} if type({value}) is str else str({value}))')
    source.line(f'if not {value}.is_finite(): raise Doubt')
    if field.places is not None:
        rounding = source.constant(field.rounding, 'rounding')
        source.line(f'{value} = {value}.quantize({source.constant(field.places, "places")}, rounding={rounding})')
        source.line(f'if not {value}.is_finite(): raise Doubt')
    limit = getattr(field, 'max_exponent', None)  # of our own class
    if limit is not None:
        source.line(f'if abs({value}.adjusted()) > {source.constant(limit)}: raise Doubt')
    return False


def _boolean(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    truthy, falsy = field.truthy, field.falsy
    if True not in truthy or False in truthy or False not in falsy:
        raise NotCompiled('Boolean has values of its own for true and false')
    if reader.typed:
        reader.expect(value, bool)
        return True
    source = reader.source
    with source.block(f'if {value} is not True and {value} is not False:'):
        reader.expect(value, str)
        source.line(f'if {value} in {source.constant(truthy, "truthy")}: {value} = True')
        source.line(f'elif {value} in {source.constant(falsy, "falsy")}: {value} = False')
        source.line('else: raise Doubt')
    return False


def _uuid(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    if reader.typed:
        reader.expect(value, uuid.UUID)
        return True
    with reader.source.block(f'if type({value}) is not UUID:'):
        reader.expect(value, str)
        reader.source.line(f'{value} = UUID({value})')
    return False


def _temporal(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    source = reader.source
    form = field.format or field.DEFAULT_FORMAT
    if type(form) is not str:
        raise NotCompiled(f'its format is a {type(form).__name__}')
    reader.expect(value, *((str, int, float) if form in _TIMESTAMPS else (str,)))
    function = field.DESERIALIZATION_FUNCS.get(form)
    if function is not None:
        source.line(f'{value} = {source.constant(function, "parse")}({value})')
    else:
        parse = source.constant(field._make_object_from_format, 'parse')
        source.line(f'{value} = {parse}({value}, {source.constant(form)})')
    return False


def _aware(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    _temporal(reader, field, value, partial)
    source = reader.source
    with source.block(f'if {value}.tzinfo is None:'):
        if field.default_timezone is None:
            source.line('raise Doubt')
        else:
            source.line(f'{value} = {value}.replace(tzinfo={source.constant(field.default_timezone, "zone")})')
    return False


def _naive(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    _temporal(reader, field, value, partial)
    source = reader.source
    with source.block(f'if {value}.tzinfo is not None:'):
        if field.timezone is None:
            source.line('raise Doubt')
        else:
            zone = source.constant(field.timezone, 'zone')
            source.line(f'{value} = {value}.astimezone({zone}).replace(tzinfo=None)')
    return False


def _timedelta(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    if field.precision not in _UNITS:
        raise NotCompiled(f'its precision is {field.precision!r}')
    reader.expect(value, str, int, float)
    reader.source.line(f'{value} = timedelta({field.precision}=float({value}))')
    return False


def _address(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    source = reader.source
    default = ipaddress.ip_address if isinstance(field, fields.IP) else ipaddress.ip_interface
    reader.expect(value, str)
    source.line(f'{value} = {source.constant(field.DESERIALIZATION_CLASS or default, "parse")}({value})')
    return False


def _enum(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    source = reader.source
    enum = source.constant(field.enum, 'enum')
    if type(field.enum) is not EnumType or any('_missing_' in vars(cls) for cls in own_classes(field.enum)):
        raise NotCompiled(f'{field.enum.__qualname__} looks its members up in a way of its own')
    if not field.by_value:
        reader.expect(value, str)
        source.line(f'{value} = {enum}[{value}]')
        return False
    if type(field.field) is fields.Raw:
        reader.expect(value, str, int)
    else:
        write_conversion(reader, field.field, value, partial)
    source.line(f'{value} = {enum}({value})')
    return False


def own_classes(enum: type) -> list[type]:
    return [cls for cls in enum.__mro__ if cls.__module__ not in ('enum', 'builtins')]


def _raw(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    with reader.plainly(value):
        reader.source.line(f'if {value} is None or {value} is missing: raise Doubt')
    return True


def _constant(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    _raw(reader, field, value, partial)
    reader.source.line(f'{value} = {reader.source.constant(field.constant)}')
    return False


def _list(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    each = reader.source.variable()
    return reader.each(value, each, lambda: reader.value(field.inner, each, partial))


def _tuple(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    source = reader.source
    parts = [source.variable() for _ in field.tuple_fields]
    with reader.plainly(value):
        reader.expect(value, list, tuple)
        source.line(f'if len({value}) != {len(parts)}: raise Doubt')
        if parts:
            source.line(f'{", ".join(parts)}, = {value}')
        for inner, part in zip(field.tuple_fields, parts, strict=True):
            reader.value(inner, part, partial)
        source.line(f'{value} = ({"".join(f"{part}, " for part in parts)})')
    return False


def _dict(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    source = reader.source
    with reader.plainly(value):
        reader.expect(value, dict)
        if field.key_field is None and field.value_field is None:
            source.line(f'{value} = dict({value})')
            return False
        key, each, found = source.variable(), source.variable(), source.variable()
        source.line(f'{found} = {{}}')
        with source.block(f'for {key}, {each} in {value}.items():'):
            if field.key_field is not None:
                reader.value(field.key_field, key, partial)
            if field.value_field is not None:
                reader.value(field.value_field, each, partial)
            source.line(f'{found}[{key}] = {each}')
        source.line(f'{value} = {found}')
    return False


def _nested(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    reader.nested(field, value, partial)
    return False


def _pluck(reader: Reader, field: Any, value: str, partial: Any) -> bool:
    source = reader.source
    key = source.constant(field._field_data_key)
    with reader.plainly(value):
        if field.many:
            reader.expect(value, list)
            each = source.variable()
            source.line(f'{value} = [{{{key}: {each}}} for {each} in {value}]')
        elif field.schema.many:
            raise NotCompiled('it plucks one value with a schema of many')
        else:
            source.line(f'{value} = {{{key}: {value}}}')
        reader.nested(field, value, partial)
    return False


_WRITERS: dict[type, Writer] = {
    fields.AwareDateTime: _aware,
    fields.Boolean: _boolean,
    fields.Constant: _constant,
    fields.Date: _temporal,
    fields.DateTime: _temporal,
    fields.Decimal: _decimal,
    fields.Dict: _dict,
    fields.Email: _string,
    fields.Enum: _enum,
    fields.Float: _float,
    fields.IP: _address,
    fields.IPInterface: _address,
    fields.IPv4: _address,
    fields.IPv4Interface: _address,
    fields.IPv6: _address,
    fields.IPv6Interface: _address,
    fields.Integer: _integer,
    fields.List: _list,
    fields.NaiveDateTime: _naive,
    fields.Nested: _nested,
    fields.Pluck: _pluck,
    fields.Raw: _raw,
    fields.String: _string,
    fields.Time: _temporal,
    fields.TimeDelta: _timedelta,
    fields.Tuple: _tuple,
    fields.UUID: _uuid,
    fields.Url: _string,
    own_fields.Decimal: _decimal,
}
