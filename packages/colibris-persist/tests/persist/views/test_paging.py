"""Lists come in pages."""

import pytest


@pytest.fixture
async def authors(client):
    from bookshop.models import Author

    await Author.bulk_create([Author(name=f'Author {number:03}') for number in range(130)])


async def page(client, path='/authors', **params):
    resp = await client.get(path, params=params)
    assert resp.status == 200, await resp.json()
    return await resp.json()


async def test_a_list_is_answered_in_the_envelope(client, authors):
    body = await page(client)
    assert len(body.pop('results')) == 25
    assert body == {'count': 130, 'pages': 6, 'page': 1, 'page_size': 25}


async def test_pages_follow_one_another(client, authors):
    names = [
        author['name']
        for number in range(1, 4)
        for author in (await page(client, page=number, page_size=50))['results']
    ]
    assert names == [f'Author {number:03}' for number in range(130)]


@pytest.mark.parametrize('number', [7, 1000, 2**31, 10**15])
async def test_a_page_past_the_end_is_empty(client, authors, number):
    body = await page(client, page=number)
    assert (body['results'], body['count'], body['page']) == ([], 130, number)


async def test_a_list_of_nothing_has_no_pages(client):
    assert await page(client) == {'results': [], 'count': 0, 'pages': 0, 'page': 1, 'page_size': 25}


async def test_a_page_may_be_as_large_as_the_cap(client, authors):
    assert len((await page(client, page_size=100))['results']) == 100


async def test_a_view_has_pages_of_its_own_size(client, authors):
    assert len((await page(client, '/deep-authors'))['results']) == 2
    assert len((await page(client, '/deep-authors', page_size=3))['results']) == 3
    assert (await client.get('/deep-authors', params={'page_size': 4})).status == 400


@pytest.mark.parametrize('name', ['page', 'page_size'])
async def test_what_is_no_number_of_pages_is_refused_by_name(client, name):
    for value in ('0', '-1', 'x', str(10**30), '1.5', '', '1 ', 'nan', '9' * 5000):
        resp = await client.get('/authors', params={name: value})
        body = await resp.json()
        assert (resp.status, body['code'], list(body['details'])) == (400, 'schema_error', [name]), value


async def test_a_page_above_the_cap_is_refused_not_cut(client):
    resp = await client.get('/authors', params={'page_size': 101})
    assert (resp.status, list((await resp.json())['details'])) == (400, ['page_size'])


async def test_rows_that_are_equal_in_the_asked_order_keep_their_places(client):
    from bookshop.models import Author, Book

    author = await Author.create(name='Zola')
    await Book.bulk_create([Book(title=f'{number}', author=author, price=1) for number in range(60)])
    titles = []
    for number in range(1, 7):
        titles += [
            each['title']
            for each in (await page(client, '/books', order='price', page=number, page_size=10))['results']
        ]
    assert titles == [str(number) for number in range(60)]
