"""One operation of the document: an endpoint with its names, what it takes and what it answers."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields

from colibris import api
from colibris.endpoints import Endpoint
from colibris.openapi.converter import Json
from colibris.openapi.parameters import openapi_path, path_parameters, query_parameters
from colibris.openapi.responses import Responses
from colibris.openapi.schemas import SchemaRegistry
from colibris.requests import FORM, MULTIPART
from colibris.schemas.fields import File

_ACTIONS = {
    'GET': 'retrieve',
    'POST': 'create',
    'PUT': 'update',
    'PATCH': 'partial_update',
    'DELETE': 'destroy',
    'HEAD': 'head',
    'OPTIONS': 'options',
}

_ROLES = {'POST': 'Create', 'PUT': 'Update', 'PATCH': 'Patch'}

_VERBS = {
    'retrieve': 'Retrieve',
    'create': 'Create',
    'update': 'Replace',
    'partial_update': 'Change',
    'destroy': 'Delete',
}


def describe_operation(endpoint: Endpoint, schemas: SchemaRegistry, responses: Responses) -> Json:
    """Return the operation object of *endpoint*, but for its operationId."""
    summary, description = _words(endpoint)
    operation: Json = {'tags': list(endpoint.docs.tags or [tag_of(endpoint.path)]), 'summary': summary}
    if description:
        operation['description'] = description
    parameters = [*path_parameters(endpoint, schemas), *query_parameters(endpoint, schemas)]
    if parameters:
        operation['parameters'] = parameters
    if endpoint.body_schema is not None:
        operation['requestBody'] = _request_body(endpoint.body_schema, _ROLES.get(endpoint.method, ''), schemas)
    operation['responses'] = responses.describe(endpoint)
    return operation


def operation_ids(endpoints: Sequence[Endpoint]) -> list[str]:
    """Return an id for each of *endpoints*, made of its path and of what it does, so that it stays when others come.

    Where two paths differ only in their parameters, these are named in the id.
    """
    plain = [_operation_id(endpoint, with_parameters=False) for endpoint in endpoints]
    full = [_operation_id(endpoint, with_parameters=True) for endpoint in endpoints]
    chosen = [longer if plain.count(short) > 1 else short for short, longer in zip(plain, full, strict=True)]
    seen: dict[str, int] = defaultdict(int)
    ids = []
    for name in chosen:
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f'{name}_{seen[name]}')
    return ids


def tag_of(path: str) -> str:
    """Return the name of the resource that *path* leads to: its first part that is a name."""
    parts = [part for part in path.split('/') if part and '{' not in part]
    named = [part for part in parts if part != 'api' and not re.fullmatch(r'v\d+', part)]
    return (named or parts or ['root'])[0]


def _operation_id(endpoint: Endpoint, *, with_parameters: bool) -> str:
    path = openapi_path(endpoint.path)
    if with_parameters:
        path = re.sub(r'\{(\w+)\}', r'by_\1', path)
    parts = [part for part in re.split(r'[^A-Za-z0-9_]+', re.sub(r'\{\w+\}', '', path)) if part]
    return '_'.join([*(parts or ['root']), _action(endpoint)])


def _action(endpoint: Endpoint) -> str:
    return 'list' if endpoint.is_list else _ACTIONS.get(endpoint.method, endpoint.method.lower())


def _words(endpoint: Endpoint) -> tuple[str, str]:
    """Return summary and description: as the view says, else from docstrings, else from what is known."""
    summary, description = _docstring(endpoint)
    return (
        endpoint.docs.summary or summary or _derived_summary(endpoint),
        endpoint.docs.description or description or _view_docstring(endpoint),
    )


def _docstring(endpoint: Endpoint) -> tuple[str, str]:
    function = inspect.unwrap(endpoint.function)
    if getattr(endpoint.view, 'model', None) is not None and _is_ours(function):
        return '', ''  # says the same of every model
    documented = inspect.cleandoc(getattr(function, '__doc__', None) or '')
    summary, _, description = documented.partition('\n\n')
    return ' '.join(summary.split()).removesuffix('.'), description.strip()


def _view_docstring(endpoint: Endpoint) -> str:
    if endpoint.view is None or _is_ours(endpoint.view):
        return ''
    return inspect.cleandoc(endpoint.view.__dict__.get('__doc__') or '')


def _is_ours(named: Any) -> bool:
    return str(getattr(named, '__module__', '')).startswith('colibris.')


def _derived_summary(endpoint: Endpoint) -> str:
    resource = re.sub(r'[-_]+', ' ', tag_of(endpoint.path))
    if endpoint.is_list:
        return f'List {resource}'
    model = getattr(endpoint.view, 'model', None)
    verb = _VERBS.get(_action(endpoint))
    if model is None or verb is None:
        return f'{endpoint.method} {openapi_path(endpoint.path)}'
    noun = re.sub(r'(?<=[a-z0-9])(?=[A-Z])', ' ', model.__name__).lower()
    return f'{verb} {"an" if noun[0] in "aeiou" else "a"} {noun}'


def _request_body(schema: Schema, role: str, schemas: SchemaRegistry) -> Json:
    content: Json = {}
    for media_type in _media_types(schema):
        reference = schemas.reference(schema, 'request' if media_type == api.JSON else 'form', role)
        content[media_type] = {'schema': {'type': 'array', 'items': reference} if schema.many else reference}
    return {'required': True, 'content': content}


def _media_types(schema: Schema) -> tuple[str, ...]:
    """Return the formats in which a body of *schema* can be sent; a form has no place for what is nested."""
    declared = schema.load_fields.values()
    if any(isinstance(field, File) for field in declared):
        return (MULTIPART,)
    nested = (fields.Nested, fields.Mapping, fields.Raw)
    inner = [field.inner if isinstance(field, fields.List) else field for field in declared]
    if schema.many or any(isinstance(field, nested) and not isinstance(field, fields.Pluck) for field in inner):
        return (api.JSON,)
    return api.JSON, FORM, MULTIPART
