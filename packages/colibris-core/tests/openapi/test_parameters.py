"""Parameters: how they are typed, and how they are written."""

import re

import pytest

from colibris.endpoints import Endpoint
from colibris.openapi.parameters import openapi_path, path_parameters, query_parameters
from colibris.openapi.schemas import SchemaRegistry
from colibris.schemas import Schema, fields, validate
from colibris.views import APIView


def handler(request): ...


def of_path(path, view=None):
    endpoint = Endpoint('GET', path, handler, view)
    return {one['name']: one['schema'] for one in path_parameters(endpoint, SchemaRegistry())}


def of_query(method='GET', partial=None, **declared):
    schema = Schema.from_dict(declared)(partial=partial)
    return list(query_parameters(Endpoint(method, '/', handler, query_schema=schema), SchemaRegistry()))


@pytest.mark.parametrize(
    ('template', 'path'),
    [
        ('/items', '/items'),
        ('/items/{id}', '/items/{id}'),
        (r'/items/{id:\d{1,3}}/parts/{part:[a-z]+}', '/items/{id}/parts/{part}'),
        ('/files/{path:.+}', '/files/{path}'),
    ],
)
def test_paths_are_written_without_their_regular_expressions(template, path):
    assert openapi_path(template) == path


@pytest.mark.parametrize(
    ('path', 'schema'),
    [
        ('/{id}', {'type': 'string', 'minLength': 1}),
        (r'/{id:\d+}', {'type': 'integer', 'minimum': 0}),
        ('/{id:[a-z]+}', {'type': 'string', 'pattern': '^[a-z]+$'}),
        ('/{id:a|b}', {'type': 'string', 'pattern': '^(?:a|b)$'}),
        ('/{id:(?i)[a-z]+}', {'type': 'string', 'minLength': 1}),
    ],
)
def test_what_stands_in_a_path_is_typed_by_its_template(path, schema):
    assert of_path(path) == {'id': schema}


def test_what_stands_in_a_path_is_typed_by_its_view():
    class Things(APIView):
        @classmethod
        def path_fields(cls, method):
            return {'id': fields.UUID()}

    assert of_path('/{id}/{other}', Things) == {
        'id': {'type': 'string', 'format': 'uuid'},
        'other': {'type': 'string', 'minLength': 1},
    }


def test_repeated_values_are_exploded_and_delimited_ones_are_not():
    class Delimited(fields.List):
        delimiter = ','

    repeated, delimited = of_query(a=fields.List(fields.Integer()), b=Delimited(fields.Integer()))
    assert (repeated['style'], repeated['explode'], repeated['schema'].get('minItems')) == ('form', True, None)
    assert (delimited['style'], delimited['explode'], delimited['schema'].get('minItems')) == ('form', False, 1)


def test_a_query_knows_no_null():
    (parameter,) = of_query(
        a=fields.String(allow_none=True, load_default=None, validate=validate.OneOf(['x'])),
    )
    assert parameter['schema'] == {'type': 'string', 'enum': ['x']}


def test_null_characters_are_not_advertised():
    (parameter,) = of_query(a=fields.String())
    refused = re.compile(parameter['schema']['not']['pattern'])
    assert refused.search('a\0b')
    assert not refused.search('ab')


def test_description_and_deprecation_are_said_of_the_parameter():
    (parameter,) = of_query(a=fields.Integer(metadata={'description': 'Why.', 'deprecated': True}))
    assert parameter == {
        'in': 'query',
        'name': 'a',
        'description': 'Why.',
        'deprecated': True,
        'schema': {'type': 'integer'},
    }


@pytest.mark.parametrize(
    ('method', 'partial', 'required'), [('GET', None, True), ('POST', None, None), ('GET', True, None)]
)
def test_a_parameter_is_required_where_it_is_missed(method, partial, required):
    (parameter,) = of_query(method, partial, a=fields.Integer(required=True))
    assert parameter.get('required') == required


def test_what_is_only_dumped_is_no_parameter():
    assert of_query(a=fields.Integer(dump_only=True)) == []
