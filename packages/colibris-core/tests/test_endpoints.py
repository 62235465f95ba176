"""What an endpoint makes of an answer."""

import datetime
import decimal

import pytest
from aiohttp import web
from marshmallow import Schema, fields

from colibris.api import Encoded, encode_json
from colibris.endpoints import Endpoint


class ItemSchema(Schema):
    name = fields.String()
    price = fields.Decimal(as_string=True)
    day = fields.Date()


ITEM = {'name': 'é', 'price': decimal.Decimal('1.50'), 'day': datetime.date(2026, 1, 2), 'secret': 1}
DUMPED = {'name': 'é', 'price': '1.50', 'day': '2026-01-02'}


async def function(request):
    return None


def endpoint(**options):
    return Endpoint('GET', '/items', function, **options)


def test_a_response_is_answered_as_it_is():
    response = web.StreamResponse()
    assert endpoint().respond(response) is response


def test_data_becomes_json_by_the_response_schema():
    response = endpoint(response_schema=ItemSchema(), status=201).respond(ITEM)
    assert (response.status, response.content_type, response.body) == (201, 'application/json', encode_json(DUMPED))


@pytest.mark.parametrize('several', [[ITEM, ITEM], (ITEM, ITEM), []])
def test_several_objects_become_a_list(several):
    assert endpoint(response_schema=ItemSchema()).encode(several) == encode_json([DUMPED] * len(several))


def test_data_of_a_view_without_a_schema_is_encoded():
    assert endpoint().encode(ITEM) == encode_json(ITEM)
    assert endpoint().encode('text') == b'"text"'


@pytest.mark.parametrize('count', [0, 1, 100])
def test_the_list_envelope_keeps_its_order_around_the_dumped_results(count):
    envelope = {'page': 1, 'results': [ITEM] * count, 'count': count, 'extra': decimal.Decimal(1)}
    expected = {**envelope, 'results': [DUMPED] * count}
    assert endpoint(response_schema=ItemSchema(), is_list=True).encode(envelope) == encode_json(expected)


def test_encoded_json_is_sent_as_it_is():
    answer = Encoded(b'{"a" : 1}')
    for options in ({}, {'response_schema': ItemSchema()}, {'response_schema': ItemSchema(), 'is_list': True}):
        response = endpoint(**options, status=201).respond(answer)
        assert (response.status, response.content_type, response.body) == (201, 'application/json', b'{"a" : 1}')


def test_none_is_an_answer_only_where_there_is_none():
    assert endpoint(status=204).respond(None).status == 204
    with pytest.raises(TypeError, match=r'test_endpoints\.function returned None for GET /items'):
        endpoint().respond(None)
