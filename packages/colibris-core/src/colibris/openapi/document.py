"""The OpenAPI 3.1 document of an application, made from what is known of its endpoints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from colibris import security
from colibris.endpoints import Endpoint
from colibris.openapi.converter import Json
from colibris.openapi.info import describe_project
from colibris.openapi.operations import describe_operation, operation_ids
from colibris.openapi.parameters import openapi_path
from colibris.openapi.responses import ERROR, Responses
from colibris.openapi.schemas import SchemaRegistry, rename

OPENAPI_VERSION = '3.1.1'

_METHODS = ('GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE')


class DocumentError(Exception):
    """Raised when an endpoint cannot be described; names it."""


def build_document(endpoints: Sequence[Endpoint]) -> Json:
    """Return the OpenAPI document of *endpoints*. Raises DocumentError."""
    documented = [endpoint for endpoint in _expand(endpoints) if not endpoint.docs.hidden]
    schemas = SchemaRegistry()
    responses = Responses(schemas)
    guard = security.current_guard()
    schemes = dict(guard.security_schemes())
    paths: dict[str, Json] = defaultdict(dict)
    tags: dict[str, None] = {}
    for endpoint, operation_id in zip(documented, operation_ids(documented), strict=True):
        operation = {'operationId': operation_id, **_describe(endpoint, schemas, responses)}
        _add_security(operation, endpoint, guard)
        tags.update(dict.fromkeys(operation['tags']))
        paths[openapi_path(endpoint.path)].setdefault(endpoint.method.lower(), operation)  # as the router: first come
    components, references = _component_schemas(schemas, responses)
    document: Json = {
        'openapi': OPENAPI_VERSION,
        'info': describe_project(),
        'tags': [{'name': tag} for tag in sorted(tags)],
        'paths': {path: rename(paths[path], references) for path in sorted(paths)},
        'components': {'schemas': components, 'responses': rename(dict(sorted(responses.errors.items())), references)},
    }
    if schemes:
        document['components']['securitySchemes'] = schemes
    return document


def _add_security(operation: Json, endpoint: Endpoint, guard: security.Guard) -> None:
    """Add what *endpoint* needs: credentials, and permissions, for which OpenAPI has no word of its own."""
    if requirements := [dict(each) for each in guard.security_requirements(endpoint)]:
        operation['security'] = requirements
    if needed := guard.describe_permissions(endpoint):
        operation['x-permissions'] = needed
        told = (operation.get('description'), f'Needs the permission {needed}.')
        operation['description'] = '\n\n'.join(filter(None, told))


def _expand(endpoints: Sequence[Endpoint]) -> Iterator[Endpoint]:
    """Yield *endpoints* that OpenAPI has a word for."""
    return (endpoint for endpoint in endpoints if endpoint.method in _METHODS)


def _describe(endpoint: Endpoint, schemas: SchemaRegistry, responses: Responses) -> Json:
    try:
        return describe_operation(endpoint, schemas, responses)
    except Exception as exc:
        raise DocumentError(
            f'{endpoint.method} {endpoint.path} ({endpoint.name}) cannot be documented: {exc or type(exc).__name__}; '
            'mend its schemas, or set hidden = True on it'
        ) from exc


def _component_schemas(schemas: SchemaRegistry, responses: Responses) -> tuple[dict[str, Json], dict[str, str]]:
    """Return the component schemas by name, and the final reference for each provisional one."""
    components, references = schemas.name_all(reserved={'Error'})
    components['Error'] = ERROR
    for (item, kind), envelope in responses.lists.items():
        final = references[item]
        name = final.rpartition('/')[2] + kind
        if components.get(name) not in (None, renamed := rename(envelope, references)):
            name = f'Paginated{name}'
        components[name] = renamed
        references[f'{item}{kind}'] = f'#/components/schemas/{name}'
    return dict(sorted(components.items())), references
