"""How deep JSON may be nested."""

import json
import time

import pytest

from colibris.app import create_app
from colibris.requests import is_too_deep

ROUTES = """
    from aiohttp import web
    from colibris.schemas import Schema, fields
    from colibris.views import APIView

    class AnySchema(Schema):
        value = fields.Raw()

    class CheckedView(APIView):
        body_schema_class = AnySchema

        async def post(self):
            await self.get_validated_body()
            return {'good': True}

    async def plain(request):
        await request.json()
        return {'good': True}

    ROUTES = [('/checked', CheckedView), web.post('/plain', plain)]
"""


@pytest.mark.parametrize(
    ('body', 'depth'),
    [
        (b'1', 0),
        (b'{}', 1),
        (b'[[], [], [[]]]', 3),
        (b'{"a": {"b": [1, {"c": 2}]}}', 4),
        (b'["[[[[[[[[", "]]]", "\\"[[[", "\\\\"]', 1),
        (b'[[[[', 4),
        (b']]]]', 0),
    ],
)
def test_depth_is_counted_as_a_parser_would(body, depth):
    assert not is_too_deep(body, depth)
    assert depth == 0 or is_too_deep(body, depth - 1)


def test_wide_documents_are_not_deep():
    assert not is_too_deep(json.dumps([{'a': [1]}] * 10_000).encode(), 5)


@pytest.mark.parametrize(
    'body',
    [
        b'[' * 2_000_000,
        b'[' * 1_000_000 + b']' * 1_000_000,
        b'[' * 501 + b'"' * 1_000_001,
        b'["\\' * 500_000,
        b'[' * 501 + b'"' + b'\\"' * 500_000,
        b'[' * 501 + b'"' + b'\\"' * 500_000 + b'\\',
    ],
    ids=range(6),
)
def test_no_document_takes_long(body):
    began = time.thread_time()
    is_too_deep(body, 100)
    assert time.thread_time() - began < 2


@pytest.mark.parametrize('path', ['/checked', '/plain'])
async def test_what_is_nested_too_deeply_is_refused(project, aiohttp_client, path):
    project(routes=ROUTES)
    client = await aiohttp_client(create_app())
    for deep in ('[' * 100_000 + ']' * 100_000, '{"value": ' * 100_000 + '1' + '}' * 100_000):
        resp = await client.post(path, data=f'{{"value": {deep}}}', headers={'Content-Type': 'application/json'})
        assert (resp.status, (await resp.json())['code']) == (400, 'parse_error')
    assert (await client.post(path, json={'value': [[[1]]]})).status == 200


async def test_the_setting_says_how_deep(project, aiohttp_client):
    project(settings='MAX_JSON_DEPTH = 3', routes=ROUTES)
    client = await aiohttp_client(create_app())
    assert (await client.post('/checked', json={'value': [[1]]})).status == 200
    resp = await client.post('/checked', json={'value': [[[1]]]})
    assert (resp.status, (await resp.json())['message']) == (
        400,
        'the body is not accepted: it is nested deeper than 3 levels',
    )
