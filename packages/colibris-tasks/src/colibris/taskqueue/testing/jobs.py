"""The tasks of the suite, which run in a worker in the process of the tests, where the engine allows it."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from colibris.logs.context import current_request_id
from colibris.taskqueue import task
from colibris.taskqueue.current import current_task_id

#: How long the suite waits for what must come, in seconds.
PATIENCE = 20.0

#: What tasks of this process have noted, in order.
notes: list[Any] = []
_released = threading.Event()


def add(left: Any, right: Any = 0) -> Any:
    """Return the sum."""
    return left + right


async def add_later(left: Any, right: Any = 0) -> Any:
    """Return the sum, in the event loop."""
    await asyncio.sleep(0)
    return left + right


def _decorated(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap an asynchronous function in one that is not."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        return function(*args, **kwargs)

    return wrapper


@_decorated
async def add_decorated(left: Any, right: Any = 0) -> Any:
    """Return the sum, in the event loop, behind a decorator."""
    return left + right


def note(value: Any) -> None:
    """Keep *value* in `notes`."""
    notes.append(value)


def echo(*args: Any, **kwargs: Any) -> Any:
    """Return the arguments."""
    return [list(args), kwargs]


def fail(message: str = 'it failed') -> None:
    """Raise ValueError."""
    notes.append('failed')
    raise ValueError(message)


def fail_once() -> str:
    """Raise at the first call."""
    notes.append('tried')
    if len(notes) < 2:
        raise ValueError('not yet')
    return 'done'


def leave() -> None:
    """Call sys.exit."""
    sys.exit(3)


async def leave_later() -> None:
    """Call sys.exit, in the event loop."""
    sys.exit(3)


def return_object() -> object:
    """Return what cannot travel."""
    return object()


def return_much(size: int) -> bytes:
    """Return so many bytes."""
    return bytes(size)


def hold() -> str:
    """Wait until the test lets go."""
    notes.append('held')
    _released.wait(PATIENCE)
    return 'let go'


def reset() -> None:
    """Forget what tasks have noted, and let `hold` hold."""
    notes.clear()
    _released.clear()


def let_go() -> None:
    """Let `hold` end."""
    _released.set()


def tell_id() -> str | None:
    """Return the id of the task that calls this."""
    return current_task_id()


def tell_request() -> str | None:
    """Return the id of the request for which this runs."""
    return current_request_id()


async def tell_request_later() -> str | None:
    """Return the id of the request for which this runs, in the event loop."""
    return current_request_id()


def spin() -> None:
    """Never end."""
    while True:
        time.sleep(0.001)


async def sleep_on() -> None:
    """Never end, in the event loop."""
    await asyncio.sleep(3600)


def forget_to_await() -> None:
    """Call something asynchronous and throw it away."""
    add_later(1)  # type: ignore[unused-coroutine]


@task(name='suite.named')
def named() -> str:
    """Be known by a name."""
    return 'by name'
