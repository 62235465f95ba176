"""Endpoints: what is known at start-up of one HTTP method of one route, so that a request only looks it up."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.hdrs import METH_ALL
from msgspec import Raw

from colibris import api
from colibris.requests import BodyLoader, QueryLoader
from colibris.responses import JSONResponse
from colibris.schemas.compiled import Dumper, dumper
from colibris.throttling import DEFAULT, Throttle, throttle_of

if TYPE_CHECKING:
    from marshmallow import Schema

    from colibris.views import View

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Docs:
    """What a view says about itself for the documentation of the API."""

    summary: str | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    #: Further answers by status: a description, a schema, an error class, or an OpenAPI response object.
    responses: Mapping[int, Any] = field(default_factory=dict)
    #: Keeps the endpoint out of the documentation.
    hidden: bool = False


def docs_of(function: Callable[..., Any], view: type[View] | None = None) -> Docs:
    """Collect what *function*, and for what it does not say its *view*, tell the documentation as attributes."""

    def said(name: str, default: Any = None) -> Any:
        return getattr(function, name, getattr(view, name, default))

    tags = said('tags')
    return Docs(
        summary=said('summary'),
        description=said('description'),
        tags=None if tags is None else tuple(tags),
        responses={**getattr(view, 'responses', {}), **getattr(function, 'responses', {})},
        hidden=said('hidden', False),
    )


def name_of(named: Any) -> str:
    """Return the import path of a view or handler."""
    named = getattr(named, 'func', named)  # of functools.partial
    return f'{named.__module__}.{getattr(named, "__qualname__", type(named).__name__)}'


def said_by(function: Any, name: str, default: Any) -> Any:
    """Return what *function* says of itself by the attribute *name*."""
    return getattr(function, name, default)


def request_timeout_of(said: Callable[[str, Any], Any], name: str) -> float | str | None:
    """Return how long a request to the view or handler *name* may take, as it says. Raises TypeError."""
    limit = said('request_timeout', DEFAULT)
    if limit is None or limit == DEFAULT:
        return cast('str | None', limit)
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 < limit < 10**9:
        raise TypeError(f'{name}: request_timeout must be a number of seconds above 0, or None, not {limit!r}')
    return limit


@dataclass(frozen=True, slots=True)
class Description:
    """What a view class says about one of its methods."""

    is_list: bool = False
    status: int = 200
    errors: tuple[type[api.APIException], ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One HTTP method of one route."""

    method: str
    #: The path as aiohttp's template, such as ``/items/{id}``.
    path: str
    #: The view's method or the plain handler, as the project wrote it.
    function: Callable[..., Any]
    view: type[View] | None = None
    body_schema: Schema | None = None
    query_schema: Schema | None = None
    response_schema: Schema | None = None
    #: The answer is the list envelope, with `response_schema` for each result.
    is_list: bool = False
    #: The status of a good answer.
    status: int = 200
    authentication_required: bool = False
    permissions: Any = ()
    #: The errors that it can answer beside those that every endpoint can.
    errors: tuple[type[api.APIException], ...] = ()
    docs: Docs = Docs()
    #: How often it may be used.
    throttle: Throttle | None = None
    #: After how many seconds it is cancelled if its answer has not begun; None for never.
    request_timeout: float | str | None = DEFAULT
    #: What checks its bodies and its queries, where there are schemas for them.
    body: BodyLoader | None = field(init=False, repr=False, compare=False)
    query: QueryLoader | None = field(init=False, repr=False, compare=False)
    _dump: Dumper | None = field(init=False, repr=False, compare=False)
    _dump_many: Dumper | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        body, query, response = self.body_schema, self.query_schema, self.response_schema
        keep = object.__setattr__
        keep(self, 'body', None if body is None else BodyLoader(body))
        keep(self, 'query', None if query is None else QueryLoader(query))
        keep(self, '_dump', None if response is None else dumper(response))
        keep(self, '_dump_many', None if response is None else dumper(response, many=True))

    @property
    def protected(self) -> bool:
        """Whether it requires an account or a permission."""
        return self.authentication_required or bool(self.permissions)

    @property
    def name(self) -> str:
        """The import path of the view or handler."""
        return name_of(self.view or self.function)

    def respond(self, answer: Any) -> web.StreamResponse:
        """Turn what a view returned into a response: a response as it is, data as JSON by the response schema."""
        kind = type(answer)
        if kind is JSONResponse:  # which is found out faster than of a class that others may register with
            return cast('JSONResponse', answer)
        if kind is not dict and kind is not api.Encoded:
            if isinstance(answer, web.StreamResponse):
                return answer
            if answer is None:
                if self.status == 204:
                    return web.Response(status=204)
                raise TypeError(f'{self.name} returned None for {self.method} {self.path}; return a response or data')
        return JSONResponse(self.encode(answer), self.status)

    def encode(self, answer: Any) -> bytes:
        """Return the JSON of what a view returned, by the response schema."""
        if isinstance(answer, api.Encoded):
            return answer.body
        if self._dump is None or self._dump_many is None:
            return api.encode_json(answer)
        if self.is_list:
            return api.encode_json({**answer, 'results': Raw(self._dump_many.json(answer['results']))})
        dump = self._dump_many if isinstance(answer, (list, tuple)) else self._dump
        return dump.json(answer)


