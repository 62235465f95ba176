"""What a careful engineer writes by hand: aiohttp on uvloop, msgspec, statements of asyncpg that are prepared once.

Each request takes one round trip to the database, and no reset query.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import common
import msgspec
import tokens
import uvloop
from aiohttp import web
from store_asyncpg import COLUMNS
from structs import Order, UserIn

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode
decode_user = msgspec.json.Decoder(UserIn).decode

_LIST = f'SELECT (SELECT count(*) FROM users), {COLUMNS} FROM users ORDER BY id LIMIT $1 OFFSET $2'
_GET = f'SELECT {COLUMNS} FROM users WHERE id = $1'
_CREATE = (
    'INSERT INTO users (name, email, role, is_active, score, created_at) '
    f'VALUES ($1, $2, $3, $4, $5, now()) RETURNING {COLUMNS}'
)


class Statements:
    """The prepared statements of one connection."""

    def __init__(self, connection: Any, listing: Any, getting: Any, creating: Any) -> None:
        self.connection, self.list, self.get, self.create = connection, listing, getting, creating


class Pool:
    """Connections with their prepared statements, each lent to one request at a time."""

    def __init__(self) -> None:
        self._all: list[Statements] = []
        self._free: deque[Statements] = deque()
        self._waiting: deque[asyncio.Future[Statements]] = deque()

    async def open(self) -> None:
        for _ in range(common.POOL):
            connection = await asyncpg.connect(**common.POSTGRESQL)
            prepared = [await connection.prepare(sql) for sql in (_LIST, _GET, _CREATE)]
            self._all.append(Statements(connection, *prepared))
        self._free.extend(self._all)

    async def close(self) -> None:
        for statements in self._all:
            await statements.connection.close()

    async def take(self) -> Statements:
        if self._free:
            return self._free.pop()
        future: asyncio.Future[Statements] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return await future

    def put(self, statements: Statements) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(statements)
                return
        self._free.append(statements)


pool = Pool()


def respond(data: object, status: int = 200) -> web.Response:
    return web.Response(body=encode(data), status=status, content_type='application/json')


def as_dict(row: Any, first: int = 0) -> dict[str, Any]:
    return {
        'id': row[first],
        'name': row[first + 1],
        'email': row[first + 2],
        'role': row[first + 3],
        'is_active': row[first + 4],
        'created_at': row[first + 5],
        'score': row[first + 6],
    }


async def hello(request: web.Request) -> web.Response:
    return respond({'hello': 'world'})


async def create_order(request: web.Request) -> web.Response:
    try:
        return respond(decode_order(await request.read()), 201)
    except msgspec.ValidationError as exc:
        return respond({'code': 'invalid', 'details': str(exc)}, 422)


async def list_users(request: web.Request) -> web.Response:
    page, size = int(request.query.get('page', 1)), int(request.query.get('page_size', 25))
    statements = await pool.take()
    try:
        rows = await statements.list.fetch(size, (page - 1) * size)
    finally:
        pool.put(statements)
    count = rows[0][0] if rows else 0
    results = [as_dict(row, 1) for row in rows]
    return respond(
        {'results': results, 'count': count, 'pages': common.pages(count, size), 'page': page, 'page_size': size}
    )


async def get_user(request: web.Request) -> web.Response:
    try:
        account = tokens.account_id(request.headers.get('Authorization'))
    except tokens.Unauthorized:
        return respond({'code': 'unauthorized'}, 401)
    statements = await pool.take()
    try:
        row = await statements.get.fetchrow(account)
    finally:
        pool.put(statements)
    if row is None:
        return respond({'code': 'unauthorized'}, 401)
    if row[0] != int(request.match_info['id']):
        return respond({'code': 'forbidden'}, 403)
    return respond(as_dict(row))


async def create_user(request: web.Request) -> web.Response:
    try:
        user = decode_user(await request.read())
    except msgspec.ValidationError as exc:
        return respond({'code': 'invalid', 'details': str(exc)}, 422)
    statements = await pool.take()
    try:
        row = await statements.create.fetchrow(user.name, user.email, user.role, user.is_active, user.score)
    finally:
        pool.put(statements)
    return respond(as_dict(row), 201)


async def _database(app: web.Application) -> AsyncIterator[None]:
    await pool.open()
    yield
    await pool.close()


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get('/hello', hello, allow_head=False)
    app.router.add_post('/orders', create_order)
    app.router.add_get('/users', list_users, allow_head=False)
    app.router.add_post('/users', create_user)
    app.router.add_get('/users/{id}', get_user, allow_head=False)
    app.cleanup_ctx.append(_database)
    return app


if __name__ == '__main__':
    web.run_app(
        make_app(), host=common.HOST, port=common.PORT, access_log=None, print=None, loop=uvloop.new_event_loop()
    )
