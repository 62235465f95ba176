"""The libraries that the service runs on, without Colibris: imported, and one route served by aiohttp."""

import os
import sys

import aiohttp
import click
import dotenv
import marshmallow
import msgspec
import orjson
import tortoise.models
import uvloop
from aiohttp import web

if os.environ['DATABASE_BACKEND'] == 'sqlite':
    import tortoise.backends.sqlite
else:
    import tortoise.backends.asyncpg

__all__ = ['aiohttp', 'click', 'dotenv', 'marshmallow', 'msgspec', 'orjson', 'tortoise']


async def hello(request: web.Request) -> web.Response:
    return web.json_response({'hello': 'world'})


def main(port: int) -> None:
    app = web.Application()
    app.router.add_get('/hello', hello)
    web.run_app(app, host='127.0.0.1', port=port, access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == '__main__':
    main(int(sys.argv[1]))
