"""The store on Redis beside RabbitMQ, which has one connection of a service: the other is RabbitMQ's."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from redis import exceptions

from colibris.taskqueue.dramatiq.rabbitmq.duplex import Argument, Duplex
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.stores.base import Notice
from colibris.taskqueue.stores.redis import RedisStore, prefix_of
from colibris.taskqueue.stores.redis_link import RedisLink
from colibris.taskqueue.stores.redis_server import AWAY, RedisServer

_ID = 32


class SharedRedisStore(RedisStore):
    """Asks and listens by the same connection; calls *arrived* with the id of each task whose end it hears of."""

    def __init__(self, server: RedisServer, timeout: float, arrived: Callable[[str], None]) -> None:
        super().__init__(server, apart=True)
        self._timeout = timeout
        self._arrived = arrived
        self._duplex: Duplex | None = None

    async def open(self) -> None:
        self._duplex = Duplex(self._server, self._timeout)
        self._link = DuplexLink(self._server, prefix_of(self.context), self._duplex)
        await self._link.ping()

    async def notifications(self, channel: str) -> AsyncGenerator[Notice, None]:
        if self._duplex is None:
            raise TaskQueueUnavailable('the store of the task queue is not open')
        try:
            async with aclosing(self._duplex.listen(f'{prefix_of(self.context)}c:{channel}')) as heard:
                async for said in heard:
                    if said is None:
                        yield Notice()
                        continue
                    task_id = said[:_ID].decode()
                    self._arrived(task_id)
                    yield Notice(task_id, said[_ID:] or None)
        except AWAY as exc:
            raise TaskQueueUnavailable(f'Redis at {self._server}: {exc or type(exc).__name__}') from exc


class DuplexLink(RedisLink):
    """Runs scripts by a connection on which is listened, too."""

    def __init__(self, server: RedisServer, prefix: str, duplex: Duplex) -> None:
        super().__init__(server, prefix)
        self._duplex = duplex

    async def close(self) -> None:
        await super().close()
        await self._duplex.close()

    async def run(self, script: str, *arguments: Argument) -> Any:
        if script not in self._shas:
            self._shas[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        return await super().run(script, *arguments)

    async def ping(self) -> None:
        try:
            [answer] = await self._duplex.ask(('PING',))
            if isinstance(answer, Exception):
                raise answer
        except exceptions.AuthenticationError as exc:
            raise TaskQueueUnavailable(f'Redis refuses the username or the password, or wants one: {exc}') from exc
        except AWAY as exc:
            raise self._away(exc) from exc

    async def clear(self) -> None:
        await super().clear()
        await self._redis.aclose()  # it has its own connection for that

    async def _pipeline(self, batch: Sequence[Any]) -> list[Any]:
        calls = [(call.script, (1, self._prefix, *call.arguments)) for call in batch]
        answers = await self._duplex.ask(*(('EVALSHA', self._shas[script], *rest) for script, rest in calls))
        lacking = [index for index, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)]
        if lacking:  # the server was started anew, or knows none yet
            again = (('EVAL', script, *rest) for script, rest in (calls[index] for index in lacking))
            for index, answer in zip(lacking, await self._duplex.ask(*again), strict=True):
                answers[index] = answer
        return answers
