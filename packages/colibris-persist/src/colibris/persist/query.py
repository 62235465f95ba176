"""The query parameters of a view: those of its filter, of its pagination, and of a schema of its own, in one schema."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import marshmallow

from colibris.persist.names import close_names
from colibris.schemas import Schema, ValidationError, fields


class UnknownHints:
    """Makes a schema say which parameter may be meant when it gets one that it does not know."""

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Add what may be meant to the messages of *error*."""
        schema: Any = self
        unknown = [schema.error_messages['unknown']]
        known = [field.data_key or name for name, field in schema.load_fields.items()]
        if isinstance(error.messages, dict):
            for name, messages in error.messages.items():
                if messages == unknown:
                    error.messages[name] = [_unknown(str(name), known)]
        super().handle_error(error, data, many=many, **kwargs)  # type: ignore[misc]


def _unknown(name: str, known: list[str]) -> str:
    close = close_names(name, known)
    return f'Unknown parameter; did you mean {close}?' if close else f'Unknown parameter; there are {", ".join(known)}.'


def combine(
    view: str, own: type[marshmallow.Schema] | None, parts: Mapping[str, Mapping[str, fields.Field[Any]]]
) -> type[marshmallow.Schema]:
    """Return a schema class with the fields of *own* and of *parts*, which are named by where they come from.

    Raises TypeError when two of them have a parameter of the same name.
    """
    base: type[marshmallow.Schema] = own or Schema
    origins: dict[str, str] = {}
    declared: dict[str, fields.Field[Any]] = {}
    if own is not None:
        origins = {field.data_key or name: own.__name__ for name, field in own().load_fields.items()}
    for origin, found in parts.items():
        for name, field in found.items():
            if name in origins or name in declared:
                raise TypeError(
                    f'{view}: {origins[name]} and {origin} both have a query parameter {name!r}; call one of them '
                    'otherwise'
                )
            origins[name] = origin
            declared[name] = field
    options: dict[str, Any] = {'register': False}
    if base.opts.fields:
        options['fields'] = (*base.opts.fields, *declared)
    meta = type('Meta', (base.Meta,), options)
    combined: type[marshmallow.Schema] = types.new_class(
        f'{view}Query', (UnknownHints, base), exec_body=lambda body: body.update({**declared, 'Meta': meta})
    )
    return combined
