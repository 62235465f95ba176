"""aiohttp's server with errors in our envelope, a shutdown that loses no request, and limits for slow clients."""

import asyncio
import fcntl
import itertools
import struct
import termios
from collections.abc import Coroutine, Iterator
from typing import Any, cast

from aiohttp import StreamReader, web
from aiohttp.http import HttpProcessingError
from aiohttp.http_exceptions import InvalidURLError, LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest
from aiohttp.web_server import Server as WebServer

from colibris import api
from colibris.logs.context import route_of
from colibris.responses import JSONResponse
from colibris.server.limits import MIN_BODY_RATE, WRITE_TIMEOUT, Limits

#: How often connections are looked after, in seconds.
PERIOD = 1.0

#: How many connections are looked after before others may run.
_LOOKED_AFTER_AT_ONCE = 500

#: Among how many connections an idle one is looked for.
_MOST_LOOKED_AT = 100


class Connection(RequestHandler):
    """One connection of a client."""

    _manager: 'Server | None'

    __slots__ = ('_has_partial_head', '_is_too_slow', '_last_data', '_unsent', '_unsent_since', '_waiting_since')

    def __init__(self, manager: 'Server', **options: Any) -> None:
        super().__init__(manager, **options)
        self._last_data = 0.0
        #: Since when the rest of a head or of a body is waited for, at first for anything at all.
        self._waiting_since: float | None = self._loop.time()
        self._has_partial_head = False
        self._is_too_slow = False
        #: How much of an answer waits to be taken by the client, and since when it is so much.
        self._unsent = 0
        self._unsent_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._manager is not None:
            self._manager.make_room(self)

    def data_received(self, data: bytes) -> None:
        manager = self._manager
        if manager is not None and manager.draining_since is not None:
            self._last_data = self._loop.time()
        count = self._request_count
        super().data_received(data)
        if self._request_count != count:
            self._waiting_since = None
            self._has_partial_head = False
        elif data and self._waiter is not None:
            self._has_partial_head = True
            self._waiting_since = self._waiting_since or self._loop.time()

    def look_after(self, now: float, limits: Limits) -> None:
        """End what waits for a client that is too slow; called each second."""
        if self.transport is None:
            return
        self._look_after_sending(self.transport, now)
        body = self._body_to_come()
        if body is None:
            if self._waiter is not None and not self._messages and self._has_waited(now, limits.read_timeout):
                late = api.RequestTimeout('the head of the request did not arrive in time')
                self.refuse(late if self._has_partial_head else None)
        elif self._waiting_since is None:
            self._waiting_since = now
        elif self._has_waited(now, limits.read_timeout + body.total_bytes / MIN_BODY_RATE):
            self._is_too_slow = True
            self._lingering_time = 0.0
            body.set_exception(api.RequestTimeout('the body did not arrive in time'))

    def _has_waited(self, now: float, limit: float) -> bool:
        return self._waiting_since is not None and now - self._waiting_since > limit

    def _body_to_come(self) -> StreamReader | None:
        """Return the body of the request in progress if its client has still to send some of it."""
        request = self._current_request
        body = None if request is None else request._payload
        if not isinstance(body, StreamReader) or body.is_eof() or body.exception() is not None:
            return None
        if self._reading_paused:  # its handler does not take what has come
            self._waiting_since = None
            return None
        return body

    def _look_after_sending(self, transport: asyncio.Transport, now: float) -> None:
        unsent = transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > WRITE_TIMEOUT:
            self.logger.debug('a client does not take its answer: the connection is cut')
            transport.abort()

    def refuse(self, error: api.APIException | None) -> None:
        """Close the connection, on which no request is in progress; the client is told of *error*."""
        if self.transport is not None and error is not None:
            self.transport.write(_answer(error))
        self.force_close()

    def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        if type(resp) is not JSONResponse and isinstance(resp, web.HTTPExpectationFailed):  # raised before middlewares
            resp = api.error_response(api.from_http_exception(resp))
        manager = self._manager
        draining = manager is not None and manager.draining_since is not None
        self._waiting_since = None
        ends = self._is_too_slow or (draining and not self._messages)
        if ends and isinstance(resp, web.StreamResponse) and not resp.prepared:
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
            error = _refusal(exc)
        elif status == 504:
            self.logger.error('%s %s ran into a time limit', request.method, route_of(request), exc_info=exc)
            error = api.ServiceUnavailable('the request took too long')
        else:
            self.logger.error('%s %s failed', request.method, route_of(request), exc_info=exc)
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
        """Whether it is open and waits for a request, none of which has arrived."""
        return (
            self.transport is not None
            and self._waiter is not None
            and not self._messages
            and not self._has_unread_data()
        )

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


def _answer(error: api.APIException) -> bytes:
    """Return an answer as it is sent where aiohttp sends none, as there is no request."""
    response = api.error_response(error)
    body = cast('bytes', response.body)
    lines = [
        f'HTTP/1.1 {response.status} {response.reason}',
        f'Content-Type: {api.JSON}',
        f'Content-Length: {len(body)}',
        *(f'{name}: {value}' for name, value in error.headers.items()),
        'Connection: close',
    ]
    return '\r\n'.join([*lines, '', '']).encode() + body


def _refusal(error: HttpProcessingError) -> api.APIException:
    if 'Too many headers' in error.message:
        return api.HeadersTooLarge()
    return api.InvalidRequest(_explain(error))


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

    def __init__(self, handler: Any, *, limits: Limits, **options: Any) -> None:
        super().__init__(handler, **limits.handler_options(), **options)
        self._limits = limits
        self._timer = self._loop.call_later(PERIOD, self._look)

    def __call__(self) -> RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)

    def _look(self) -> None:
        """Look after all connections."""
        self._timer = self._loop.call_later(PERIOD, self._look)
        self._look_at(iter(cast('list[Connection]', self.connections)))

    def _look_at(self, left: Iterator[Connection]) -> None:
        """Look after the next ones of those that are *left*, then let requests run."""
        now = self._loop.time()
        connection = None
        for connection in itertools.islice(left, _LOOKED_AFTER_AT_ONCE):
            connection.look_after(now, self._limits)
        if connection is not None:
            self._loop.call_soon(self._look_at, left)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # aiohttp's
        self._timer.cancel()
        await super().shutdown(timeout)

    def make_room(self, newcomer: Connection) -> None:
        """Close a connection that is idle, or *newcomer*, if there are more of them than there may be.

        The oldest are looked at first. Those that are busy go to the end, so that they are not looked at each time.
        """
        if len(self._connections) <= self._limits.max_connections:
            return
        known = cast('dict[Connection, Any]', self._connections)
        for connection in list(itertools.islice(known, _MOST_LOOKED_AT)):
            if connection is not newcomer and connection.is_idle():
                connection.force_close()
                return
            known[connection] = known.pop(connection)
        error = api.ServiceUnavailable('the service has too many connections', headers={'Retry-After': '1'})
        newcomer.refuse(error)

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

    def __init__(self, app: web.Application, *, limits: Limits | None = None, **options: Any) -> None:
        super().__init__(app, **options)
        self._limits = limits or Limits()
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
        options = {**self._kwargs, **(app._handler_args or {}), 'debug': app._debug, 'limits': self._limits}
        return Server(cast('Any', app._handle), request_factory=app._make_request, loop=loop, **options)
