async def test_smoke(client):
    resp = await client.post('/authors', json={'name': 'Zola'})
    body = await resp.json()
    assert resp.status == 201, body
    assert resp.headers['Location'] == f'/authors/{body["id"]}'
    resp = await client.post('/books', json={'title': 'Nana', 'author': body['id']})
    assert resp.status == 201, await resp.json()
    print(await resp.json())
    resp = await client.get('/books')
    print(await resp.json())
    assert resp.status == 200
