"""The parameters of an operation: those in its path, and those in its query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import fields

from colibris.endpoints import Endpoint
from colibris.openapi.converter import Json, ecma_pattern
from colibris.openapi.schemas import SchemaRegistry

# A place in aiohttp's template: {name} or {name:regular expression}, whose own braces are balanced.
_PLACE = re.compile(r'\{([_a-zA-Z][_a-zA-Z0-9]*)\s*(?::((?:[^{}]|\{[^{}]*\})*))?\}')

_DIGITS = {r'\d+', '[0-9]+'}


def openapi_path(template: str) -> str:
    """Return aiohttp's path *template* without the regular expressions of its places."""
    return _PLACE.sub(lambda place: f'{{{place[1]}}}', template)


def path_parameters(endpoint: Endpoint, schemas: SchemaRegistry) -> Iterator[Json]:
    """Yield the parameters in the path of *endpoint*, typed where its view or its template tells."""
    typed = _typed_by_view(endpoint, schemas)
    for name, pattern in _PLACE.findall(endpoint.path):
        described = typed.get(name) or _typed_by_pattern(pattern)
        yield {'in': 'path', 'name': name, 'required': True, 'schema': described}


def query_parameters(endpoint: Endpoint, schemas: SchemaRegistry) -> Iterator[Json]:
    """Yield the query parameters that *endpoint* declares."""
    schema = endpoint.query_schema
    if schema is None:
        return
    checked_always = endpoint.method == 'GET'  # for other methods, only if a query is given
    for name, field, described in schemas.properties(schema):
        parameter: Json = {'in': 'query', 'name': name, **_style(field)}
        for about in ('description', 'deprecated'):
            if about in described:
                parameter[about] = described.pop(about)
        if field.required and checked_always and not schema.partial:
            parameter['required'] = True
        yield {**parameter, 'schema': _as_written(field, described)}


def _typed_by_view(endpoint: Endpoint, schemas: SchemaRegistry) -> Mapping[str, Json]:
    """Return what a view that looks up an object says of the field that it is looked up by."""
    view: Any = endpoint.view
    path_fields = getattr(view, 'path_fields', None)
    if path_fields is None:
        return {}
    return {name: schemas.property(field) for name, field in path_fields(endpoint.method).items()}


def _typed_by_pattern(pattern: str) -> Json:
    if pattern in _DIGITS:
        return {'type': 'integer', 'minimum': 0}
    if not pattern:
        return {'type': 'string', 'minLength': 1}
    known = ecma_pattern(re.compile(pattern))
    return {'type': 'string', 'minLength': 1} if known is None else {'type': 'string', 'pattern': f'{known}$'}


def _style(field: fields.Field[Any]) -> Json:
    """Return how several values are written: ``a=1&a=2``, or ``a=1,2`` for a field with a delimiter."""
    if getattr(field, 'delimiter', None) == ',':
        return {'style': 'form', 'explode': False}
    return {'style': 'form', 'explode': True} if isinstance(field, (fields.List, fields.Tuple)) else {}


def _as_written(field: fields.Field[Any], described: Json) -> Json:
    """Take out of *described* what a query cannot carry: null characters, no items separated by commas."""
    if described.get('type') == 'string' and described.keys().isdisjoint({'enum', 'format', 'pattern', 'not'}):
        described['not'] = {'type': 'string', 'pattern': r'\u0000'}
    if getattr(field, 'delimiter', None) is not None:
        described.setdefault('minItems', 1)
    if 'items' in described and isinstance(field, fields.List):
        described['items'] = _as_written(field.inner, described['items'])
    return described
