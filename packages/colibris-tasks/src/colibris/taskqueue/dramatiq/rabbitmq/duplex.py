"""One connection to Redis for all that a service asks and hears: the protocol RESP3 lets both share it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple

from hiredis import PushNotification
from redis import exceptions

from colibris.taskqueue.stores.redis_server import RedisServer

# A connection of redis-py, whose methods are without types, is Any below.

Argument = str | bytes | int | float

#: After how long a connection on which nothing is heard is tried, in seconds.
_SILENCE = 10.0
#: How many answers and messages are taken in one step of the event loop.
_STRIDE = 32
#: What of the options of a connection is not for the server's URL to say, and why not.
_FIXED: dict[str, Any] = {
    'protocol': 3,
    'socket_timeout': None,  # the reader waits for as long as nothing is said; it is each call that has a time limit
    'health_check_interval': 0,  # redis-py would read the answer to a PING of its own beside the reader
}
_CLOSED = 'the connection was closed'


class _Asked(NamedTuple):
    """Commands whose answers come next, one after the other."""

    number: int
    answers: list[Any]
    future: asyncio.Future[list[Any]]


class Duplex:
    """Asks, and hears what others publish, by one connection, which is made when it is needed.

    Who hears is told when the connection is lost, and subscribes again. *timeout* limits each wait for an answer.
    """

    def __init__(self, server: RedisServer, timeout: float) -> None:
        pool = server.connect().connection_pool
        options = {name: value for name, value in pool.connection_kwargs.items() if not name.startswith('maint_')}
        self._options = {**options, **_FIXED, 'socket_connect_timeout': timeout}
        self._kind: Any = pool.connection_class
        self._timeout = timeout
        self._wire: _Wire | None = None
        self._connecting = asyncio.Lock()
        self._limit: asyncio.Timeout | None = None  # of the connection that is being made
        self._is_closed = False

    async def close(self) -> None:
        """Disconnect for good; what still waits gets ConnectionError, and so does who asks later."""
        self._is_closed = True
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(0)
        async with self._connecting:
            wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    async def ask(self, *commands: Sequence[Argument]) -> list[Any]:
        """Return the answers to *commands*, errors among them. They are sent once more if the connection is lost."""
        try:
            return await self._ask(commands)
        except exceptions.ConnectionError:  # it may have been lost long ago
            return await self._ask(commands)

    async def _ask(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        wire = await self._connected()
        return await wire.ask(commands)

    async def listen(self, channel: str) -> AsyncGenerator[bytes | None, None]:
        """Yield None once it listens to *channel*, then what is published there, until the connection ends.

        Raises redis-py's errors when the connection is lost, or cannot be made.
        """
        wire = await self._connected()
        heard = wire.ears[channel.encode()] = asyncio.Queue()
        [answer] = await wire.ask([('SUBSCRIBE', channel)])
        if isinstance(answer, Exception):
            raise answer
        yield None
        while True:
            try:
                async with asyncio.timeout(_SILENCE):
                    said = await heard.get()
            except TimeoutError:
                await wire.ask([('PING',)])
                continue
            if isinstance(said, Exception):
                raise said
            yield said

    async def _connected(self) -> _Wire:
        async with self._connecting:
            if self._is_closed:
                raise exceptions.ConnectionError(_CLOSED)
            if self._wire is None or self._wire.is_lost:
                self._wire = _Wire(await self._connect(), self._timeout)
            return self._wire

    async def _connect(self) -> Any:
        connection = self._kind(**self._options)
        try:
            async with asyncio.timeout(self._timeout) as self._limit:
                await connection.connect()
        except BaseException as exc:
            await connection.disconnect(nowait=True)
            if isinstance(exc, TimeoutError):
                if self._is_closed:
                    raise exceptions.ConnectionError(_CLOSED) from exc
                raise exceptions.TimeoutError(f'no connection within {self._timeout:g} s') from exc
            raise
        finally:
            self._limit = None
        return connection


class _Wire:
    """One connection for as long as it lasts."""

    def __init__(self, connection: Any, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._asked: deque[_Asked] = deque()
        self.is_lost = False
        self.ears: dict[bytes, asyncio.Queue[bytes | Exception]] = {}
        self._reading = asyncio.create_task(self._read(), name='colibris.taskqueue.redis.reader')

    async def ask(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        if self.is_lost:
            raise exceptions.ConnectionError('the connection was lost')
        packed = self._connection.pack_commands(commands)
        asked = _Asked(len(commands), [], asyncio.get_running_loop().create_future())
        self._asked.append(asked)  # answers come in the order of the commands, and nobody writes in between
        try:
            async with asyncio.timeout(self._timeout):
                await self._connection.send_packed_command(packed)
                return await asked.future
        except TimeoutError as exc:
            error = exceptions.TimeoutError(f'no answer within {self._timeout:g} s')
            self.drop(error)
            raise error from exc
        except asyncio.CancelledError:
            if not self._connection.is_connected:  # redis-py ends one on which not all was sent
                self.drop(exceptions.ConnectionError('the connection was lost'))
            raise
        except exceptions.RedisError as exc:
            self.drop(exc)
            raise
        except Exception as exc:  # it may be that not all was sent, and answers come in order
            lost = exceptions.ConnectionError(f'{type(exc).__name__}: {exc}')
            self.drop(lost)
            raise lost from exc

    async def close(self) -> None:
        self.drop(exceptions.ConnectionError(_CLOSED))
        await asyncio.wait([self._reading])

    def drop(self, error: exceptions.RedisError) -> None:
        """End the connection, and tell who waits for something on it."""
        if self.is_lost:
            return
        self.is_lost = True
        self._reading.cancel()
        for asked in self._asked:
            if not asked.future.done():
                asked.future.set_exception(error)
                asked.future.exception()  # who asked may be writing still
        self._asked.clear()
        for ear in self.ears.values():
            ear.put_nowait(error)

    async def _read(self) -> None:
        try:
            while True:
                for _ in range(_STRIDE):
                    self._take(await self._next())
                await asyncio.sleep(0)
        except Exception as exc:
            self.drop(exc if isinstance(exc, exceptions.RedisError) else exceptions.ConnectionError(str(exc)))
        finally:
            await self._connection.disconnect(nowait=True)

    async def _next(self) -> Any:
        try:
            return await self._connection.read_response(push_request=True)
        except exceptions.ResponseError as exc:  # the answer to one of the commands
            return exc

    def _take(self, said: Any) -> None:
        if isinstance(said, PushNotification):
            kind, channel, *rest = said
            if kind == b'message':
                if (ear := self.ears.get(channel)) is not None:
                    ear.put_nowait(rest[0])
                return
            if kind not in (b'subscribe', b'unsubscribe'):  # these are answers, and come in order
                return
        asked = self._asked[0]
        asked.answers.append(said)
        if len(asked.answers) == asked.number:
            self._asked.popleft()
            if not asked.future.done():
                asked.future.set_result(asked.answers)
