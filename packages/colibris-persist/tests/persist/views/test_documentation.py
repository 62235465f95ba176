"""What the documentation of the API says of model views; made with no database open."""

import re
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from colibris.app import create_app
from colibris.conf import settings, setup
from colibris.endpoints import endpoints
from colibris.openapi.document import build_document
from colibris.persist import columns

HERE = Path(__file__).parent
TEXTS = [
    '0',
    '00',
    '1',
    '-1',
    '12',
    '123',
    '1000',
    '9999',
    '10000',
    '123456789',
    '0.5',
    '.5',
    '.05',
    '.005',
    '1.',
    '1.0',
    '1.00',
    '1.000',
    '99.999',
    '1.2345',
    '1.23456',
    '0.0',
    '.0',
    '000001.5',
    '+.55000',
    '1.0001',
    '12345678.1234',
    'x',
    '-',
    '.',
]


@pytest.fixture
def document(tmp_path):
    sys.path.insert(0, str(HERE))
    try:
        setup('bookshop')
        with settings.override(DATABASE={'backend': 'sqlite', 'name': str(tmp_path / 'none.db')}):
            yield build_document(endpoints(create_app()))
    finally:
        settings.reset()
        sys.path.remove(str(HERE))


@pytest.fixture
def schemas(document):
    return document['components']['schemas']


def test_the_document_of_all_kinds_of_columns_and_relations_is_valid(document):
    validate(document)


def test_a_list_takes_its_filters_and_its_page(document):
    parameters = {one['name']: one for one in document['paths']['/books']['get']['parameters']}
    assert parameters.keys() >= {'page', 'page_size'}
    assert parameters['page']['schema']['minimum'] == 1
    assert document['paths']['/books']['get']['responses'].keys() == {'200', '400'}


@pytest.mark.parametrize(
    ('path', 'schema'),
    [
        ('/books/{id}', {'type': 'integer', 'minimum': -(2**31), 'maximum': 2**31 - 1, 'examples': [1]}),
        ('/accounts/{id}', {'type': 'string', 'format': 'uuid'}),
        ('/countries/{code}', {'type': 'string', 'maxLength': 2, 'not': {'type': 'string', 'pattern': r'\u0000'}}),
    ],
)
def test_an_identifier_is_typed_by_its_column(document, path, schema):
    (parameter,) = document['paths'][path]['get']['parameters']
    assert (parameter['in'], parameter['schema']) == ('path', schema)


def test_each_method_has_its_answers(document):
    answers = {
        (method, path): set(operation['responses'])
        for path, operations in document['paths'].items()
        for method, operation in operations.items()
    }
    assert answers['post', '/books'] == {'201', '400', '409', '413', '415'}
    assert answers['get', '/books/{id}'] == {'200', '404'}
    assert answers['put', '/books/{id}'] == {'200', '400', '404', '409', '413', '415'}
    assert answers['delete', '/books/{id}'] == {'204', '404', '409'}


def test_summaries_are_made_of_the_model(document):
    summaries = {method: operation['summary'] for method, operation in document['paths']['/authors/{id}'].items()}
    assert summaries['get'] == 'Retrieve an author'
    assert document['paths']['/authors']['get']['summary'] == 'List authors'


def test_what_the_database_makes_is_not_asked_for(schemas):
    assert schemas['Book']['properties']['created']['readOnly'] is True
    assert not {'id', 'created', 'updated'} & set(schemas['BookRequest']['properties'])
    assert set(schemas['Book']['required']) == set(schemas['Book']['properties'])
    assert schemas['BookRequest']['required'] == ['author', 'title']


def test_secrets_are_only_written(schemas):
    assert schemas['AccountRequest']['properties']['password']['writeOnly'] is True
    assert not {'password', 'api_key'} & set(schemas['Account']['properties'])


def test_nested_rows_are_described_by_what_is_shown_of_them(schemas):
    author = schemas['DeepBook']['properties']['author']
    assert set(schemas[author['$ref'].rpartition('/')[2]]['properties']) == {'id', 'name'}


def test_columns_that_json_has_no_type_for(schemas):
    sent = schemas['SampleRequest']['properties']
    assert sent['blob']['contentEncoding'] == 'base64'
    assert sent['data']['type'] == ['object', 'array', 'number', 'boolean', 'null']
    assert sent['amount']['type'] == ['string', 'number', 'null']
    assert schemas['Sample']['properties']['amount'] == {'type': ['string', 'null'], 'format': 'decimal'}
    assert sent['period']['maximum'] < 2**63


@pytest.mark.parametrize(('max_digits', 'decimal_places'), [(5, 2), (2, 2), (4, 0), (12, 4)])
@pytest.mark.parametrize('text', TEXTS)
def test_the_pattern_of_a_decimal_is_what_the_column_takes(max_digits, decimal_places, text):
    digits = columns.Digits(max_digits, decimal_places)
    try:
        columns.Decimal(decimal_places=digits.decimal_places, validate=digits).deserialize(text)
        taken = True
    except columns.ValidationError:
        taken = False
    described = digits.json_schema('request')
    assert bool(re.search(described['pattern'], text)) == taken
    assert re.search(described['pattern'], described['examples'][0])
