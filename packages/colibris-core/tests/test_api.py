"""The envelopes, the tree of errors, and JSON in and out."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

import pytest
from aiohttp import web

from colibris import api


def test_each_error_answers_with_its_status_and_code():
    for error in (api.ParseError, api.Unauthenticated, api.Duplicate, api.ServiceUnavailable):
        response = api.error_response(error('why', details={'field': ['wrong']}))
        assert response.status == error.status
        assert json.loads(response.body) == {
            'code': error.default_code,
            'message': 'why',
            'details': {'field': ['wrong']},
        }


def test_headers_of_an_error_reach_the_response():
    assert api.error_response(api.Unauthenticated(headers={'WWW-Authenticate': 'Bearer'})).headers['WWW-Authenticate']


@pytest.mark.parametrize(
    ('error', 'code'),
    [
        (web.HTTPNotFound(), 'not_found'),
        (web.HTTPConflict(), 'conflict'),
        (web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2), 'payload_too_large'),
        (web.HTTPTooManyRequests(), 'too_many_requests'),
        (web.HTTPGone(), 'gone'),
        (web.HTTPInternalServerError(), 'server_error'),
    ],
)
def test_errors_of_aiohttp_are_translated(error, code):
    translated = api.from_http_exception(error)
    assert (translated.code, api.error_response(translated).status) == (code, error.status)


def test_the_headers_of_aiohttps_error_stay_but_those_of_its_body():
    error = web.HTTPMethodNotAllowed('PUT', ['GET', 'POST'])
    headers = api.from_http_exception(error).headers
    assert headers['Allow'] == 'GET,POST'
    assert 'Content-Type' not in headers


def test_the_text_of_an_error_of_aiohttp_is_its_message():
    assert api.from_http_exception(web.HTTPNotFound(text='no such thing')).message == 'no such thing'


def test_json_carries_what_services_answer_with():
    data = {
        'decimal': Decimal('1.50'),
        'when': datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        'id': UUID(int=1),
        'mapping': MappingProxyType({'a': 1}),
    }
    assert json.loads(api.encode_json(data)) == {
        'decimal': '1.50',
        'when': '2026-01-02T03:04:05Z',
        'id': '00000000-0000-0000-0000-000000000001',
        'mapping': {'a': 1},
    }


def test_what_json_cannot_carry_is_named():
    with pytest.raises(TypeError, match='object cannot be encoded'):
        api.encode_json({'a': object()})


@pytest.mark.parametrize('data', [b'', b'{', b'[NaN]', b'"\xff"', b'"\\ud800"', b'1e400', b'[' * 100_000, b'1' * 5_000])
def test_what_is_no_json_is_a_parse_error(data):
    with pytest.raises(api.ParseError):
        api.decode_json(data)


def test_of_duplicate_keys_the_last_wins():
    assert api.decode_json(b'{"a": 1, "a": 2}') == {'a': 2}


def test_what_is_wrong_with_json_is_told_as_a_sentence():
    with pytest.raises(api.ParseError) as caught:
        api.decode_json(b'{"a": Infinity}')
    assert caught.value.message == 'the body is not valid JSON: invalid character (byte 6)'


@pytest.mark.parametrize(('count', 'pages'), [(None, None), (0, 0), (1, 1), (25, 1), (26, 2)])
def test_the_list_envelope_counts_pages(count, pages):
    envelope = api.list_envelope([], count=count, page=1, page_size=25)
    assert envelope == {'results': [], 'count': count, 'pages': pages, 'page': 1, 'page_size': 25}