def compile_handler(endpoint: Endpoint, call: Callable[[web.Request], Any]) -> Handler:
    """Make the coroutine function that serves *endpoint*; the endpoint can be found again by `endpoint_of`.

    *call* runs the endpoint's function on a request, and returns what that returns.
    """
    respond = endpoint.respond

    async def handle_async(request: web.Request) -> web.StreamResponse:
        return respond(await call(request))

    async def handle_any(request: web.Request) -> web.StreamResponse:
        answer = call(request)
        return respond(await answer if inspect.isawaitable(answer) else answer)

    handler: Any = handle_async if inspect.iscoroutinefunction(endpoint.function) else handle_any
    handler.endpoint = endpoint
    handler.__wrapped__ = endpoint.function
    return handler  # type: ignore[no-any-return]


def function_handler(method: str, path: str, function: Any) -> Handler:
    """Make the handler that serves *method* requests to *path* by *function*, which reads what it says of itself.

    Raises TypeError for what is no function.
    """
    if not callable(function):
        raise TypeError(f'{function!r} is neither a view class nor a function')
    endpoint = Endpoint(
        method=method,
        path=path,
        function=function,
        authentication_required=getattr(function, 'authentication_required', False),
        permissions=getattr(function, 'permissions', ()),
        docs=docs_of(function),
        throttle=throttle_of(functools.partial(said_by, function), name_of(function)),
        request_timeout=request_timeout_of(functools.partial(said_by, function), name_of(function)),
    )
    return compile_handler(endpoint, function)


def endpoint_of(request: web.Request) -> Endpoint | None:
    """Return the endpoint that *request* goes to; None for routes that are none of ours, and for what is not found."""
    handler: Any = request.match_info.handler
    try:
        endpoint: Endpoint | None = handler.endpoint
    except AttributeError:
        return None if request.match_info.http_exception else _plain_endpoint(handler, request.method)
    if endpoint is None:  # a view class that was put into the router by itself
        endpoint = handler.endpoint_for(request.method)
    return endpoint


@functools.lru_cache(maxsize=4096)
def _plain_endpoint(handler: Any, method: str) -> Endpoint | None:
    """Return the endpoint of a handler that aiohttp's router was given by itself, if it asks for anything."""
    function = getattr(handler, method.lower(), handler) if isinstance(handler, type) else handler
    endpoint = plain_endpoint(handler, function, method, '')
    return endpoint if endpoint.protected or endpoint.throttle is not None else None


def plain_endpoint(handler: Any, function: Any, method: str, path: str) -> Endpoint:
    """Describe *function*, or the method of that name of the aiohttp view *handler*: what it says as attributes."""

    def said(name: str, default: Any) -> Any:
        return getattr(function, name, getattr(handler, name, default))

    return Endpoint(
        method=method,
        path=path,
        function=function,
        authentication_required=said('authentication_required', False),
        permissions=said('permissions', ()),
        throttle=throttle_of(said, name_of(handler)),
        request_timeout=request_timeout_of(said, name_of(handler)),
    )


def endpoints(app: web.Application) -> list[Endpoint]:
    """Return all endpoints of *app*, in the order of its routes; plain aiohttp handlers are described as they are."""
    return list(_endpoints(app))


def _endpoints(app: web.Application) -> Iterator[Endpoint]:
    for route in app.router.routes():
        if route.resource is None:
            continue
        handler: Any = route.handler
        path = route.resource.canonical
        known = getattr(handler, 'endpoint', None)
        if isinstance(known, Endpoint):
            if route.method == known.method:  # HEAD comes with GET
                yield known
        elif hasattr(handler, 'endpoint_for'):
            known_methods = handler.http_methods()
            for method in known_methods if route.method == '*' else {route.method}.intersection(known_methods):
                yield handler.compile(method, path).endpoint
        elif route.method != 'HEAD' and not isinstance(route.resource, web.StaticResource):
            if route.method == '*' and isinstance(handler, type):
                yield from _of_aiohttp_view(handler, path)
            else:
                yield plain_endpoint(handler, handler, route.method, path)


def _of_aiohttp_view(view: type, path: str) -> Iterator[Endpoint]:
    for method in sorted(METH_ALL):
        if (function := getattr(view, method.lower(), None)) is not None:
            yield plain_endpoint(view, function, method, path)
