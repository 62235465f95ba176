"""The code that loads field by field by a schema that runs code of others: hooks, validators, methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema, ValidationError, fields, missing
from marshmallow.utils import set_value

from colibris.schemas.compiled import stock
from colibris.schemas.compiled.reading import Partial, Reader, key_of, keys_of, may_skip, title_of, within
from colibris.schemas.compiled.stock import NotCompiled
from colibris.schemas.compiled.validators import are_harmless

LoadFields = Callable[[Any, Any, Any], Any]


class FieldReader(Reader):
    """Writes the code for one schema, each field by itself, so that whatever has effects runs once."""

    def __init__(self) -> None:
        super().__init__()
        self.source.names.update(ask=_ask, check=_check, set_value=set_value)
        #: What was left to marshmallow, by the names of fields, and why.
        self.left: dict[str, str] = {}
        #: The field whose validators may have effects, and are called once its value is converted.
        self._unchecked: Any = None

    def by_field(self, schema: Schema, partial: Partial, unknown: str) -> LoadFields:
        """Return a function that does what ``schema._deserialize`` does for one dictionary.

        It stores errors and calls the methods of fields, once for each field, where it is in doubt.
        """
        stock.check_deserialize(schema)
        source, known = self.source, keys_of(schema, repeated=True)
        self._way.append(type(schema))
        with source.block('def load(d, errors, index):'):
            source.line('r = {}')
            for name, field in schema.load_fields.items():
                self._field(name, field, partial)
            if unknown != EXCLUDE:
                self._unknown(schema, source.constant(known, 'known'), unknown)
            source.line('return r')
        return source.function('load', f'{title_of(schema)}.load')

    def _field(self, name: str, field: Any, partial: Partial) -> None:
        """Write what reads one field, and asks the field itself where that is in doubt."""
        source, inner = self.source, within(partial, name)
        key, constant = source.constant(key_of(name, field)), source.constant(field, 'field')
        options = {} if inner is None else {'partial': list(inner) if isinstance(inner, tuple) else inner}
        ask = f'v = ask({constant}, given, {key}, d, {source.constant(options)}, errors, index)'
        source.line(f'given = v = d.get({key}, missing)')
        with source.block('if v is missing:'):
            source.line('pass' if may_skip(name, partial) or _stays_missing(field) else ask)
        with source.block('else:'):
            try:
                self._attempt(field, inner, ask, f'v = check({constant}, v, {key}, errors, index)')
            except NotCompiled as exc:
                self.left[name] = str(exc)
                source.line(ask)
            except Exception as exc:  # of a field that is not what it looks like, such as one nesting an unknown schema
                self.left[name] = f'it cannot be read: {exc}'
                source.line(ask)
        with source.block('if v is not missing:'):
            self._set('r', field.attribute or name, 'v')

    def _attempt(self, field: Any, partial: Partial, ask: str, check: str) -> None:
        """Write what reads what is given, and *ask*s where that is in doubt. Raises NotCompiled."""
        source = self.source
        self._unchecked = None if are_harmless(field.validators) else field
        with source.attempt():
            with source.block('try:'):
                self.value(field, 'v', partial)
                source.line('pass')
            source.line('except Exception:')
            source.line(f' {ask}')
            if self._unchecked is not None:
                source.line('else:')
                source.line(f' if given is not None: {check}')

    def _checks(self, field: fields.Field[Any], value: str, unchanged: bool) -> Sequence[Any]:
        return () if field is self._unchecked else super()._checks(field, value, unchanged)

    def _unknown(self, schema: Schema, known: str, unknown: str) -> None:
        source = self.source
        with source.block(f'if not d.keys() <= {known}:'), source.block(f'for key in set(d) - {known}:'):
            if unknown == INCLUDE:
                source.line('r[key] = d[key]')
            elif unknown == RAISE:
                message = f'{source.constant(schema, "schema")}.error_messages["unknown"]'
                source.line(f'errors.store_error([{message}], key, index)')
            else:
                source.line('pass')


def _stays_missing(field: Any) -> bool:
    return not field.required and field.load_default is missing and stock.skips_missing(field)


def _ask(field: Any, given: Any, key: str, data: Any, options: Any, errors: Any, index: Any) -> Any:
    """Let *field* itself read what it was *given*, and store its errors."""
    try:
        return field.deserialize(given, key, data, **options)
    except ValidationError as exc:
        errors.store_error(exc.messages, key, index=index)
        return exc.valid_data or missing


def _check(field: Any, value: Any, key: str, errors: Any, index: Any) -> Any:
    """Call the validators of *field*, and store their errors."""
    try:
        field._validate(value)
    except ValidationError as exc:
        errors.store_error(exc.messages, key, index=index)
        return exc.valid_data or missing
    return value
