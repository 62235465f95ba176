"""A new row, from checked data to JSON: one INSERT, which gives back what was stored."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema
from tortoise import timezone
from tortoise.fields import base, data
from tortoise.models import Model
from tortoise.signals import Signals
from tortoise.validators import MaxLengthValidator

from colibris.persist.connections import Client
from colibris.persist.database import client_of
from colibris.persist.plans.reading import NeedsInstances, Reading
from colibris.persist.plans.related import Rows
from colibris.persist.plans.statements import Kept
from colibris.schemas.compiled import dumper

__all__ = ['Creating']

# Whose fields look at nothing of an instance but what `_Insert` sees to.
_FIELDS = frozenset({'tortoise.fields.base', 'tortoise.fields.data'})
_MODEL_METHODS = (
    *('__new__', '__init__', '__setattr__', '_set_kwargs', '_set_async_default_field', 'create', 'save'),
    *('_pre_save', '_post_save', '_wait_for_listeners'),
)
_EXACT: dict[type[base.Field[Any]], type] = {
    data.BigIntField: int,
    data.BooleanField: bool,
    data.CharField: str,
    data.FloatField: float,
    data.IntField: int,
    data.SmallIntField: int,
    data.TextField: str,
}


class _Unfit(Exception):
    """Raised for data that the model itself has to look at."""


class Creating:
    """How a view makes a row of its model without making an instance of it. Raises NeedsInstances."""

    def __init__(self, reading: Reading, schema: Schema) -> None:
        _check_model(reading.model)
        self.model = reading.model
        self._reading = reading
        self._dump = dumper(schema, mapping=True)
        self._listeners = tuple(Model._listeners[signal] for signal in (Signals.pre_save, Signals.post_save))
        self._opened: tuple[Client, Rows] | None = None
        self._inserts: Kept[tuple[str, ...], _Insert] = Kept()

    def read(self, name: str) -> None:
        """Have the column *name* in the rows that are made."""
        if name not in self._reading.columns:
            self._reading.add(name)
            self._opened = None

    async def create(self, values: Any) -> tuple[Mapping[str, Any], bytes] | None:
        """Make a row of *values*, by columns; return it and its JSON, or None if the model itself has to do it."""
        client = client_of(self.model, for_write=True)
        if not isinstance(values, dict) or not client.root.returns_rows or self._is_listened_to():
            return None
        try:
            rows, insert = self._insert(values, client.root)
            bound = insert.bind(values)
        except _Unfit:
            return None
        if insert.awaits:
            bound = await bound
        raw = await client.fetch(insert.text, bound)
        made = (await rows.complete(raw))[0]
        return made, self._dump.json(made)

    def _is_listened_to(self) -> bool:
        before, after = self._listeners
        return self.model in before or self.model in after

    def _insert(self, values: dict[str, Any], client: Client) -> tuple[Rows, _Insert]:
        if self._opened is None or self._opened[0] is not client:
            self._inserts.clear()
            self._opened = client, Rows(self._reading, client)
        rows = self._opened[1]
        given = tuple(values)
        insert = self._inserts.get(given)
        if insert is None:
            insert = self._inserts.keep(given, _make_insert(self.model, given, rows.names, client))
        return rows, insert


def _check_model(model: type[Model]) -> None:
    for name in _MODEL_METHODS:
        if inspect.getattr_static(model, name) is not inspect.getattr_static(Model, name):
            raise NeedsInstances(f'{model.__name__}.{name} is overridden')
    for name in model._meta.fields_db_projection:
        kind = type(model._meta.fields_map[name])
        for method in ('to_db_value', 'to_python_value', 'validate'):
            if getattr(kind, method).__module__ not in _FIELDS:
                raise NeedsInstances(f'{kind.__name__}.{method} may look at the instance')
        if inspect.getattr_static(model, name, None) is not None:
            raise NeedsInstances(f'{model.__name__}.{name} is more than a column')


@dataclass(frozen=True, slots=True)
class _Insert:
    """A statement that makes a row of values for certain columns, and what makes the values that are bound to it."""

    text: str
    bind: Callable[[dict[str, Any]], Any]
    #: Whether the values have to be awaited, as some default has.
    awaits: bool


def _make_insert(model: type[Model], given: tuple[str, ...], returned: tuple[str, ...], client: Client) -> _Insert:
    meta = model._meta
    if not set(given) <= set(meta.fields_db_projection):
        raise _Unfit
    columns = [name for name in meta.fields_db_projection if name in given or not _is_left_out(meta.fields_map[name])]
    if not columns or any(meta.fields_map[name].generated for name in given):
        raise _Unfit
    bind = _binder(model, columns, frozenset(given))
    return _Insert(_text(model, columns, returned, client), bind, inspect.iscoroutinefunction(bind))


def _is_left_out(field: base.Field[Any]) -> bool:
    """Whether the database fills the column if nothing is given for it."""
    return field.generated or (field.default is None and field.has_db_default())


def _text(model: type[Model], columns: list[str], returned: tuple[str, ...], client: Client) -> str:
    meta = model._meta
    executor = client.executor_class(model=model, db=client)
    parameters = [executor.parameter(index) for index in range(len(columns))]
    names = [meta.fields_db_projection[name] for name in columns]
    insert = client.query_class.into(meta.basetable).columns(*names).insert(*parameters)
    quote = '`' if client.capabilities.dialect == 'mysql' else '"'
    shown = [f'{quote}{meta.fields_db_projection[name]}{quote} AS {quote}{name}{quote}' for name in returned]
    return f'{insert} RETURNING {",".join(shown)}'


def _binder(model: type[Model], columns: list[str], given: frozenset[str]) -> Any:
    """Make the function that makes the values of *columns*, of which those *given* are in its argument."""
    scope: dict[str, Any] = {}
    items = []
    for index, name in enumerate(columns):
        field = model._meta.fields_map[name]
        if name in given:
            scope[f'convert_{index}'] = _converting(model, field)
            items.append(_given(field, name, index))
        else:
            scope[f'default_{index}'] = _defaulting(model, field)
            items.append(f'{"await " if inspect.iscoroutinefunction(field.default) else ""}default_{index}()')
    start = 'async def' if any(item.startswith('await ') for item in items) else 'def'
    exec(f'{start} bind(d):\n    return [{", ".join(items)}]', scope)  # of names that are the model's own
    return scope['bind']


def _given(field: base.Field[Any], name: str, index: int) -> str:
    """Return the expression of a value that is given: as it is if the field would not change it, nor refuse it."""
    convert = f'convert_{index}'
    exact = _EXACT.get(type(field))
    checks = field.validators
    if isinstance(field, data.CharField) and len(checks) == 1 and type(checks[0]) is MaxLengthValidator:
        fits = f' and len(v) <= {checks[0].max_length}'
    elif checks:
        exact, fits = None, ''
    else:
        fits = ''
    if exact is None:
        return f'{convert}(d[{name!r}])'
    return f'v if type(v := d[{name!r}]) is {exact.__name__}{fits} else {convert}(v)'


def _converting(model: type[Model], field: base.Field[Any]) -> Callable[[Any], Any]:
    """Return what makes the bound value of one that is given, as ``Model(...)`` and ``save`` do."""
    automatic = _automatic(field)

    def convert(value: Any) -> Any:
        if value is None and not field.null:
            raise _Unfit
        value = field.to_python_value(value)
        if automatic is not None and (field.auto_now or value is None):  # type: ignore[attr-defined]
            return automatic()
        return field.to_db_value(value, model)

    return convert


def _defaulting(model: type[Model], field: base.Field[Any]) -> Callable[[], Any]:
    """Return what makes the bound value where none is given."""
    default: Any = field.default
    automatic = _automatic(field)
    if automatic is not None and (field.auto_now or default is None):  # type: ignore[attr-defined]
        return automatic
    if inspect.iscoroutinefunction(default):

        async def awaited() -> Any:
            return field.to_db_value(await default(), model)

        return awaited
    if callable(default):
        return lambda: field.to_db_value(default(), model)
    return lambda: field.to_db_value(deepcopy(default), model)


def _automatic(field: Any) -> Callable[[], Any] | None:
    """Return what gives the time that the field sets by itself, if it does."""
    if not (getattr(field, 'auto_now', False) or getattr(field, 'auto_now_add', False)):
        return None
    if isinstance(field, data.TimeField):
        return lambda: timezone.now().time()
    if timezone.get_use_tz() and timezone.get_timezone() == 'UTC':
        return lambda: dt.datetime.now(dt.UTC)
    return timezone.localtime
