"""``@cached``: results of functions, and answers of views."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from aiohttp import web

from colibris import serialization
from colibris.cache import responses
from colibris.cache.subsystem import subsystem
from colibris.views import View

F = TypeVar('F', bound=Callable[..., Any])
Key = str | Callable[..., str] | None


def cached(lifetime: float | None = None, *, key: Key = None, stale: float = 0) -> Callable[[F], F]:
    """Keep what a function returns, or how a view answers, for *lifetime* seconds (None: the default lifetime).

    A function (sync or async; the result is always async) is computed once for each set of arguments. *key* is a
    format string of its arguments (``'user:{id}'``) or a function of them; without one, the arguments make the key,
    for which they must be serializable. *stale* is explained at `get_or_set`. ``f.forget(*args)`` removes a result.

    On a view's method, or a function that takes a request, the answer to GET and HEAD is kept: by method, host, path,
    query, account, ``Accept-Language`` and ``Accept``, after authorization. Only a complete answer of status 200 that
    sets no cookie is kept. It bears an ``ETag``, and a client that has it is answered 304.
    """

    def decorate(function: F) -> F:
        decorated = _decorate(function, lifetime, key, stale)
        return cast('F', decorated)

    return decorate


def _decorate(function: Callable[..., Any], lifetime: float | None, key: Key, stale: float) -> Callable[..., Any]:
    signature = inspect.signature(function)
    is_view = _takes_request(signature)

    def key_of(*args: Any, **kwargs: Any) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return _key_of(function, key, bound)

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        request = _request_of(args) if is_view else None
        if request is not None:
            custom = key_of(*args, **kwargs) if key is not None else None
            return await responses.answer(request, lambda: _call(function, *args, **kwargs), lifetime, custom)
        return await subsystem.backend.get_or_set(
            key_of(*args, **kwargs), lambda: function(*args, **kwargs), lifetime, stale=stale
        )

    async def forget(*args: Any, **kwargs: Any) -> bool:
        return await subsystem.backend.delete(key_of(*args, **kwargs))

    wrapper.forget = forget  # type: ignore[attr-defined]
    return wrapper


def _takes_request(signature: inspect.Signature) -> bool:
    """Whether a function's first parameter is a view or may be a request; what is passed decides in the end."""
    first = next(iter(signature.parameters.values()), None)
    return first is not None and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)


def _request_of(args: tuple[Any, ...]) -> web.Request | None:
    first = args[0] if args else None
    if isinstance(first, (View, web.View)):
        return first.request
    return first if isinstance(first, web.Request) else None


async def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = function(*args, **kwargs)
    return await result if isinstance(result, Awaitable) else result


def _key_of(function: Callable[..., Any], key: Key, bound: inspect.BoundArguments) -> str:
    if callable(key):
        return key(*bound.args, **bound.kwargs)
    if key is not None:
        return key.format(**bound.arguments)
    name = f'{function.__module__}.{function.__qualname__}'
    try:
        arguments = serialization.dumps([list(bound.args), sorted(bound.kwargs.items())])
    except TypeError as exc:
        raise TypeError(f'the arguments of {name} do not make a key: {exc}; give @cached(key=…) one') from exc
    return f'{name}:{hashlib.sha256(arguments).hexdigest()}'
