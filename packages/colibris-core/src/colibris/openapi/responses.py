"""The answers of an operation: the good one, and the errors in their envelope."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from marshmallow import Schema

from colibris import api
from colibris.endpoints import Endpoint
from colibris.openapi.converter import Json
from colibris.openapi.schemas import SchemaRegistry
from colibris.throttling import TooManyRequests

ERROR: Json = {
    'type': 'object',
    'description': 'What every error looks like.',
    'properties': {
        'code': {'type': 'string', 'description': 'What went wrong, for programs.'},
        'message': {'type': 'string', 'description': 'What went wrong, for people.'},
        'details': {'description': 'What helps to mend the request; often messages by the names of fields.'},
    },
    'required': ['code', 'details', 'message'],
    'additionalProperties': False,
}

_DETAILS: Mapping[type[api.APIException], Json] = {
    api.SchemaError: {'name': ['Missing data for required field.']},
    api.Duplicate: {'name': ['This value is taken.']},
}

_BODY_ERRORS = (api.ParseError, api.SchemaError, api.PayloadTooLarge, api.UnsupportedMediaType)


class Responses:
    """Describes the answers of operations; collects the errors that they share as components."""

    def __init__(self, schemas: SchemaRegistry) -> None:
        self._schemas = schemas
        self.errors: dict[str, Json] = {}
        #: The list envelopes, by what they are around and by the end of their names.
        self.lists: dict[tuple[str, str], Json] = {}

    def describe(self, endpoint: Endpoint) -> Json:
        """Return the responses object of *endpoint*, by status."""
        described = {str(status): self._declared(answer, status) for status, answer in endpoint.docs.responses.items()}
        if not any(status.startswith(('1', '2', '3')) for status in described):
            described[str(endpoint.status)] = self._good(endpoint)
        for status, errors in _by_status(endpoint).items():
            described.setdefault(str(status), self._error(errors))
        return dict(sorted(described.items()))

    def _good(self, endpoint: Endpoint) -> Json:
        described: Json = {'description': _phrase(endpoint.status)}
        if endpoint.status == 204 or endpoint.response_schema is None:
            return described
        schema = endpoint.response_schema
        reference = self._schemas.reference(schema, 'response')
        if endpoint.is_list:
            described['content'] = {api.JSON: {'schema': self._envelope(reference, counted=_counts(endpoint))}}
        else:
            many = {'type': 'array', 'items': reference}
            described['content'] = {api.JSON: {'schema': many if schema.many else reference}}
        return described

    def _envelope(self, item: Json, *, counted: bool) -> Json:
        """Return a reference to the list envelope around *item*."""
        numbers: Json = {'type': 'integer', 'minimum': 0} if counted else {'type': 'null'}
        kind = 'List' if counted else 'UncountedList'
        self.lists[item['$ref'], kind] = {
            'type': 'object',
            'description': 'One page of a list.',
            'properties': {
                'results': {'type': 'array', 'items': item},
                'count': {**numbers, 'description': 'How many there are on all pages.'},
                'pages': {**numbers, 'description': 'How many pages there are.'},
                'page': {'type': 'integer', 'minimum': 1, 'description': 'The number of this page.'},
                'page_size': {'type': 'integer', 'minimum': 1, 'description': 'How many fit on a page.'},
            },
            'required': ['count', 'page', 'page_size', 'pages', 'results'],
            'additionalProperties': False,
        }
        return {'$ref': item['$ref'] + kind}

    def _error(self, errors: list[type[api.APIException]]) -> Json:
        """Return a reference to the response that stands for *errors*, which share a status."""
        examples = {error.default_code: {'value': _example(error)} for error in errors}
        described = {
            'description': '; or '.join(f'`{error.default_code}`: {error.default_message}' for error in errors),
            'content': {api.JSON: {'schema': {'$ref': '#/components/schemas/Error'}, 'examples': examples}},
        }
        name = plain_name = 'Or'.join(error.__name__ for error in errors)
        while self.errors.setdefault(name, described) != described:  # errors of other modules with equal names
            name = f'{plain_name}_{len(self.errors)}'
        return {'$ref': f'#/components/responses/{name}'}

    def _declared(self, answer: Any, status: int) -> Json:
        """Read what a view says of one status: a description, a schema, an error, or OpenAPI's response object."""
        if isinstance(answer, type) and issubclass(answer, api.APIException):
            return self._error([answer])
        if isinstance(answer, type) and issubclass(answer, Schema):
            answer = answer()
        if isinstance(answer, Schema):
            schema = self._schemas.reference(answer, 'response')
            schema = {'type': 'array', 'items': schema} if answer.many else schema
            return {'description': _phrase(status), 'content': {api.JSON: {'schema': schema}}}
        if isinstance(answer, Mapping):
            return {'description': _phrase(status), **answer}
        described: Json = {'description': str(answer)}
        if status >= 400:
            described['content'] = {api.JSON: {'schema': {'$ref': '#/components/schemas/Error'}}}
        return described


def _counts(endpoint: Endpoint) -> bool:
    """Whether a list tells how many there are; the views of colibris-persist may say that nobody counts."""
    return getattr(endpoint.view, 'count', 'exact') is not None


def _by_status(endpoint: Endpoint) -> dict[int, list[type[api.APIException]]]:
    """Return the errors that *endpoint* can answer: what it declares, and what its schemas and its guard bring."""
    found = list(endpoint.errors)
    if endpoint.query_schema is not None:
        found.append(api.SchemaError)
    if endpoint.body_schema is not None:
        found.extend(_BODY_ERRORS)
    if endpoint.authentication_required or endpoint.permissions:
        found.append(api.Unauthenticated)
    if endpoint.permissions:
        found.append(api.Forbidden)
    if endpoint.throttle is not None:
        found.append(TooManyRequests)
    by_status: dict[int, list[type[api.APIException]]] = defaultdict(list)
    for error in sorted(set(found), key=lambda error: error.__name__):
        by_status[error.status].append(error)
    return by_status


def _example(error: type[api.APIException]) -> Json:
    details = next((example for kind, example in _DETAILS.items() if issubclass(error, kind)), None)
    return {'code': error.default_code, 'message': error.default_message, 'details': details}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f'Status {status}'
