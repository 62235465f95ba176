"""Regular expressions: the database's own, and only where a filter asks for them."""

import pytest

from colibris.app import create_app
from colibris.schemas import ModelFilter
from colibris.views import ListCreateModelView, add_view


@pytest.fixture
async def client(bookshop, database, aiohttp_client):
    if database['backend'] == 'sqlite':
        pytest.skip('SQLite has no regular expressions; that it is refused is tested with the declarations')
    from bookshop.models import Tag
    from bookshop.schemas import PlainTagSchema

    class TagFilter(ModelFilter):
        class Meta:
            model = Tag
            fields = {'name': ['regexp', 'like']}  # noqa: RUF012

    class TagsView(ListCreateModelView):
        model = Tag
        body_schema_class = PlainTagSchema
        filter_class = TagFilter

    await Tag.bulk_create([Tag(name=name) for name in ('long', 'Tall', 'short', 'Älter')])
    app = create_app()
    add_view(app.router, '/matched', TagsView)
    return await aiohttp_client(app)


@pytest.mark.parametrize(
    ('pattern', 'expected'),
    [('^l', ['long']), ('^[A-Z]', ['Tall']), ('o', ['long', 'short']), ('^.lter$', ['Älter']), ('x', [])],
)
async def test_a_text_matches_in_the_same_case(client, pattern, expected):
    resp = await client.get('/matched', params={'name__regexp': pattern})
    assert [each['name'] for each in (await resp.json())['results']] == expected


@pytest.mark.parametrize('pattern', ['(', '[', '*', 'a{99999}'])
async def test_what_is_no_regular_expression_is_refused_by_name(client, pattern):
    resp = await client.get('/matched', params={'name__regexp': pattern})
    body = await resp.json()
    assert (resp.status, body['code'], list(body['details'])) == (400, 'schema_error', ['name__regexp'])
