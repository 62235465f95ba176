"""The helpers for assertions say what is wrong, and pass what is right."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from colibris import api
from colibris.test import utils

ENVELOPE = {'results': [1, 2], 'count': 5, 'pages': 3, 'page': 2, 'page_size': 2}


def envelope(**changes):
    return {**ENVELOPE, **changes}


def test_envelope_of_the_api_is_accepted():
    for count in (0, 1, 2, 5):
        on_page = list(range(min(2, count)))
        j = api.list_envelope(on_page, count=count, page=1, page_size=2)
        utils.assert_is_envelope(j, count=count)


def test_page_past_the_end_is_accepted_when_empty():
    utils.assert_is_envelope(envelope(page=4, results=[]), count=5, pages=3, page=4, page_size=2)


@pytest.mark.parametrize(
    ('j', 'message'),
    [
        ([], 'not the list envelope (an object) but list'),
        ({'results': []}, 'missing: count, pages, page, page_size'),
        (envelope(next=None), 'extra: next'),
        (envelope(results={}), '"results" is not a list but dict'),
        (envelope(count='5'), '"count" is not a whole number: \'5\''),
        (envelope(page=True), '"page" is not a whole number'),
        (envelope(page=0), 'begin at 1'),
        (envelope(pages=2), '"pages" is 2, but 5 results on pages of 2 are 3'),
        (envelope(results=[1]), '"results" has 1 members, but page 2 of 5 results, 2 a page, has 2'),
    ],
)
def test_what_is_no_envelope_is_named(j, message):
    with pytest.raises(AssertionError) as caught:
        utils.assert_is_envelope(j)
    assert message in str(caught.value)


@pytest.mark.parametrize('name', ['count', 'pages', 'page', 'page_size'])
def test_an_expected_number_is_compared(name):
    utils.assert_is_envelope(ENVELOPE, **{name: ENVELOPE[name]})
    with pytest.raises(AssertionError, match=f'"{name}" is {ENVELOPE[name]}, expected 99'):
        utils.assert_is_envelope(ENVELOPE, **{name: 99})


def test_a_forgotten_await_is_named():
    async def body():
        return ENVELOPE

    with pytest.raises(AssertionError, match='a coroutine: await it first'):
        utils.assert_is_envelope(body())


def test_a_long_answer_is_cut_in_the_message():
    with pytest.raises(AssertionError) as caught:
        utils.assert_is_envelope(envelope(results=['x' * 10_000]))
    assert len(str(caught.value)) < 3000


def test_error_envelope_of_the_api_is_accepted():
    error = api.error_response(api.NotFound('no such item', details={'id': 7}))
    j = api.decode_json(error.body)
    utils.assert_is_error(j)
    utils.assert_is_error(j, 'not_found', message='no such', details={'id': 7})


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'code': 'conflict'}, "\"code\" is 'not_found', expected 'conflict'"),
        ({'message': 'other'}, "does not contain 'other'"),
        ({'details': None}, '"details" is {\'id\': 7}, expected None'),
    ],
)
def test_what_differs_from_the_expected_error_is_named(arguments, message):
    with pytest.raises(AssertionError) as caught:
        utils.assert_is_error({'code': 'not_found', 'message': 'no such item', 'details': {'id': 7}}, **arguments)
    assert message in str(caught.value)


def test_a_list_envelope_is_no_error():
    with pytest.raises(AssertionError, match='not the error envelope'):
        utils.assert_is_error(ENVELOPE)


async def test_read_json_shows_the_body_of_an_unexpected_answer():
    async def handler(request):
        return api.error_response(api.Conflict('taken'))

    app = web.Application()
    app.router.add_get('/x', handler)
    async with TestClient(TestServer(app)) as client:
        assert (await utils.read_json(await client.get('/x'), 409))['code'] == 'conflict'
        with pytest.raises(AssertionError, match=r'GET /x\?a=1 answered 409, expected 200: .*taken'):
            await utils.read_json(await client.get('/x?a=1'))
