"""Settings schemas: which variables of the environment a project reads, and what their values are.

Example, at the end of ``settings.py``::

    class DatabaseSettingsSchema(SettingsSchema):
        HOST = fields.String()
        PORT = fields.Integer()

        class Meta:
            prefix = 'DATABASE_'

    DatabaseSettingsSchema().load_from_env(globals())

sets ``DATABASE['host']`` and ``DATABASE['port']`` from ``DATABASE_HOST`` and ``DATABASE_PORT``, if these are given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import marshmallow
from marshmallow import fields, validate

from colibris.conf.environment import Variable, read_variables
from colibris.conf.errors import ImproperlyConfigured
from colibris.conf.sources import SETTINGS, Record, record_of

__all__ = ['SettingsSchema', 'fields', 'validate']

_EXPECTED: Mapping[type[fields.Field[Any]], str] = {
    fields.Boolean: 'true or false',
    fields.Integer: 'an integer',
    fields.Float: 'a number',
    fields.Decimal: 'a decimal number',
    fields.List: 'a list: values separated by commas, or JSON',
    fields.Mapping: 'an object in JSON',
    fields.Nested: 'an object in JSON',
    fields.String: 'a string',
}


class _Options(marshmallow.SchemaOpts):
    def __init__(self, meta: type, **kwargs: Any) -> None:
        super().__init__(meta, **kwargs)
        self.prefix: str = getattr(meta, 'prefix', '')


@dataclass(frozen=True, slots=True)
class _Binding:
    """A field of a schema, the variable that it reads, and the variable as it was found, if it was."""

    field: fields.Field[Any]
    variable: str
    found: Variable | None
    prefix: str

    @property
    def loads_from(self) -> str:
        return self.field.data_key or str(self.field.name)

    @property
    def loads_to(self) -> str:
        return self.field.attribute or str(self.field.name)

    def raw(self) -> Any:
        """Return what the field can load: the text, or the list or dictionary that the text holds."""
        text = self.found.value if self.found is not None else ''
        if not text and self.field.allow_none:
            return None
        if not text and not isinstance(self.field, fields.String):
            raise self.refusal('it is empty: give it a value or remove it')
        if isinstance(self.field, fields.List | fields.Tuple) and not text.lstrip().startswith('['):
            return [item.strip() for item in text.split(',')]
        if isinstance(self.field, fields.List | fields.Tuple | fields.Mapping | fields.Nested):
            try:
                return json.loads(text)
            except ValueError as exc:
                raise self.refusal('it is not valid JSON') from exc
        return text

    def refusal(self, reason: str) -> ImproperlyConfigured:
        """Return the error for a value that cannot be used; the value is not shown, as it may be a secret."""
        name = self.prefix.removesuffix('_') or self.variable
        setting = f'{name}.{self.loads_to.lower()}' if self.prefix else name
        if self.found is None:
            message = f'{self.variable} is required: set it in the environment, in .env or in .env.default'
            return ImproperlyConfigured(message, setting=setting)
        purpose = f", which sets {name}['{self.loads_to.lower()}']" if self.prefix else ''
        kinds = (text for kind, text in _EXPECTED.items() if isinstance(self.field, kind))
        expected = next(kinds, f'a value for {type(self.field).__name__}')
        doubt = '' if reason.startswith('Not a valid') else f': {reason}'
        message = f'{self.variable} ({self.found.source}){purpose}: expected {expected}{doubt}'
        return ImproperlyConfigured(message, setting=setting, source=self.found.source)


class SettingsSchema(marshmallow.Schema):
    """A marshmallow schema whose fields are environment variables.

    The environment comes before ``.env`` (in the current folder, else the project's), which comes before
    ``PACKAGE/.env.default``. With ``Meta.prefix`` the variables bear that prefix, and become keys, in lower case, of
    the dictionary setting of that name. Lists are values separated by commas, or JSON; dictionaries are JSON. An empty
    variable is None for a field with ``allow_none``, else an empty string for a string field, else an error.
    """

    OPTIONS_CLASS = _Options
    opts: Any

    def load_from_env(self, target: MutableMapping[str, Any]) -> None:
        """Write the variables that are given into *target*, usually ``globals()``.

        What is not given stays as it is; a field's ``load_default`` counts where *target* has no value. Raises
        ImproperlyConfigured naming the variable and its source; the value itself is not shown.
        """
        record = record_of(target)
        record.variables = read_variables(_package_dir(target))
        prefix = self._prefix()
        bindings = [self._bind(field, prefix, record.variables) for field in self.load_fields.values()]
        record.declared.update({binding.variable: prefix for binding in bindings})
        loaded = self._load(bindings)
        sources = {binding.loads_to: binding.found.source for binding in bindings if binding.found is not None}
        if prefix:
            _write_keys(prefix.removesuffix('_'), record, loaded, sources)
        else:
            _write(record, loaded, sources)

    def _prefix(self) -> str:
        prefix = self.opts.prefix
        if not isinstance(prefix, str) or (prefix and not prefix.endswith('_')):
            raise ImproperlyConfigured(
                f"{type(self).__name__}.Meta.prefix must be the name of a setting and '_', such as 'DATABASE_', "
                f'not {prefix!r}',
                source=SETTINGS,
            )
        return prefix

    def _bind(self, field: fields.Field[Any], prefix: str, variables: Mapping[str, Variable]) -> _Binding:
        if field.data_key is None and not str(field.name).isupper():
            raise ImproperlyConfigured(
                f'{type(self).__name__}.{field.name} must be in upper case, as the variable that it reads',
                source=SETTINGS,
            )
        variable = prefix + (field.data_key or str(field.name))
        return _Binding(field, variable, variables.get(variable), prefix)

    def _load(self, bindings: Sequence[_Binding]) -> Mapping[str, Any]:
        """Return the values that the fields make of the variables that were found."""
        data = {binding.loads_from: binding.raw() for binding in bindings if binding.found is not None}
        try:
            loaded = self.load(data)
        except marshmallow.ValidationError as exc:
            messages = exc.normalized_messages()  # type: ignore[no-untyped-call]
            for binding in bindings:
                if binding.loads_from in messages:
                    raise binding.refusal(_flat(messages[binding.loads_from])) from exc
            raise ImproperlyConfigured(f'{type(self).__name__}: {_flat(messages)}', source=SETTINGS) from exc
        if not isinstance(loaded, Mapping):
            kind = type(loaded).__name__
            raise ImproperlyConfigured(f'{type(self).__name__} must load a dictionary, not {kind}', source=SETTINGS)
        return loaded


def _write(record: Record, loaded: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    for name, value in loaded.items():
        if name in sources:
            record.target[name] = value
            record.values[name,] = (value, sources[name])
        else:
            record.target.setdefault(name, value)


def _write_keys(name: str, record: Record, loaded: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    """Create or update the dictionary *name*; defaults alone do not create it."""
    current = record.target.get(name)
    if not sources and not isinstance(current, dict):
        return
    if current is not None and not isinstance(current, dict):
        key, source = next(iter(sources.items()))
        raise ImproperlyConfigured(
            f'{name}_{key} ({source}) sets a key of {name}, which is no dictionary in settings.py but a '
            f'{type(current).__name__}: write it as a dictionary',
            setting=name,
            source=source,
        )
    if current is None:
        record.created.add(name)
    merged = dict(current or {})
    for key, value in loaded.items():
        if key in sources:
            merged[key.lower()] = value
            record.values[name, key.lower()] = (value, sources[key])
        else:
            merged.setdefault(key.lower(), value)
    record.target[name] = merged


def _flat(messages: Any) -> str:
    """Return marshmallow's messages as one line."""
    if isinstance(messages, Mapping):
        return ' '.join(_flat(item) for item in messages.values())
    return ' '.join(map(str, messages)) if isinstance(messages, list | tuple) else str(messages)


def _package_dir(target: Mapping[str, Any]) -> Path | None:
    file = target.get('__file__')
    return Path(file).resolve().parent if isinstance(file, str) else None
