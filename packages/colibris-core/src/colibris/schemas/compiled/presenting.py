"""Expressions for what a field makes of a value from inside, by the classes that values commonly have."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from marshmallow import fields

from colibris.schemas import fields as own_fields
from colibris.schemas.compiled.converting import own_classes
from colibris.schemas.compiled.stock import NotCompiled

if TYPE_CHECKING:
    from colibris.schemas.compiled.writing import Writer


#: A condition and an expression: how a value in a variable is presented if the condition holds of it.
Case = tuple[str, str]
Present = Callable[['Writer', Any, str], Case]


def isoformat(moment: dt.datetime) -> str:
    """Return ``moment.isoformat()``, faster for the zones that are common."""
    if moment.tzinfo is dt.UTC or moment.tzinfo is None:
        return orjson.dumps(moment)[1:-1].decode()
    return moment.isoformat()


def case(writer: Writer, field: fields.Field[Any], value: str) -> Case:
    """Return how *field* presents the variable *value*, if it has the class that is expected.

    Raises NotCompiled if only the field itself knows.
    """
    present = _PRESENT.get(type(field))
    if present is None:
        raise NotCompiled(f'{type(field).__name__} calls code of yours')
    return present(writer, field, value)


def _string(writer: Writer, field: Any, value: str) -> Case:
    return f'type({value}) is str', value


def _integer(writer: Writer, field: Any, value: str) -> Case:
    return f'type({value}) is int', f'str({value})' if field.as_string else value


def _float(writer: Writer, field: Any, value: str) -> Case:
    if field.as_string:
        return f'type({value}) is float', f'str({value})'
    return float_case(value, json=writer.json), value


def float_case(value: str, *, json: bool) -> str:
    """Return the condition for which the variable *value* is a float that is dumped as it is."""
    # Beyond these bounds JSON has another form for one of the two encoders.
    return f'type({value}) is float{f" and -1e16 < {value} < 1e16" if json else ""}'


def _decimal(writer: Writer, field: Any, value: str) -> Case:
    source = writer.source
    condition, number = f'type({value}) is Decimal', value
    if field.places is not None:
        rounding = source.constant(field.rounding, 'rounding')
        number = f'{value}.quantize({source.constant(field.places, "places")}, rounding={rounding})'
    if field.places is not None or field.allow_nan:
        condition += f' and {value}.is_finite()'
    if field.as_string:
        text = f'format({number}, "f")'
        if number == value and not writer.within:  # it is its own text, unless that has an exponent
            text = f'(w if "E" not in (w := str({value})) and "e" not in w else {text})'
        return condition, text
    return condition, f'str({number})' if writer.json else number


def _as_it_is(writer: Writer, field: Any, value: str) -> Case:
    if not writer.json:
        return f'{value} is not missing', value
    return f'{value} is True or {value} is False', value


def _uuid(writer: Writer, field: Any, value: str) -> Case:
    return f'type({value}) is UUID', value if writer.json else f'dumps({value})[1:-1].decode()'


def _datetime(writer: Writer, field: Any, value: str) -> Case:
    form = field.format or field.DEFAULT_FORMAT
    if field.SERIALIZATION_FUNCS.get(form) is not dt.datetime.isoformat:
        return _formatted(writer, field, value, 'datetime')
    common = f'({value}.tzinfo is utc or {value}.tzinfo is None)'
    if writer.json:
        return f'type({value}) is datetime and {common}', value
    return f'type({value}) is datetime', f'isoformat({value})'


def _date(writer: Writer, field: Any, value: str) -> Case:
    form = field.format or field.DEFAULT_FORMAT
    if writer.json and field.SERIALIZATION_FUNCS.get(form) is dt.date.isoformat:
        return f'type({value}) is date', value
    return _formatted(writer, field, value, 'date')


def _time(writer: Writer, field: Any, value: str) -> Case:
    form = field.format or field.DEFAULT_FORMAT
    if writer.json and field.SERIALIZATION_FUNCS.get(form) is dt.time.isoformat:
        return f'type({value}) is time and {value}.tzinfo is None', value
    return _formatted(writer, field, value, 'time')


def _formatted(writer: Writer, field: Any, value: str, cls: str) -> Case:
    form = field.format or field.DEFAULT_FORMAT
    function = field.SERIALIZATION_FUNCS.get(form)
    if function is not None:
        text = f'{writer.source.constant(function, "format")}({value})'
    else:
        text = f'{value}.strftime({writer.source.constant(form)})'
    return f'type({value}) is {cls}', writer.safe(text)


def _enum(writer: Writer, field: Any, value: str) -> Case:
    if any(not vars(cls).keys().isdisjoint(('value', 'name', '_value_', '_name_')) for cls in own_classes(field.enum)):
        raise NotCompiled(f'{field.enum.__qualname__} has names or values of its own making')
    is_member = f'type({value}) is {writer.source.constant(field.enum, "enum")}'
    if not field.by_value:
        return is_member, f'{value}._name_'
    return is_member, writer.inner(field.field, f'{value}._value_')


def _list(writer: Writer, field: Any, value: str) -> Case:
    each = writer.source.variable()
    return _given(value), f'[{writer.inner(field.inner, each)} for {each} in {value}]'


def _tuple(writer: Writer, field: Any, value: str) -> Case:
    count = len(field.tuple_fields)
    parts = [writer.inner(inner, f'{value}[{index}]') for index, inner in enumerate(field.tuple_fields)]
    is_one = f'(type({value}) is tuple or type({value}) is list) and len({value}) == {count}'
    return is_one, f'({"".join(f"{part}, " for part in parts)})'


def _dict(writer: Writer, field: Any, value: str) -> Case:
    if field.key_field is not None:
        raise NotCompiled('its keys are fields')
    if field.value_field is None:
        return f'type({value}) is dict', writer.safe(f'dict({value})')
    key, each = writer.source.variable(), writer.source.variable()
    shown = writer.inner(field.value_field, each, plain=True)
    return f'type({value}) is dict', writer.safe(f'{{{key}: {shown} for {key}, {each} in {value}.items()}}')


def _nested(writer: Writer, field: Any, value: str) -> Case:
    return _given(value), f'{writer.nested(field)}({value})'


def _given(value: str) -> str:
    return f'{value} is not None and {value} is not missing'


_PRESENT: dict[type, Present] = {
    fields.AwareDateTime: _datetime,
    fields.Boolean: _as_it_is,
    fields.Date: _date,
    fields.DateTime: _datetime,
    fields.Decimal: _decimal,
    fields.Dict: _dict,
    fields.Email: _string,
    fields.Enum: _enum,
    fields.Float: _float,
    fields.Integer: _integer,
    fields.List: _list,
    fields.NaiveDateTime: _datetime,
    fields.Nested: _nested,
    fields.Pluck: _nested,
    fields.Raw: _as_it_is,
    fields.String: _string,
    fields.Time: _time,
    fields.Tuple: _tuple,
    fields.UUID: _uuid,
    fields.Url: _string,
    own_fields.Decimal: _decimal,
}
