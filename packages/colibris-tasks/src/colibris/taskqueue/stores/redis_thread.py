"""Connections to Redis for the threads of a worker: each has its own, which costs less than to share a pool."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from redis import exceptions

from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.stores.redis_server import AWAY, RedisServer

T = TypeVar('T')

# A connection of redis-py, whose methods are without types, is Any below.


class RedisThread:
    """Runs scripts below *prefix*, from any thread. All of them may be run twice, so a lost connection is made anew."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self._server = server
        self._prefix = prefix
        self._pool = server.connect_thread().connection_pool
        self._own = threading.local()
        self._all: list[Any] = []
        self._shas: dict[str, str] = {}

    def run(self, script: str, *arguments: str | bytes | int) -> Any:
        """Run *script* and return its answer. Raises TaskQueueUnavailable while the server is away."""
        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()

        def ask(connection: Any) -> Any:
            connection.send_command('EVALSHA', sha, 1, self._prefix, *arguments)
            try:
                return connection.read_response()
            except exceptions.NoScriptError:  # the server was started anew
                connection.send_command('EVAL', script, 1, self._prefix, *arguments)
                return connection.read_response()

        return self._ask(ask)

    def move(self, source: str, target: str, timeout: float) -> bytes | None:
        """Move the first element of one list below the prefix to another; wait up to *timeout* seconds for one."""

        def ask(connection: Any) -> Any:
            names = f'{self._prefix}{source}', f'{self._prefix}{target}'
            connection.send_command('BLMOVE', *names, 'LEFT', 'RIGHT', timeout)
            return connection.read_response()

        answer = self._ask(ask)
        return answer if isinstance(answer, bytes) else None

    def close(self) -> None:
        """Disconnect all threads."""
        for connection in self._all:
            connection.disconnect()

    def _ask(self, ask: Callable[[Any], T]) -> T:
        connection = self._connection()
        try:
            try:
                return ask(connection)
            except exceptions.ConnectionError:
                connection.disconnect()  # it may have been lost long ago
                return ask(connection)
        except AWAY as exc:
            connection.disconnect()
            raise TaskQueueUnavailable(f'Redis at {self._server}: {exc or type(exc).__name__}') from exc
        except BaseException as exc:
            if not isinstance(exc, exceptions.ResponseError):
                connection.disconnect()  # an answer may be under way
            raise

    def _connection(self) -> Any:
        connection: Any = getattr(self._own, 'connection', None)
        if connection is None:
            connection = self._own.connection = self._pool.make_connection()
            self._all.append(connection)
        return connection
