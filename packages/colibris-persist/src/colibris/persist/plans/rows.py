"""From the rows of a driver to mappings with the values that the ORM would give: code that is made once a selection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from tortoise import timezone
from tortoise.fields import DatetimeField
from tortoise.models import Model

__all__ = ['Converter', 'converter', 'instances']

#: Makes mappings by attribute of rows that have the selected columns first.
Converter = Callable[[Sequence[Any]], Sequence[Any]]


def converter(model: type[Model], names: Sequence[str], dialect: str, *, mutable: bool) -> Converter:
    """Return what makes mappings of rows whose first columns are those of the attributes *names*.

    They are dictionaries if they are to be *mutable*; else rows that need no conversion are handed on as they are.
    """
    made = _Code(model, dialect)
    made.scope['zone'] = dt.UTC
    items = ', '.join(f'{name!r}: {made.expression(name, index)}' for index, name in enumerate(names))
    source = [f'def convert(rows):\n    return [{{{items}}} for r in rows]']
    if dialect == 'postgres' and not mutable and not made.converts:
        source.append(_handing_on(made.moments))
    scope = made.scope
    exec('\n'.join(source), scope)  # of names and numbers that are the model's own
    found: Converter = scope.get('hand_on') or scope['convert']
    return found


def instances(model: type[Model], names: Sequence[str], dialect: str) -> Converter:
    """Return what makes instances, as `Model._init_from_db` does, of rows that have the columns of all *names*."""
    made = _Code(model, dialect)
    made.moment = 'v.astimezone(zone)'
    made.scope |= {'new': model.__new__, 'model': model, 'zone': timezone.get_default_timezone()}
    meta = model._meta
    values = {
        '_partial': 'False',
        '_saved_in_db': 'True',
        '_custom_generated_pk': repr(meta.db_pk_column not in meta.generated_db_fields),
        '_await_when_save': '{}',
        **{name: made.expression(name, index) for index, name in enumerate(names)},
    }
    items = ', '.join(f'{name!r}: {value}' for name, value in values.items())
    exec(
        'def convert(rows):\n    found = []\n    for r in rows:\n        obj = new(model)\n'
        f'        obj.__dict__.update({{{items}}})\n        found.append(obj)\n    return found',
        made.scope,
    )
    convert: Converter = made.scope['convert']
    return convert


def _handing_on(moments: Sequence[int]) -> str:
    """asyncpg's rows are mappings; its points in time are in UTC, but for the infinities."""
    if not moments:
        return 'def hand_on(rows):\n    return rows'
    odd = ' or '.join(f'((v := r[{index}]) is not None and v.tzinfo is not utc)' for index in moments)
    loop = f'    for r in rows:\n        if {odd}:\n            return convert(rows)\n'
    return f'def hand_on(rows):\n{loop}    return rows'


class _Code:
    """The expressions of one converter, as `Model._init_from_db` converts, and what they refer to."""

    def __init__(self, model: type[Model], dialect: str) -> None:
        meta = model._meta
        self.meta = meta
        self.dialect = dialect
        self.scope: dict[str, Any] = {'utc': dt.UTC}
        self.moments: list[int] = []
        self.converts = False
        #: What becomes of a point in time in UTC, which the driver gives.
        self.moment = 'v'
        self._native = {name for _, name, _ in meta.db_native_fields}
        self._plain = {name for _, name, _ in meta.db_default_fields}
        self._in_utc = timezone.get_use_tz() and timezone.get_timezone() == 'UTC'

    def expression(self, name: str, index: int) -> str:
        value = f'r[{index}]'
        if name in self._native:
            return value
        field = self.meta.fields_map[name]
        convert = f'convert_{index}'
        if name in self._plain:
            self.converts = True
            self.scope[convert] = field.field_type
            return f'None if (v := {value}) is None else {convert}(v)'
        self.scope[convert] = field.to_python_value
        if self._in_utc and type(field).to_python_value is DatetimeField.to_python_value:
            return self._moment(value, convert, index)
        self.converts = True
        return f'{convert}({value})'

    def _moment(self, value: str, convert: str, index: int) -> str:
        if self.dialect == 'postgres':
            self.moments.append(index)
            return f'v if (v := {value}) is None else {convert}(v) if v.tzinfo is not utc else {self.moment}'
        self.converts = True
        if self.dialect == 'sqlite':
            self.scope['parse'] = _parse_moment
            return f'parse({value}, {convert}, zone)'
        return f'v if (v := {value}) is None else v.replace(tzinfo=zone) if v.tzinfo is None else {convert}(v)'


def _parse_moment(value: Any, convert: Callable[[Any], Any], zone: dt.tzinfo) -> Any:
    """Read a point in time as it is written to SQLite; what is written otherwise goes to the ORM's own reader."""
    if type(value) is str and value[-6:] == '+00:00' and value[4:5] == value[7:8] == '-' and len(value) in (25, 32):
        try:
            moment = dt.datetime.fromisoformat(value)  # in UTC
            return moment if zone is dt.UTC else moment.replace(tzinfo=zone)
        except ValueError:
            pass
    return convert(value)
