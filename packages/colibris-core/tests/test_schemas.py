"""What colibris.schemas adds to marshmallow."""

import decimal

import marshmallow
import pytest
from aiohttp import FormData, web

from colibris import schemas
from colibris.requests import load_body
from colibris.schemas import Schema, fields, validate


class Upload(Schema):
    title = fields.String(required=True, validate=validate.Length(max=10))
    file = fields.File(required=True, max_size=10, content_types=['text/plain'])


@pytest.fixture
async def client(aiohttp_client):
    from colibris.middleware.errors import handle_errors_json

    async def handler(request):
        data = await load_body(request, Upload())
        return web.json_response({'name': data['file'].filename, 'content': data['file'].file.read().decode()})

    app = web.Application(middlewares=[handle_errors_json])
    app.router.add_post('/', handler)
    return await aiohttp_client(app)


def form(content, content_type='text/plain'):
    data = FormData()
    data.add_field('title', 'A file')
    data.add_field('file', content, filename='a.txt', content_type=content_type)
    return data


async def test_an_upload_reaches_the_handler(client):
    resp = await client.post('/', data=form(b'content'))
    assert await resp.json() == {'name': 'a.txt', 'content': 'content'}


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (form(b'x' * 11), 'Larger than 10 bytes.'),
        (form(b'x', 'image/png'), 'Must be one of: text/plain.'),
        ({'title': 'x', 'file': 'text'}, 'Not a file.'),
    ],
)
async def test_an_upload_that_does_not_fit_is_refused(client, data, message):
    resp = await client.post('/', data=data)
    assert (resp.status, (await resp.json())['details']) == (400, {'file': [message]})


def test_the_names_of_marshmallow_are_there():
    assert schemas.Schema is marshmallow.Schema or issubclass(schemas.Schema, marshmallow.Schema)
    assert fields.String is marshmallow.fields.String


def test_model_schemas_name_the_package_when_it_is_missing(monkeypatch):
    monkeypatch.setattr('colibris._lazy.find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r'colibris\.schemas\.ModelSchema .* pip install colibris-persist'):
        schemas.ModelSchema  # noqa: B018
    with pytest.raises(AttributeError):
        schemas.Nothing  # noqa: B018


@pytest.mark.parametrize('given', ['1e-8647057500306', '1e10000', '-0.1e-10000', '0e99999'])
def test_a_decimal_that_would_fill_the_memory_is_refused(given):
    with pytest.raises(schemas.ValidationError, match='Not a valid number'):
        fields.Decimal().deserialize(given)


@pytest.mark.parametrize('given', ['1.50', '1e30', '-1e-30', 0])
def test_decimals_of_sensible_size_are_taken(given):
    assert fields.Decimal().deserialize(given) == decimal.Decimal(str(given))
