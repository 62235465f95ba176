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
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import marshmallow
from colibris.conf.environment import Variable, read_variables
from colibris.conf.errors import ImproperlyConfigured
from colibris.conf.known import ALIASES
from colibris.conf.sources import SETTINGS, Record, record_of
from marshmallow import fields, validate

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


class SettingsSchema(marshmallow.Schema):
    """A marshmallow schema whose fields are environment variables.

    The environment comes before ``.env`` (in the current folder, else the project's), which comes before
    ``PACKAGE/.env.default``. With ``Meta.prefix`` the variables bear that prefix, and become keys, in lower case, of
    the dictionary setting of that name. Lists are values separated by commas, or JSON; dictionaries are JSON. An empty
    variable is an empty string for a string field, None for a field with ``allow_none``, and an error for others.
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
        fields_by_variable = {prefix + (item.data_key or name): item for name, item in self.load_fields.items()}
        record.declared.update(dict.fromkeys(fields_by_variable, prefix))
        given = {name: record.variables[name] for name in fields_by_variable if name in record.variables}
        loaded = self._load(given, fields_by_variable)
        sources = {self._key(fields_by_variable[name]): variable.source for name, variable in given.items()}
        if prefix:
            self._write_keys(prefix, record, loaded, given, sources)
            return
        for name, value in loaded.items():
            if name in sources:
                target[name] = value
                record.values[name,] = (value, sources[name])
            else:
                target.setdefault(name, value)

    def _prefix(self) -> str:
        prefix = self.opts.prefix
        if not isinstance(prefix, str) or (prefix and not prefix.endswith('_')):
            raise ImproperlyConfigured(
                f"{type(self).__name__}.Meta.prefix must be the name of a setting and '_', such as 'DATABASE_', "
                f'not {prefix!r}',
                source=SETTINGS,
            )
        return prefix

    @staticmethod
    def _key(field: fields.Field[Any]) -> str:
        return field.attribute or str(field.name)

    def _load(
        self, given: Mapping[str, Variable], fields_by_variable: Mapping[str, fields.Field[Any]]
    ) -> Mapping[str, Any]:
        """Return the values that the fields make of the variables."""
        data = {
            _name(fields_by_variable[name]): _read(name, variable, fields_by_variable[name])
            for name, variable in given.items()
        }
        try:
            loaded = self.load(data)
        except marshmallow.ValidationError as exc:
            raise self._refusal(exc, given, fields_by_variable) from exc
        if not isinstance(loaded, Mapping):
            raise ImproperlyConfigured(
                f'{type(self).__name__} must load a dictionary, not {type(loaded).__name__}', source=SETTINGS
            )
        return loaded

    def _refusal(
        self,
        exc: marshmallow.ValidationError,
        given: Mapping[str, Variable],
        fields_by_variable: Mapping[str, fields.Field[Any]],
    ) -> ImproperlyConfigured:
        """Return the error for the first of the variables that are refused."""
        messages = exc.normalized_messages()  # type: ignore[no-untyped-call]
        for name, field in fields_by_variable.items():
            if (told := messages.get(_name(field))) is not None:
                return _refuse(name, given.get(name), field, _flat(told))
        return ImproperlyConfigured(f'{type(self).__name__}: {_flat(messages)}', source=SETTINGS)

    def _write_keys(
        self,
        prefix: str,
        record: Record,
        loaded: Mapping[str, Any],
        given: Mapping[str, Variable],
        sources: Mapping[str, str],
    ) -> None:
        """Create or update the dictionary that *prefix* names."""
        if not loaded:
            return
        name = prefix.removesuffix('_')
        target, setting = record.target, ALIASES.get(name, name)
        first = next(((variable, found.source) for variable, found in given.items()), (f'{prefix}…', SETTINGS))
        _check_spelling(name, setting, target, first)
        current = target.get(setting)
        if current is not None and not isinstance(current, dict):
            raise ImproperlyConfigured(
                f'{first[0]} ({first[1]}) sets a key of {setting}, but {setting} is no dictionary but '
                f'{type(current).__name__} in settings.py: give it as a dictionary',
                setting=setting,
                source=first[1],
            )
        if current is None:
            record.created.add(setting)
        merged = dict(current or {})
        for key, value in loaded.items():
            if key in sources:
                merged[key.lower()] = value
                record.values[setting, key.lower()] = (value, sources[key])
            else:
                merged.setdefault(key.lower(), value)
        target[setting] = merged


def _check_spelling(name: str, setting: str, target: Mapping[str, Any], first: tuple[str, str]) -> None:
    """Refuse variables of one spelling where the setting is given in another."""
    spellings = {setting, *(alias for alias, meant in ALIASES.items() if meant == setting)}
    other = next((spelling for spelling in sorted(spellings - {name}) if target.get(spelling) is not None), None)
    if other is not None and (name != setting or other != setting):
        raise ImproperlyConfigured(
            f'{first[0]} ({first[1]}) and {other} are two spellings of one setting: use {setting} for both',
            setting=setting,
            source=first[1],
        )


def _read(name: str, variable: Variable, field: fields.Field[Any]) -> Any:
    """Return what *field* can load: text, or the list or dictionary that the text holds."""
    if not variable.value and field.allow_none:
        return None
    if not variable.value and not isinstance(field, fields.String):
        raise _refuse(name, variable, field, 'it is empty: give it a value or remove it')
    if isinstance(field, fields.List | fields.Tuple) and not variable.value.lstrip().startswith('['):
        return [item.strip() for item in variable.value.split(',')]
    if isinstance(field, fields.List | fields.Tuple | fields.Mapping | fields.Nested):
        try:
            return json.loads(variable.value)
        except ValueError as exc:
            raise _refuse(name, variable, field, 'it is not valid JSON') from exc
    return variable.value


def _refuse(name: str, variable: Variable | None, field: fields.Field[Any], reason: str) -> ImproperlyConfigured:
    if variable is None:
        message = f'{name} is required: set it in the environment, in .env or in .env.default'
        return ImproperlyConfigured(message, setting=name)
    expected = next((text for kind, text in _EXPECTED.items() if isinstance(field, kind)), type(field).__name__)
    doubt = '' if reason.startswith('Not a valid') else f': {reason}'
    message = f'{name} ({variable.source}): expected {expected}{doubt}'
    return ImproperlyConfigured(message, setting=name, source=variable.source)


def _name(field: fields.Field[Any]) -> str:
    return field.data_key or str(field.name)


def _flat(messages: Any) -> str:
    """Return marshmallow's messages as one line."""
    if isinstance(messages, Mapping):
        return ' '.join(_flat(item) for item in messages.values())
    return ' '.join(map(str, messages)) if isinstance(messages, list | tuple) else str(messages)


def _package_dir(target: Mapping[str, Any]) -> Path | None:
    file = target.get('__file__')
    return Path(file).resolve().parent if isinstance(file, str) else None
