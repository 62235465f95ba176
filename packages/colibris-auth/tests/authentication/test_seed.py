"""The examples of Colibris 0.8, on each database."""

from colibris.authentication import create_api_key, create_token

JWT = {
    'backend': 'colibris.authentication.jwt.JWTBackend',
    'model': 'shop.models.User',
    'identity_claim': 'sub',
    'identity_field': 'username',
    'secret_field': 'password',
    'cookie_name': 'auth_token',
    'cookie_domain': 'example.com',
    'validity_seconds': 3600 * 24 * 30,
}
API_KEY = {
    'backend': 'colibris.authentication.apikey.APIKeyBackend',
    'model': 'shop.models.User',
    'key_field': 'secret',
}


async def test_jwt(serve, database):
    client = await serve(database, AUTHENTICATION=JWT)
    from shop.models import User

    user = await User.create(username='ann', password='$argon2id$one')
    token = create_token(user)
    for headers in ({'Authorization': f'Bearer {token}'}, {'Cookie': f'auth_token={token}'}):
        async with client.get('/me', headers=headers) as response:
            assert (response.status, await response.json()) == (200, {'account': 'ann'})
    user.password = '$argon2id$another'
    await user.save()
    async with client.get('/me', headers={'Authorization': f'Bearer {token}'}) as response:
        assert response.status == 401


async def test_api_key(serve, database):
    client = await serve(database, AUTHENTICATION=API_KEY)
    from shop.models import User

    user = await User.create(username='ann')
    key = await create_api_key(user)
    assert (await User.get(username='ann')).secret.startswith('sha256$')
    for headers in ({'X-API-Key': key}, {'Authorization': f'Bearer {key}'}, {'Authorization': f'ApiKey {key}'}):
        async with client.get('/me', headers=headers) as response:
            assert (response.status, await response.json()) == (200, {'account': 'ann'})
    async with client.get('/me') as response:
        assert response.status == 401
        assert response.headers['WWW-Authenticate'] == 'Bearer'
