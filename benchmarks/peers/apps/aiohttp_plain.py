"""aiohttp, marshmallow and Tortoise in the plain way: what Colibris is made of, put together by their manuals.

With ``BENCHMARK_UVLOOP`` set, on uvloop and with orjson.
"""

import json
import os
from collections.abc import AsyncIterator
from typing import Any

import common
import tokens
from aiohttp import web
from marshmallow import Schema, ValidationError, fields, validate
from tortoise import Tortoise
from tortoise_models import CONFIG, User

USE_UVLOOP = 'BENCHMARK_UVLOOP' in os.environ

if USE_UVLOOP:
    import orjson

    loads = orjson.loads

    def respond(data: Any, status: int = 200) -> web.Response:
        body = orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
        return web.Response(body=body, status=status, content_type='application/json')
else:
    loads = json.loads
    respond = web.json_response


class CustomerSchema(Schema):
    email = fields.Email(required=True)
    name = fields.String(required=True, validate=validate.Length(1, 100))


class ItemSchema(Schema):
    sku = fields.String(required=True, validate=validate.Length(max=32))
    quantity = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
    unit_price = fields.Decimal(required=True, as_string=True)


class OrderSchema(Schema):
    customer = fields.Nested(CustomerSchema, required=True)
    items = fields.List(fields.Nested(ItemSchema), required=True)
    created_at = fields.DateTime(required=True)
    tags = fields.List(fields.String(), required=True)


class UserSchema(Schema):
    id = fields.Integer(dump_only=True)
    name = fields.String(required=True, validate=validate.Length(1, 100))
    email = fields.Email(required=True, validate=validate.Length(max=200))
    role = fields.String(required=True, validate=validate.Length(max=20))
    is_active = fields.Boolean(load_default=True)
    created_at = fields.DateTime(dump_only=True)
    score = fields.Float(load_default=0.0)


order_schema, user_schema, users_schema = OrderSchema(), UserSchema(), UserSchema(many=True)
routes = web.RouteTableDef()


@web.middleware
async def errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValidationError as exc:
        return respond({'code': 'invalid', 'details': exc.messages}, status=422)
    except tokens.Unauthorized:
        return respond({'code': 'unauthorized'}, status=401)


@routes.get('/hello')
async def hello(request: web.Request) -> web.Response:
    return respond({'hello': 'world'})


@routes.post('/orders')
async def create_order(request: web.Request) -> web.Response:
    order = order_schema.load(await request.json(loads=loads))
    return respond(order_schema.dump(order), status=201)


@routes.get('/users')
async def list_users(request: web.Request) -> web.Response:
    page, size = int(request.query.get('page', 1)), int(request.query.get('page_size', 25))
    query = User.all()
    count = await query.count()
    rows = await query.order_by('id').limit(size).offset((page - 1) * size)
    results = users_schema.dump(rows)
    return respond(
        {'results': results, 'count': count, 'pages': common.pages(count, size), 'page': page, 'page_size': size}
    )


@routes.get('/users/{id}')
async def get_user(request: web.Request) -> web.Response:
    user = await User.get_or_none(id=tokens.account_id(request.headers.get('Authorization')))
    if user is None:
        raise tokens.Unauthorized
    if user.id != int(request.match_info['id']):
        return respond({'code': 'forbidden'}, status=403)
    return respond(user_schema.dump(user))


@routes.post('/users')
async def create_user(request: web.Request) -> web.Response:
    data = user_schema.load(await request.json(loads=loads))
    return respond(user_schema.dump(await User.create(**data)), status=201)


async def _database(app: web.Application) -> AsyncIterator[None]:
    await Tortoise.init(config=CONFIG, _enable_global_fallback=True)
    yield
    await Tortoise.close_connections()


def main() -> None:
    app = web.Application(middlewares=[errors])
    app.add_routes(routes)
    app.cleanup_ctx.append(_database)
    options: dict[str, Any] = {}
    if USE_UVLOOP:
        import uvloop

        options['loop'] = uvloop.new_event_loop()
    web.run_app(app, host=common.HOST, port=common.PORT, access_log=None, print=None, **options)


if __name__ == '__main__':
    main()
