"""Related objects in answers, without a query for each."""

import pytest


@pytest.fixture
async def shop(client):
    from bookshop.models import Author, Book, Country, Tag

    await Country.create(code='fr', name='France')
    tags = [await Tag.create(name=name) for name in ('a', 'b')]
    for number in range(3):
        author = await Author.create(name=f'author {number}', country_id='fr' if number else None)
        for title in 'xy':
            book = await Book.create(title=title, author=author, translator=author)
            await book.tags.add(*tags)


async def get(client, path):
    resp = await client.get(path)
    assert resp.status == 200, await resp.json()
    return await resp.json()


async def test_a_relation_that_is_declared_as_nested_is_dumped_whole(client, shop):
    [first, *_] = (await get(client, '/deep-books'))['results']
    assert first['author'] == {'id': first['author_id'], 'name': 'author 0'}
    assert [tag['name'] for tag in first['tags']] == ['a', 'b']


async def test_relations_of_relations_are_dumped(client, shop):
    [first, second] = (await get(client, '/deep-authors'))['results']
    assert (first['country'], second['country']) == (None, {'code': 'fr', 'name': 'France'})
    assert [book['title'] for book in second['books']] == ['x', 'y']
    assert [tag['name'] for tag in second['books'][0]['tags']] == ['a', 'b']
    assert second['translations'] == [book['id'] for book in second['books']]


async def test_a_list_costs_as_many_queries_whatever_its_length(client, shop, statements):
    statements.clear()
    await get(client, '/deep-authors?page_size=2')
    two = len(statements)
    statements.clear()
    await get(client, '/deep-authors?page_size=3')
    assert len(statements) == two
    assert two == 1 + len(('country', 'books', 'translations')) + len(('tags',))


@pytest.mark.parametrize('number', [16_385, 40_000])
async def test_more_rows_than_a_statement_takes_values_have_their_relations(client, shop, number):
    from bookshop.models import Book
    from bookshop.schemas import DeepBookSchema

    from colibris.persist import get_connection
    from colibris.persist.plans.reading import reading_of
    from colibris.persist.plans.related import Rows

    rows = Rows(reading_of(DeepBookSchema(only=('id', 'tags')), Book), get_connection())
    last = (await Book.all().order_by('-id').first()).id
    for first in (last, last - number + 1):
        made = await rows.complete([(id,) for id in range(first, first + number)])
        assert [len(row['tags']) for row in made if row['id'] == last] == [2]


async def test_a_new_row_is_shown_with_what_it_relates_to(client, shop):
    from bookshop.models import Author

    author = await Author.get(name='author 1')
    resp = await client.post('/deep-books', json={'title': 'new', 'author_id': author.id})
    body = await resp.json()
    assert (resp.status, body['author'], body['tags']) == (201, {'id': author.id, 'name': 'author 1'}, [])


async def test_what_is_nested_is_not_taken(client, shop):
    resp = await client.post('/deep-books', json={'title': 'new', 'author': {'id': 1}})
    assert (resp.status, set((await resp.json())['details'])) == (400, {'author', 'author_id'})


async def test_a_reference_that_changes_is_shown_anew(client, shop):
    from bookshop.models import Author, Book

    book = await Book.filter(author__name='author 1').first()
    other = await Author.get(name='author 2')
    resp = await client.patch(f'/books/{book.id}', json={'author': other.id, 'title': 'moved'})
    assert (resp.status, (await resp.json())['author']) == (200, other.id)
