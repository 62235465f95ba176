"""What projects override: which rows there are, and how they are written."""

import pytest


@pytest.fixture
async def authors(client):
    from bookshop.models import Author, Country
    from bookshop.views import PrintedBooksView

    PrintedBooksView.committed.clear()
    await Country.create(code='fr', name='France')
    return await Author.create(name='Zola', country_id='fr'), await Author.create(name='Rilke')


async def test_rows_that_the_view_does_not_know_do_not_exist_for_any_method(client, authors):
    from bookshop.models import Book

    hidden = await Book.create(title='hidden', author=authors[0], in_print=False)
    assert (await (await client.get('/printed')).json())['count'] == 0
    for method in ('get', 'patch', 'put', 'delete'):
        body = None if method in ('get', 'delete') else {'title': 'x', 'author': authors[0].id}
        assert (await client.request(method, f'/printed/{hidden.id}', json=body)).status == 404


async def test_a_body_cannot_refer_to_rows_that_the_view_hides(client, authors):
    resp = await client.post('/printed', json={'title': 'x', 'author': authors[1].id})
    assert (resp.status, list((await resp.json())['details'])) == (400, ['author'])
    resp = await client.post('/printed', json={'title': 'x', 'author': authors[0].id})
    assert resp.status == 201


async def test_a_hook_of_ones_own_runs_in_one_transaction(client, authors):
    from bookshop.models import Book, Tag
    from bookshop.views import PrintedBooksView

    resp = await client.post('/printed', json={'title': 'one', 'author': authors[0].id})
    assert (resp.status, PrintedBooksView.committed, await Tag.all().count()) == (201, ['one'], 1)
    resp = await client.post('/printed', json={'title': 'two', 'author': authors[0].id, 'isbn': '1'})
    resp = await client.post('/printed', json={'title': 'three', 'author': authors[0].id, 'isbn': '1'})
    assert (resp.status, list((await resp.json())['details'])) == (409, ['isbn'])
    assert PrintedBooksView.committed == ['one', 'two']
    assert {tag.name for tag in await Tag.all()} == {'one', 'two'}
    assert await Book.all().count() == 2


async def test_a_change_goes_through_the_hook(client, authors):
    from bookshop.models import Book

    book = await Book.create(title='quiet', author=authors[0])
    resp = await client.patch(f'/printed/{book.id}', json={'title': 'loud'})
    assert (await resp.json())['title'] == 'LOUD'


async def test_a_deletion_goes_through_the_hook(client, authors):
    from bookshop.models import Book

    book = await Book.create(title='x', author=authors[0])
    assert (await client.delete(f'/printed/{book.id}')).status == 204
    assert not (await Book.get(id=book.id)).in_print
    assert (await client.get(f'/printed/{book.id}')).status == 404


async def test_a_query_that_joins_many_rows_means_each_of_its_own_once(client):
    from bookshop.models import Author, Book, Tag

    zola = await Author.create(name='Zola')
    tags = [await Tag.create(name=name) for name in ('long', 'sad')]
    nana, germinal, _ = [await Book.create(title=title, author=zola) for title in ('Nana', 'Germinal', 'Untagged')]
    for book in (nana, germinal):
        await book.tags.add(*tags)
    resp = await client.get('/tagged', params={'order': 'author__name,title', 'page_size': '1'})
    page = await resp.json()
    assert (resp.status, page.get('count')) == (200, 2), page
    assert [book['title'] for book in page['results']] == ['Germinal']
    address = f'/tagged/{nana.id}'
    resp = await client.get(address)
    assert (resp.status, (await resp.json()).get('title')) == (200, 'Nana')
    resp = await client.patch(address, json={'title': 'Nana again'})
    assert (resp.status, (await resp.json()).get('title')) == (200, 'Nana again')
    assert (await client.delete(address)).status == 204
