"""How a list learns how many results it has."""

import pytest

from colibris.endpoints import endpoints
from colibris.openapi.document import build_document
from colibris.persist import get_connection
from colibris.test.utils import assert_queries


@pytest.fixture
async def books(client):
    from bookshop.models import Author, Book

    author = await Author.create(name='author')
    await Book.bulk_create([Book(title=f'{number:02}', author=author) for number in range(30)])


async def page(client, path):
    resp = await client.get(path)
    assert resp.status == 200, await resp.json()
    body = await resp.json()
    return [book['title'] for book in body.pop('results')], body


async def analyze():
    connection = get_connection()
    statement = {'postgres': 'ANALYZE "book"', 'mysql': 'ANALYZE TABLE book'}.get(connection.capabilities.dialect)
    if statement is not None:
        await connection.execute_query(statement)


@pytest.mark.parametrize('path', ['/uncounted', '/shouting'])
async def test_a_view_that_does_not_count_says_null(client, books, path):
    titles, rest = await page(client, f'{path}?page=2&page_size=20')
    assert titles == [f'{number:02}' for number in range(20, 30)]
    assert rest == {'count': None, 'pages': None, 'page': 2, 'page_size': 20}


async def test_without_a_count_nothing_is_counted(client, books, statements):
    await page(client, '/uncounted')
    assert not any('COUNT' in statement.upper() for statement in statements)


@pytest.mark.parametrize('path', ['/uncounted', '/shouting'])
async def test_a_page_past_the_end_of_what_nobody_counts_is_empty(client, books, path):
    assert await page(client, f'{path}?page=9') == ([], {'count': None, 'pages': None, 'page': 9, 'page_size': 25})


@pytest.mark.parametrize('path', ['/estimated', '/estimated-shouting'])
async def test_an_estimate_is_about_right(client, books, path):
    await analyze()
    titles, rest = await page(client, f'{path}?page_size=10')
    assert len(titles) == 10
    assert rest['count'] == pytest.approx(30, abs=10)


@pytest.mark.parametrize('path', ['/estimated', '/estimated-shouting'])
async def test_no_estimate_is_below_what_a_page_shows(client, books, path):
    await analyze()
    from bookshop.models import Author, Book

    author = await Author.get(name='author')
    await Book.bulk_create([Book(title=f'more {number:02}', author=author) for number in range(60)])
    titles, rest = await page(client, f'{path}?page=4&page_size=20')
    assert len(titles) == 20
    assert rest['count'] >= 80


@pytest.mark.parametrize('path', ['/estimated', '/estimated-shouting'])
async def test_the_last_page_tells_exactly(client, books, path):
    assert (await page(client, f'{path}?page=2'))[1]['count'] == 30


@pytest.mark.parametrize('path', ['/estimated', '/estimated-shouting'])
async def test_a_page_past_the_end_is_counted(client, books, path):
    assert await page(client, f'{path}?page=9') == ([], {'count': 30, 'pages': 2, 'page': 9, 'page_size': 25})


async def test_what_is_filtered_is_counted(client, books):
    await analyze()
    assert (await page(client, '/estimated?title__gt=19&page_size=5'))[1]['count'] == 10


async def test_a_page_and_the_count_are_one_statement(client, books):
    async with assert_queries(1):
        await client.get('/plain-books?page=2')
    async with assert_queries(2):  # no row can carry the count
        await client.get('/plain-books?page=77')


async def test_the_documentation_tells_that_the_count_is_null(client):
    document = build_document(endpoints(client.app))
    content = document['paths']['/uncounted']['get']['responses']['200']['content']['application/json']
    name = content['schema']['$ref'].rpartition('/')[2]
    properties = document['components']['schemas'][name]['properties']
    assert (properties['count']['type'], properties['pages']['type']) == ('null', 'null')
