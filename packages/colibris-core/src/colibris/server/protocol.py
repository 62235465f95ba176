"""aiohttp's server with two changes: errors in our envelope, and a shutdown that loses no request."""

import asyncio
import fcntl
import struct
import termios
from collections.abc import Coroutine
from typing import Any, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import InvalidURLError, LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest
from aiohttp.web_server import Server as WebServer

from colibris import api
from colibris.responses import JSONResponse


class Connection(RequestHandler):
    """One connection of a client."""

    _manager: 'Server | None'

    __slots__ = ('_last_data',)

    def __init__(self, manager: 'Server', **options: Any) -> None:
        super().__init__(manager, **options)
        self._last_data = 0.0

    def data_received(self, data: bytes) -> None:
        manager = self._manager
        if manager is not None and manager.draining_since is not None:
            self._last_data = self._loop.time()
        super().data_received(data)

    def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        if type(resp) is not JSONResponse and isinstance(resp, web.HTTPExpectationFailed):  # raised before middlewares
            resp = api.error_response(api.from_http_exception(resp))
        manager = self._manager
        draining = manager is not None and manager.draining_since is not None
        if draining and not self._messages and isinstance(resp, web.StreamResponse) and not resp.prepared:
            resp.force_close()
        return super().finish_response(request, resp, start_time)

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer a request that never reached the application, or an error that left it, in the error envelope."""
        if request.writer.output_size > 0:
            raise ConnectionError('the answer has been begun and cannot become an error') from exc
        if isinstance(exc, api.APIException):  # of a middleware that stands before handle_errors_json
            error: api.APIException = exc
        elif isinstance(exc, HttpProcessingError):
            self.logger.debug('malformed request from %s: %s', request.remote, exc)
            error = api.InvalidRequest(_explain(exc))
        elif status == 504:
            self.logger.error('%s %s ran into a time limit', request.method, request.path, exc_info=exc)
            error = api.ServiceUnavailable('the request took too long')
        else:
            self.logger.error('%s %s failed', request.method, request.path, exc_info=exc)
            error = api.ServerError()
        response = api.error_response(error)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """Log an error that nobody answers for, but not that a body was malformed: the client was told."""
        if isinstance(options.get('exc_info'), RequestPayloadError):
            self.logger.debug(*args, **options)
        else:
            super().log_exception(*args, **options)

    def is_idle(self) -> bool:
        """Whether it waits for a request, none of which has arrived."""
        return self._waiter is not None and not self._messages and not self._has_unread_data()

    def idle_for(self, now: float) -> float:
        """How long nothing has come since the shutdown began, in seconds."""
        since = self._manager.draining_since if self._manager is not None else None
        return now - max(self._last_data, since if since is not None else now)

    def _has_unread_data(self) -> bool:
        sock = self.transport.get_extra_info('socket') if self.transport is not None else None
        if sock is None or sock.fileno() < 0:
            return False
        size = fcntl.ioctl(sock.fileno(), termios.FIONREAD, b'\0\0\0\0')
        return bool(struct.unpack('i', size)[0])


def _explain(error: HttpProcessingError) -> str:
    """Return what the parser says, without the bytes that it goes on to quote."""
    if isinstance(error, LineTooLong):
        return 'a line of the head of the request is too long'
    if isinstance(error, InvalidURLError):
        return 'the request is malformed: its address is no valid URL'
    return f'the request is malformed: {error.message.partition(chr(10))[0].strip().rstrip(":")}'


class Server(WebServer):
    """The connections of a process."""

    #: The loop's time at which the shutdown began.
    draining_since: float | None = None

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    async def drain(self, *, idle: float, limit: float) -> int:
        """Let all connections come to their end; return how many had to be left when *limit* seconds were over.

        Requests are answered with ``Connection: close``. A connection on which none comes for *idle* seconds is closed.
        """
        now = self._loop.time()
        end = now + limit
        while self._connections and now < end:
            for connection in cast('list[Connection]', self.connections):
                if connection.is_idle() and connection.idle_for(now) >= idle:
                    connection.force_close()
            await asyncio.sleep(0.02)
            now = self._loop.time()
        return len(self._connections)


class Runner(web.AppRunner):
    """An application and its `Server`."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(app, **options)
        self._told = False

    @property
    def server(self) -> Server | None:
        return cast('Server | None', self._server)

    async def shutdown(self) -> None:
        """Send the application's ``on_shutdown`` signal, once; it ends what is long-lived, such as WebSockets."""
        if not self._told:
            self._told = True
            await super().shutdown()

    async def _make_server(self) -> Server:
        loop = asyncio.get_running_loop()
        app = self._app
        app._set_loop(loop)
        app.on_startup.freeze()
        await app.startup()
        app.freeze()
        options = {**self._kwargs, **(app._handler_args or {}), 'debug': app._debug}
        return Server(cast('Any', app._handle), request_factory=app._make_request, loop=loop, **options)
