"""What databases refuse is answered, never a fault of the server."""

import pytest

from colibris.persist import writing


async def create(client, path, **data):
    resp = await client.post(path, json=data)
    body = await resp.json()
    assert resp.status == 201, body
    return body


@pytest.fixture
async def zola(client):
    return await create(client, '/authors', name='Zola')


async def test_a_taken_value_is_a_duplicate_by_name(client, zola):
    resp = await client.post('/authors', json={'name': 'Zola'})
    body = await resp.json()
    assert (resp.status, body['code'], list(body['details'])) == (409, 'duplicate', ['name'])
    other = await create(client, '/authors', name='Rilke')
    for method in ('patch', 'put'):
        resp = await client.request(method, f'/authors/{other["id"]}', json={'name': 'Zola'})
        body = await resp.json()
        assert (resp.status, body['code'], list(body['details'])) == (409, 'duplicate', ['name'])


async def test_a_taken_key_is_a_duplicate_by_name(client):
    await create(client, '/countries', code='fr', name='France')
    resp = await client.post('/countries', json={'code': 'fr', 'name': 'x'})
    body = await resp.json()
    assert (resp.status, body['code'], list(body['details'])) == (409, 'duplicate', ['code'])


async def test_a_taken_combination_is_a_duplicate_by_the_names_that_clients_know(client, zola):
    await create(client, '/books', title='Nana', author=zola['id'])
    resp = await client.post('/books', json={'title': 'Nana', 'author': zola['id']})
    body = await resp.json()
    taken = ['this combination is taken']
    assert (resp.status, body['code'], body['details']) == (409, 'duplicate', {'title': taken, 'author': taken}), body


async def test_nulls_are_no_duplicates(client, zola):
    await create(client, '/books', title='a', author=zola['id'], isbn=None)
    await create(client, '/books', title='b', author=zola['id'], isbn=None)


@pytest.mark.parametrize('path', ['/books', '/plain-books'])
async def test_a_reference_to_nothing_is_told_by_name(client, zola, path):
    name = 'author' if path == '/books' else 'author_id'
    resp = await client.post(path, json={'title': 'x', name: zola['id'] + 1})
    body = await resp.json()
    assert (resp.status, body['code'], list(body['details'])) == (400, 'schema_error', [name]), body
    made = await create(client, path, title='x', **{name: zola['id']})
    resp = await client.patch(f'{path}/{made["id"]}', json={name: 2**31 - 1})
    body = await resp.json()
    assert (resp.status, list(body['details'])) == (400, [name])


async def test_of_several_references_that_one_is_told(client, zola):
    resp = await client.post('/books', json={'title': 'x', 'author': zola['id'], 'translator': zola['id'] + 1})
    body = await resp.json()
    assert (resp.status, list(body['details'])) == (400, ['translator'])


async def test_a_natural_key_that_is_none_is_told_by_name(client):
    resp = await client.post('/authors', json={'name': 'x', 'country': 'zz'})
    assert (resp.status, list((await resp.json())['details'])) == (400, ['country'])


async def test_related_ids_that_are_none_are_told_and_nothing_is_written(client, zola):
    tag = await create(client, '/tags', name='long')
    resp = await client.post('/books', json={'title': 'x', 'author': zola['id'], 'tags': [tag['id'], tag['id'] + 7]})
    body = await resp.json()
    assert (resp.status, list(body['details'])) == (400, ['tags'])
    assert str(tag['id'] + 7) in body['details']['tags'][0]
    assert (await (await client.get('/books')).json())['count'] == 0


async def test_related_ids_that_make_no_sense_are_refused(client, zola):
    for tags in (5, 'x', [None], [[]], ['x'], [2**40], {'a': 1}, [True], None):
        resp = await client.post('/books', json={'title': 'x', 'author': zola['id'], 'tags': tags})
        assert (resp.status, list((await resp.json())['details'])) == (400, ['tags']), tags


async def test_deleting_what_is_referenced_is_a_conflict(client, zola):
    await create(client, '/books', title='Nana', author=zola['id'])
    resp = await client.delete(f'/authors/{zola["id"]}')
    assert (resp.status, (await resp.json())['code']) == (409, 'referenced')
    assert (await client.get(f'/authors/{zola["id"]}')).status == 200


async def test_what_the_model_forbids_is_refused_by_name(client, zola):
    resp = await client.post('/books', json={'title': 'x', 'author': zola['id'], 'pages': 0})
    assert (resp.status, list((await resp.json())['details'])) == (400, ['pages'])
    resp = await client.post('/plain-books', json={'title': 'x', 'author_id': zola['id'], 'pages': 0})
    assert (resp.status, list((await resp.json())['details'])) == (400, ['pages'])


@pytest.mark.parametrize('method', ['patch', 'put', 'delete'])
async def test_what_is_deleted_meanwhile_is_not_found(client, zola, monkeypatch, method):
    from bookshop.models import Author
    from bookshop.views import AuthorView

    found = AuthorView.get_object

    async def get_object(self):
        obj = await found(self)
        await Author.filter(id=obj.id).delete()
        return obj

    monkeypatch.setattr(AuthorView, 'get_object', get_object)
    body = None if method == 'delete' else {'name': 'x'}
    resp = await client.request(method, f'/authors/{zola["id"]}', json=body)
    assert (resp.status, (await resp.json())['code']) == (404, 'not_found')


BODIES = [
    ('application/json', b'{', 400),
    ('application/json', b'[]', 400),
    ('application/json', b'null', 400),
    ('application/json', b'"x"', 400),
    ('application/json', b'{"name": NaN}', 400),
    ('application/json', b'\xff\xfe', 400),
    ('application/json', b'{"name": ' + b'[' * 100_000 + b']' * 100_000 + b'}', 400),
    ('text/plain', b'{"name": "x"}', 415),
]


async def test_a_body_that_is_none_is_refused(client, zola):
    member = f'/authors/{zola["id"]}'
    for content_type, body, status in BODIES:
        for method, path in (('post', '/authors'), ('patch', member), ('put', member)):
            resp = await client.request(method, path, data=body, headers={'Content-Type': content_type})
            assert resp.status == status, (method, body[:20])
            assert set(await resp.json()) == {'code', 'message', 'details'}


async def test_a_related_row_that_is_deleted_meanwhile_is_told_by_its_relation(client, zola, database, monkeypatch):
    from bookshop.models import Tag

    tag = await create(client, '/tags', name='old')
    related = writing._related

    async def deleted_meanwhile(*args):
        found = await related(*args)
        await Tag.filter(id=tag['id']).delete()
        return found

    monkeypatch.setattr(writing, '_related', deleted_meanwhile)
    resp = await client.post('/books', json={'title': 'x', 'author': zola['id'], 'tags': [tag['id']]})
    body = await resp.json()
    assert resp.status == 400, body
    if database['backend'] != 'sqlite':  # which does not say; there nobody else can write meanwhile
        assert list(body['details']) == ['tags']
