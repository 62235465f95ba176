"""Falcon, with msgspec by hand."""

from typing import Any

import common
import falcon.asgi
import msgspec
import store
import tokens
from falcon.asgi import Request, Response
from structs import Order, Page, UserIn, as_dict, from_object, from_record

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
decode_user = msgspec.json.Decoder(UserIn).decode
shown = from_record if store.AS_RECORDS else from_object


def respond(response: Response, data: Any, status: int = 200) -> None:
    response.data, response.status, response.content_type = encode(data), status, 'application/json'


class HelloResource:
    async def on_get(self, request: Request, response: Response) -> None:
        respond(response, {'hello': 'world'})


class OrdersResource:
    async def on_post(self, request: Request, response: Response) -> None:
        try:
            order = decode_order(await request.stream.read())
        except msgspec.ValidationError as exc:
            respond(response, {'error': str(exc)}, 422)
        else:
            respond(response, order, 201)


class UsersResource:
    async def on_get(self, request: Request, response: Response) -> None:
        page = request.get_param_as_int('page', default=1)
        size = request.get_param_as_int('page_size', default=25)
        rows, count = await store.list_users(size, (page - 1) * size)
        respond(response, Page([shown(row) for row in rows], count, common.pages(count, size), page, size))

    async def on_post(self, request: Request, response: Response) -> None:
        try:
            user = decode_user(await request.stream.read())
        except msgspec.ValidationError as exc:
            respond(response, {'error': str(exc)}, 422)
        else:
            respond(response, shown(await store.create_user(as_dict(user))), 201)


class UserResource:
    async def on_get(self, request: Request, response: Response, id: int) -> None:
        try:
            account = tokens.account_id(request.auth)
        except tokens.Unauthorized:
            return respond(response, {'code': 'unauthorized'}, 401)
        user = await store.get_user(account)
        if user is None:
            return respond(response, {'code': 'unauthorized'}, 401)
        if account != id:
            return respond(response, {'code': 'forbidden'}, 403)
        return respond(response, shown(user))


class Lifespan:
    async def process_startup(self, scope: Any, event: Any) -> None:
        await store.open()

    async def process_shutdown(self, scope: Any, event: Any) -> None:
        await store.close()


app = falcon.asgi.App(middleware=[Lifespan()])
app.add_route('/hello', HelloResource())
app.add_route('/orders', OrdersResource())
app.add_route('/users', UsersResource())
app.add_route('/users/{id:int}', UserResource())
