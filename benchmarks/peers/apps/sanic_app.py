"""Sanic, with msgspec by hand."""

from typing import Any

import common
import msgspec
import store
import tokens
from sanic import Request, Sanic
from sanic.response import HTTPResponse
from structs import Order, Page, UserIn, as_dict, from_object, from_record

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
decode_user = msgspec.json.Decoder(UserIn).decode
shown = from_record if store.AS_RECORDS else from_object

app = Sanic('benchmark', configure_logging=False)
app.config.ACCESS_LOG = False
app.config.MOTD = False
app.before_server_start(store.open)
app.after_server_stop(store.close)


def respond(data: Any, status: int = 200) -> HTTPResponse:
    return HTTPResponse(encode(data), status, content_type='application/json')


@app.get('/hello')
async def hello(request: Request) -> HTTPResponse:
    return respond({'hello': 'world'})


@app.post('/orders')
async def create_order(request: Request) -> HTTPResponse:
    try:
        return respond(decode_order(request.body), 201)
    except msgspec.ValidationError as exc:
        return respond({'error': str(exc)}, 422)


@app.get('/users')
async def list_users(request: Request) -> HTTPResponse:
    page, size = int(request.args.get('page', 1)), int(request.args.get('page_size', 25))
    rows, count = await store.list_users(size, (page - 1) * size)
    return respond(Page([shown(row) for row in rows], count, common.pages(count, size), page, size))


@app.get('/users/<id:int>')
async def get_user(request: Request, id: int) -> HTTPResponse:
    try:
        account = tokens.account_id(request.headers.get('authorization'))
    except tokens.Unauthorized:
        return respond({'code': 'unauthorized'}, 401)
    user = await store.get_user(account)
    if user is None:
        return respond({'code': 'unauthorized'}, 401)
    if account != id:
        return respond({'code': 'forbidden'}, 403)
    return respond(shown(user))


@app.post('/users')
async def create_user(request: Request) -> HTTPResponse:
    try:
        user = decode_user(request.body)
    except msgspec.ValidationError as exc:
        return respond({'error': str(exc)}, 422)
    return respond(shown(await store.create_user(as_dict(user))), 201)


if __name__ == '__main__':
    app.run(host=common.HOST, port=common.PORT, single_process=True, access_log=False, motd=False, debug=False)
