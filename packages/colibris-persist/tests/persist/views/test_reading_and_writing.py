"""Rows are created, shown, changed and deleted."""

import pytest
from yarl import URL


async def create(client, path, **data):
    resp = await client.post(path, json=data)
    body = await resp.json()
    assert resp.status == 201, body
    return body


@pytest.fixture
async def zola(client):
    return await create(client, '/authors', name='Zola')


@pytest.fixture
async def nana(client, zola):
    tags = [(await create(client, '/tags', name=name))['id'] for name in ('long', 'sad')]
    return await create(
        client,
        '/books',
        title='Nana',
        isbn='123',
        author=zola['id'],
        tags=tags,
        pages=500,
        genre='poetry',
        price='1.50',
    )


async def test_a_new_row_is_shown_and_its_address_told(client, zola):
    resp = await client.post('/books', json={'title': 'Nana', 'author': zola['id']})
    body = await resp.json()
    assert resp.status == 201
    assert resp.headers['Location'] == f'/books/{body["id"]}'
    assert (await (await client.get(resp.headers['Location'])).json()) == body
    assert (body['author'], body['genre'], body['price'], body['tags']) == (zola['id'], 'novel', '9.90', [])


async def test_an_address_is_quoted(client):
    resp = await client.post('/tags', json={'name': 'to be/or?'})
    assert resp.headers['Location'] == '/tags/to%20be%2For%3F'
    assert (await client.get('/deep-books')).status == 200


@pytest.mark.parametrize('path', ['/shelves', '/shelves-by-date'])
async def test_a_new_row_is_at_its_address_whatever_identifies_it(client, path):
    resp = await client.post(path, json={'letter': 'A', 'built': '2026-01-02T03:04:05.000006+02:00'})
    body = await resp.json()
    assert resp.status == 201, body
    address = resp.headers['Location']
    resp = await client.get(URL(address, encoded=True))
    assert (resp.status, await resp.json()) == (200, body)
    assert (await client.get(URL(address.lower(), encoded=True))).status == 404


async def test_a_collection_without_a_view_of_its_members_tells_no_address(client, zola):
    resp = await client.post('/deep-books', json={'title': 'x', 'author_id': zola['id']})
    assert (resp.status, 'Location' in resp.headers) == (201, False)


async def test_patch_changes_what_it_gives(client, nana):
    resp = await client.patch(f'/books/{nana["id"]}', json={'title': 'Nana II', 'pages': None})
    changed = await resp.json()
    assert resp.status == 200
    assert changed == {**nana, 'title': 'Nana II', 'pages': None, 'updated': changed['updated']}
    assert changed['updated'] > nana['updated']
    assert (await (await client.get(f'/books/{nana["id"]}')).json()) == changed


async def test_patch_of_nothing_changes_nothing(client, nana):
    resp = await client.patch(f'/books/{nana["id"]}', json={})
    assert (resp.status, await resp.json()) == (200, nana)


async def test_the_same_patch_twice_is_fine(client, zola):
    for _ in range(2):
        resp = await client.patch(f'/authors/{zola["id"]}', json={'name': 'Émile Zola'})
        assert (resp.status, (await resp.json())['name']) == (200, 'Émile Zola')


async def test_put_replaces_the_row(client, nana):
    resp = await client.put(f'/books/{nana["id"]}', json={'title': 'Nana', 'author': nana['author']})
    changed = await resp.json()
    assert resp.status == 200, changed
    assert {**changed, 'updated': None} == {
        **nana, 'isbn': None, 'pages': None, 'genre': 'novel', 'price': '9.90', 'tags': [], 'updated': None,
    }  # fmt: skip


async def test_put_needs_all_that_a_new_row_needs(client, nana):
    resp = await client.put(f'/books/{nana["id"]}', json={'pages': 3})
    assert resp.status == 400
    assert set((await resp.json())['details']) == {'title', 'author'}


async def test_put_leaves_what_clients_can_only_write(client):
    from bookshop.models import Account

    made = await create(client, '/accounts', username='u', password='p', api_key='k')
    assert set(made) == {'id', 'username'}
    resp = await client.put(f'/accounts/{made["id"]}', json={'username': 'v', 'password': 'q'})
    assert (resp.status, await resp.json()) == (200, {'id': made['id'], 'username': 'v'})
    account = await Account.get(id=made['id'])
    assert (account.password, account.api_key) == ('q', 'k')


async def test_delete_answers_without_a_body(client, zola):
    resp = await client.delete(f'/authors/{zola["id"]}')
    assert (resp.status, await resp.read()) == (204, b'')
    assert (await client.get(f'/authors/{zola["id"]}')).status == 404
    assert (await client.delete(f'/authors/{zola["id"]}')).status == 404


