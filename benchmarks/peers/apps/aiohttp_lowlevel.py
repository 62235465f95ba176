"""aiohttp's low-level server, without application and router: as fast as aiohttp itself can be."""

import asyncio

import common
import msgspec
import uvloop
from aiohttp import web
from structs import Order

encode = msgspec.json.Encoder().encode
decode_order = msgspec.json.Decoder(Order).decode


def respond(data: object, status: int = 200) -> web.Response:
    return web.Response(body=encode(data), status=status, content_type='application/json')


async def handle(request: web.BaseRequest) -> web.Response:
    if request.path == '/hello':
        return respond({'hello': 'world'})
    try:
        return respond(decode_order(await request.read()), 201)
    except msgspec.ValidationError as exc:
        return respond({'error': str(exc)}, 422)


async def main() -> None:
    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, common.HOST, common.PORT).start()
    await asyncio.Event().wait()


if __name__ == '__main__':
    uvloop.run(main())
