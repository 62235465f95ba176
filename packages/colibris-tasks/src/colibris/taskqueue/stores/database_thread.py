"""An event loop in a thread of its own, with connections of its own to the project's database.

What a worker process says of its tasks must not wait for the event loop in which asynchronous tasks run: one of them
may hold it, and that is just what is to be written down then.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from typing import Any, TypeVar

from colibris.persist import get_database
from colibris.persist.base import DatabaseBackend, ServerBackend
from colibris.persist.connections import Client
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.stores.sql import Statements

T = TypeVar('T')

#: For how long a thread waits for an answer, in seconds; the worker tries again after that.
_PATIENCE = 30.0
_CLOSE_TIMEOUT = 5.0
#: How many connections a worker process has for the state of its tasks.
_CONNECTIONS = 4


class DatabaseThread:
    """Runs coroutines that use `sql`, for threads that wait for them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._client: Client | None = None
        self._thread = threading.Thread(target=self._run, name='colibris.taskqueue.database', daemon=True)
        self.sql = Statements(self._connection)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _connection(self) -> Client:
        if self._client is None:
            raise TaskQueueUnavailable('the state of tasks is not open')
        return self._client

    def open(self) -> None:
        """Start; connections are made when they are used first."""
        backend: DatabaseBackend = copy.copy(get_database().backend)
        if isinstance(backend, ServerBackend):
            backend.min_connections = min(1, backend.min_connections)
            backend.max_connections = min(_CONNECTIONS, backend.max_connections)
        make_client: Any = backend.client_class
        self._client = make_client(backend, 'colibris.taskqueue')
        self._thread.start()

    def close(self) -> None:
        """Close the connections and end the thread; may be called twice."""
        client, self._client = self._client, None
        if client is None:
            return
        with suppress(Exception):  # the database may be away
            asyncio.run_coroutine_threadsafe(client.close(), self._loop).result(_CLOSE_TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_TIMEOUT)

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* in the thread and return its result. Raises TaskQueueUnavailable if it takes too long."""
        if self._client is None:
            coroutine.close()
            raise TaskQueueUnavailable('the state of tasks is not open')
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(_PATIENCE)
        except Late as exc:
            if future.done() and not future.cancelled():
                raise
            future.cancel()
            raise TaskQueueUnavailable(f'the database took longer than {_PATIENCE:g} s') from exc