async def test_related_ids_are_replaced(client, nana):
    third = await create(client, '/tags', name='third')
    kept = nana['tags'][0]
    resp = await client.patch(f'/books/{nana["id"]}', json={'tags': [third['id'], kept, kept]})
    assert (resp.status, sorted((await resp.json())['tags'])) == (200, sorted([kept, third['id']]))
    resp = await client.patch(f'/books/{nana["id"]}', json={'tags': []})
    assert (await resp.json())['tags'] == []


async def test_a_natural_key_is_given_once_and_then_stays(client):
    await create(client, '/countries', code='fr', name='France')
    resp = await client.put('/countries/fr', json={'name': 'Francia'})
    assert (resp.status, await resp.json()) == (200, {'code': 'fr', 'name': 'Francia'})
    resp = await client.put('/countries/fr', json={'code': 'fr', 'name': 'France'})
    assert resp.status == 200
    resp = await client.patch('/countries/fr', json={'code': 'de'})
    assert (resp.status, list((await resp.json())['details'])) == (400, ['code'])
    assert (await client.post('/countries', json={'name': 'no code'})).status == 400


async def test_head_answers_as_get_without_the_body(client, zola):
    for path in ('/authors', f'/authors/{zola["id"]}'):
        resp = await client.head(path)
        assert (resp.status, await resp.read()) == (200, b'')


async def test_forms_are_bodies_too(client):
    resp = await client.post('/authors', data={'name': 'Zola'})
    author = await resp.json()
    assert resp.status == 201
    resp = await client.post('/books', data={'title': 'x', 'author': str(author['id']), 'pages': '3', 'price': '1.5'})
    assert (resp.status, (await resp.json())['price']) == (201, '1.50')


async def test_a_schema_that_knows_no_model_serves_as_well(client, zola):
    made = await create(client, '/plain-books', title='Nana', author_id=zola['id'], price='1.5')
    assert made == {
        'id': made['id'], 'title': 'Nana', 'author_id': zola['id'], 'isbn': None, 'pages': None, 'price': '1.50',
        'published': None,
    }  # fmt: skip
    resp = await client.patch(f'/plain-books/{made["id"]}', json={'pages': 7, 'published': '2026-01-01T00:00:00Z'})
    assert (resp.status, (await resp.json())['pages']) == (200, 7)
    resp = await client.put(f'/plain-books/{made["id"]}', json={'title': 'N', 'author_id': zola['id']})
    assert (resp.status, (await resp.json())['pages']) == (200, None)


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('title', 'x' * 101),
        ('title', 'nul \0'),
        ('pages', 2**31),
        ('author_id', 2**31),
        ('price', '1234567.00'),
        ('price', '0.001'),
        ('published', '2026-01-01T00:00:00'),
    ],
)
async def test_what_a_schema_lets_through_and_the_column_does_not_is_refused_by_name(client, zola, field, value):
    resp = await client.post('/plain-books', json={'title': 'x', 'author_id': zola['id'], field: value})
    body = await resp.json()
    assert (resp.status, body['code'], list(body['details'])) == (400, 'schema_error', [field]), body


NO_IDS = ['x', '0', '-1', '+1', '01', '1.0', '1e3', str(10**30), '%00', '%20', 'nan', '%D9%A3', '1%2F2', '%FF']


@pytest.mark.parametrize('method', ['get', 'patch', 'delete'])
async def test_an_id_that_is_none_is_not_found(client, zola, method):
    for identifier in NO_IDS:
        url = URL(f'/authors/{identifier}', encoded=True)
        resp = await client.request(method, url, json={} if method == 'patch' else None)
        assert (resp.status, (await resp.json())['code']) == (404, 'not_found'), identifier


async def test_an_id_that_is_no_uuid_is_not_found(client):
    for identifier in ('x', '%00', 'a3bb189e', '0', 'a3bb189e8bf938889912ace4e6543002'):
        resp = await client.get(URL(f'/accounts/{identifier}', encoded=True))
        assert resp.status == 404, identifier


async def test_an_id_in_letters_is_exact(client):
    await create(client, '/countries', code='fr', name='France')
    assert (await client.get('/countries/fr')).status == 200
    assert (await client.get('/countries/FR')).status == 404
    assert (await client.get('/countries/fr%20')).status == 404
    assert (await client.get('/countries/' + 'f' * 5000)).status == 404


async def test_one_statement_needs_no_transaction(client, nana, transactions):
    await create(client, '/authors', name='Rilke')
    await client.patch(f'/books/{nana["id"]}', json={'title': 'x'})
    await client.get(f'/books/{nana["id"]}')
    await client.get('/books')
    assert not transactions
    await client.patch(f'/books/{nana["id"]}', json={'tags': []})
    assert len(transactions) == 1
