"""BlackSheep, with msgspec by hand: faster than its own binding of bodies."""

from typing import Any

import common
import msgspec
import store
import tokens
from blacksheep import Application, Content, Request, Response, get, post
from structs import Order, Page, UserIn, as_dict, from_object, from_record

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
decode_user = msgspec.json.Decoder(UserIn).decode
shown = from_record if store.AS_RECORDS else from_object

app = Application(show_error_details=False)
app.on_start += store.open
app.on_stop += store.close


def respond(data: Any, status: int = 200) -> Response:
    return Response(status, None, Content(b'application/json', encode(data)))


@get('/hello')
async def hello() -> Response:
    return respond({'hello': 'world'})


@post('/orders')
async def create_order(request: Request) -> Response:
    try:
        return respond(decode_order(await request.read()), 201)
    except msgspec.ValidationError as exc:
        return respond({'error': str(exc)}, 422)


@get('/users')
async def list_users(page: int = 1, page_size: int = 25) -> Response:
    rows, count = await store.list_users(page_size, (page - 1) * page_size)
    return respond(Page([shown(row) for row in rows], count, common.pages(count, page_size), page, page_size))


@get('/users/{id}')
async def get_user(request: Request, id: int) -> Response:
    header = request.get_first_header(b'authorization')
    try:
        account = tokens.account_id(header and header.decode())
    except tokens.Unauthorized:
        return respond({'code': 'unauthorized'}, 401)
    user = await store.get_user(account)
    if user is None:
        return respond({'code': 'unauthorized'}, 401)
    if account != id:
        return respond({'code': 'forbidden'}, 403)
    return respond(shown(user))


@post('/users')
async def create_user(request: Request) -> Response:
    try:
        user = decode_user(await request.read())
    except msgspec.ValidationError as exc:
        return respond({'error': str(exc)}, 422)
    return respond(shown(await store.create_user(as_dict(user))), 201)
