"""One connection to Redis that any number of calls in an event loop share: what waits is sent as one batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import exceptions
from redis.asyncio import Redis

from colibris.taskqueue.cancelling import cancel
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.stores.redis_server import AWAY, RedisServer

#: How many calls travel together: more would hold the event loop for milliseconds.
_BATCH = 32

Argument = str | bytes | int | float


class _Call(NamedTuple):
    script: str
    arguments: Sequence[Argument]
    answer: asyncio.Future[Any]


class RedisLink:
    """Runs scripts below *prefix*. All of them may be run twice, so a call is repeated on a new connection."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self._server = server
        self._prefix = prefix
        self._redis: Redis = server.connect()
        self._shas: dict[str, str] = {}
        self._calls: deque[_Call] = deque()
        self._sender: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Disconnect; what still waits for an answer gets TaskQueueUnavailable."""
        sender, self._sender = self._sender, None
        if sender is not None:
            await cancel(sender)
        _fail(self._calls, TaskQueueUnavailable('the connection to Redis was closed'))
        self._calls.clear()
        await self._redis.aclose()

    async def run(self, script: str, *arguments: Argument) -> Any:
        """Run *script* and return its answer. Raises TaskQueueUnavailable while the server is away."""
        call = _Call(script, arguments, asyncio.get_running_loop().create_future())
        self._calls.append(call)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send(), name='colibris.taskqueue.redis')
        return await call.answer

    async def ping(self) -> None:
        """Raise TaskQueueUnavailable unless the server answers."""
        try:
            await self._redis.ping()
        except exceptions.AuthenticationError as exc:
            raise TaskQueueUnavailable(f'Redis refuses the username or the password, or wants one: {exc}') from exc
        except AWAY as exc:
            raise self._away(exc) from exc

    async def clear(self) -> None:
        """Delete everything below the prefix."""
        try:
            pattern = ''.join(f'\\{char}' if char in '*?[]^-\\' else char for char in self._prefix) + '*'
            async for key in self._redis.scan_iter(match=pattern, count=1000):
                await self._redis.unlink(key)
        except AWAY as exc:
            raise self._away(exc) from exc

    def _away(self, exc: BaseException) -> TaskQueueUnavailable:
        return TaskQueueUnavailable(
            f'Redis at {self._server} cannot be reached or does not do its work: {exc or type(exc).__name__}'
        )

    async def _send(self) -> None:
        batch: list[_Call] = []
        try:
            while self._calls:
                batch = [self._calls.popleft() for _ in range(min(_BATCH, len(self._calls)))]
                batch = [call for call in batch if not call.answer.done()]
                await self._exchange(batch)
        except asyncio.CancelledError:
            _fail(batch, TaskQueueUnavailable('the connection to Redis was closed'))
            raise

    async def _exchange(self, batch: Sequence[_Call]) -> None:
        """Send *batch* and give out the answers."""
        try:
            for script in {call.script for call in batch} - self._shas.keys():
                self._shas[script] = await self._redis.script_load(script)
            answers = await self._pipeline(batch)
            lacking = [index for index, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)]
            if lacking:  # the server was started anew
                again = [batch[index] for index in lacking]
                for script in {call.script for call in again}:
                    await self._redis.script_load(script)
                for index, answer in zip(lacking, await self._pipeline(again), strict=True):
                    answers[index] = answer
        except AWAY as exc:
            _fail(batch, self._away(exc))
            return
        except Exception as exc:
            _fail(batch, exc)
            return
        for call, answer in zip(batch, answers, strict=True):
            if call.answer.done():
                continue
            if isinstance(answer, AWAY):
                call.answer.set_exception(self._away(answer))
            elif isinstance(answer, Exception):
                call.answer.set_exception(answer)
            else:
                call.answer.set_result(answer)

    async def _pipeline(self, batch: Sequence[_Call]) -> list[Any]:
        if len(batch) == 1:
            script, arguments, _ = batch[0]
            try:
                return [await self._redis.evalsha(self._shas[script], 1, self._prefix, *arguments)]
            except exceptions.ResponseError as exc:
                return [exc]
        async with self._redis.pipeline(transaction=False) as pipe:
            for script, arguments, _ in batch:
                pipe.evalsha(self._shas[script], 1, self._prefix, *arguments)
            return list(await pipe.execute(raise_on_error=False))


def _fail(calls: Sequence[_Call] | deque[_Call], error: Exception) -> None:
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(error)
