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

    A function (sync or async; the result is always async) is computed once for each set of arguments, however many
    ask at once. *key* is a format string of its arguments (``'user:{id}'``) or a function of them; without one, the
    arguments make the key, for which they must be serializable. *stale* is explained at `get_or_set`.
    ``await f.forget(*args)`` removes a result.

    On a view's method, a function that is called with a request, or a view class (for its ``get`` and ``head``), the
    answer to GET and HEAD is kept: by method, host, path, query, account, ``Accept-Language`` and ``Accept``, after
    authorization. Only a complete answer of status 200 is kept that sets no cookie and depends on nothing else. It
    bears an ``ETag``, and a client that has it is answered 304.
    """
    if callable(lifetime):
        raise TypeError('write @cached() with parentheses, or @cached(60) for a lifetime in seconds')

    def decorate(function: F) -> F:
        if isinstance(function, type):
            _decorate_view(function, lifetime, key, stale)
            return cast('F', function)
        return cast('F', _decorate(function, lifetime, key, stale))

    return decorate


def _decorate_view(view: Any, lifetime: float | None, key: Key, stale: float) -> None:
    methods = [name for name in ('get', 'head') if callable(getattr(view, name, None))]
    if not issubclass(view, (View, web.View)) or not methods:
        raise TypeError(f'@cached: {view.__qualname__} is no view that answers GET')
    for name in methods:
        setattr(view, name, _decorate(getattr(view, name), lifetime, key, stale))


def _decorate(function: Callable[..., Any], lifetime: float | None, key: Key, stale: float) -> Callable[..., Any]:
    signature = inspect.signature(function)
    name = f'{function.__module__}.{function.__qualname__}'

    def key_of(*args: Any, **kwargs: Any) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return _key_of(name, key, bound)

    def view_of(first: object) -> responses.Policy:
        cls = type(first)
        owner = '' if isinstance(first, web.Request) else f'{cls.__module__}.{cls.__qualname__}'
        return responses.Policy(f'{owner}:{name}', lifetime, stale)

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        request = _request_of(args)
        if request is not None:
            custom = key_of(*args, **kwargs) if key is not None else None
            call = functools.partial(_call, function, *args, **kwargs)
            return await responses.answer(request, call, view_of(args[0]), custom)
        return await subsystem.backend.get_or_set(
            key_of(*args, **kwargs), lambda: function(*args, **kwargs), lifetime, stale=stale
        )

    async def forget(*args: Any, **kwargs: Any) -> bool:
        """Remove the result for these arguments, or the answer to this request; return whether there was one."""
        request = _request_of(args)
        if request is not None:
            custom = key_of(*args, **kwargs) if key is not None else None
            return await responses.forget(request, view_of(args[0]), custom)
        return await subsystem.backend.delete(key_of(*args, **kwargs))

    wrapper.forget = forget  # type: ignore[attr-defined]
    return wrapper


def _request_of(args: tuple[Any, ...]) -> web.Request | None:
    first = args[0] if args else None
    if isinstance(first, (View, web.View)):
        return first.request
    return first if isinstance(first, web.Request) else None


async def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = function(*args, **kwargs)
    return await result if isinstance(result, Awaitable) else result


def _key_of(name: str, key: Key, bound: inspect.BoundArguments) -> str:
    if callable(key):
        return key(*bound.args, **bound.kwargs)
    if key is not None:
        return key.format(**bound.arguments)
    try:
        arguments = serialization.dumps([list(bound.args), sorted(bound.kwargs.items())])
    except TypeError as exc:
        raise TypeError(f'the arguments of {name} do not make a key: {exc}; give @cached(key=…) one') from exc
    return f'{name}:{hashlib.sha256(arguments).hexdigest()}'
