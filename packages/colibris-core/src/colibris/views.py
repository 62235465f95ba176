"""Views: classes that answer requests, one method for each HTTP method."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aiohttp import web
from aiohttp.abc import AbstractView
from marshmallow import Schema

from colibris import api
from colibris._lazy import hand_on
from colibris.endpoints import (
    Description,
    Endpoint,
    Handler,
    compile_handler,
    docs_of,
    endpoint_of,
    name_of,
    request_timeout_of,
)
from colibris.requests import BODY, QUERY
from colibris.throttling import DEFAULT, throttle_of

if TYPE_CHECKING:
    from colibris.persist.views import (
        CreateMixin,
        CreateModelView,
        DestroyMixin,
        DestroyModelView,
        ListCreateModelView,
        ListMixin,
        ListModelView,
        ModelView,
        PageNumberPagination,
        RetrieveDestroyModelView,
        RetrieveMixin,
        RetrieveModelView,
        RetrieveUpdateDestroyModelView,
        RetrieveUpdateModelView,
        UpdateMixin,
        UpdateModelView,
    )

__all__ = [
    'APIView',
    'CreateMixin',
    'CreateModelView',
    'DestroyMixin',
    'DestroyModelView',
    'ListCreateModelView',
    'ListMixin',
    'ListModelView',
    'ModelView',
    'PageNumberPagination',
    'RetrieveDestroyModelView',
    'RetrieveMixin',
    'RetrieveModelView',
    'RetrieveUpdateDestroyModelView',
    'RetrieveUpdateModelView',
    'UpdateMixin',
    'UpdateModelView',
    'View',
]

METHODS = ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')
BODY_METHODS = frozenset({'POST', 'PUT', 'PATCH'})


class View(AbstractView):
    """Answers requests by its methods ``get``, ``post``, ``put``, ``patch``, ``delete``, ``head`` and ``options``.

    A method, sync or async, returns a response, or data that becomes JSON. ``self.request`` is the request.
    What the class says of itself is read once, at start-up.
    """

    authentication_required: ClassVar[bool] = False
    permissions: ClassVar[Any] = ()
    #: How often an account, or an address, may use the view, such as ``'100/minute'``; see `colibris.throttling`.
    throttle: ClassVar[str | Sequence[str] | None] = DEFAULT
    throttle_by: ClassVar[str] = 'account'
    #: After how many seconds a request is cancelled whose answer has not begun; None for never.
    request_timeout: ClassVar[float | str | None] = DEFAULT
    #: For the documentation of the API; what is not given is taken from docstrings and paths.
    summary: ClassVar[str | None] = None
    description: ClassVar[str | None] = None
    tags: ClassVar[Sequence[str] | None] = None
    responses: ClassVar[Mapping[int, Any]] = {}
    hidden: ClassVar[bool] = False

    #: Tells the router's entry for a bare view class apart from a compiled handler; see `endpoint_of`.
    endpoint: ClassVar[None] = None
    _compiled: ClassVar[dict[str, Handler]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._compiled = {}

    @classmethod
    def http_methods(cls) -> tuple[str, ...]:
        """Return the HTTP methods that the class answers."""
        return tuple(method for method in METHODS if callable(getattr(cls, method.lower(), None)))

    @classmethod
    def get_body_schema(cls, method: str) -> Schema | None:
        """Return the schema of the body of a *method* request, if it is to be checked. Called at start-up."""
        return None

    @classmethod
    def get_query_schema(cls, method: str) -> Schema | None:
        """Return the schema of the query parameters of a *method* request. Called at start-up."""
        return None

    @classmethod
    def get_response_schema(cls, method: str) -> Schema | None:
        """Return the schema of a good answer to a *method* request. Called at start-up."""
        return None

    @classmethod
    def describe(cls, method: str) -> Description:
        """Return what else there is to know of *method* before a request comes. Called at start-up."""
        return Description()

    @classmethod
    def compile(cls, method: str, path: str) -> Handler:
        """Make the handler that serves *method* requests to *path*. Called at start-up."""
        function = getattr(cls, method.lower())

        def call(request: web.Request) -> Any:
            return function(cls(request))

        return compile_handler(cls._endpoint(method, path, function), call)

    @classmethod
    def endpoint_for(cls, method: str) -> Endpoint | None:
        """Return the endpoint for *method* of a class that was put into aiohttp's router by itself."""
        handler = cls._handler(method)
        return None if handler is None else handler.endpoint  # type: ignore[attr-defined]

    @classmethod
    def _handler(cls, method: str) -> Handler | None:
        handler = cls._compiled.get(method)
        if handler is None:
            known = cls.http_methods()
            lookup = 'GET' if method == 'HEAD' and method not in known else method
            if lookup in known:
                handler = cls._compiled[method] = cls.compile(lookup, '')
        return handler

    def __await__(self) -> Generator[Any, None, web.StreamResponse]:
        handler = self._handler(self.request.method)
        if handler is None:
            raise api.MethodNotAllowed(headers={'Allow': ', '.join(self.http_methods())})
        return handler(self.request).__await__()

    @classmethod
    def _endpoint(cls, method: str, path: str, function: Callable[..., Any]) -> Endpoint:
        description = cls.describe(method)

        def said(name: str, default: Any) -> Any:
            return getattr(function, name, getattr(cls, name, default))

        return Endpoint(
            method=method,
            path=path,
            function=function,
            view=cls,
            body_schema=cls.get_body_schema(method),
            query_schema=cls.get_query_schema(method),
            response_schema=cls.get_response_schema(method),
            is_list=description.is_list,
            status=description.status,
            authentication_required=getattr(function, 'authentication_required', cls.authentication_required),
            permissions=getattr(function, 'permissions', cls.permissions),
            errors=description.errors,
            docs=docs_of(function, cls),
            throttle=throttle_of(said, name_of(cls)),
            request_timeout=request_timeout_of(said, name_of(cls)),
        )


class APIView(View):
    """A view that declares, by marshmallow schemas, which bodies and query parameters it takes and what it gives.

    The body is checked for POST, PUT and PATCH, the query for every method (for others than GET only where one is
    given). Unless it says otherwise, a view answers with the schema of its bodies.
    """

    body_schema_class: ClassVar[type[Schema] | None] = None
    query_schema_class: ClassVar[type[Schema] | None] = None
    response_schema_class: ClassVar[type[Schema] | None] = None

    @classmethod
    def get_body_schema(cls, method: str) -> Schema | None:
        if method not in BODY_METHODS or cls.body_schema_class is None:
            return None
        return cls.body_schema_class()

    @classmethod
    def get_query_schema(cls, method: str) -> Schema | None:
        return None if cls.query_schema_class is None else cls.query_schema_class()

    @classmethod
    def get_response_schema(cls, method: str) -> Schema | None:
        schema_class = cls.response_schema_class or cls.body_schema_class
        return None if schema_class is None else schema_class()

    async def get_validated_body(self) -> Any:
        """Return the body as the body schema loads it. Raises SchemaError and the other errors of bodies."""
        request = self.request
        if BODY in (checked := request._state):
            return checked[BODY]
        endpoint = endpoint_of(request)
        if endpoint is None or endpoint.body is None:
            raise self._undeclared('body_schema_class')
        return await endpoint.body.load(request)

    async def get_validated_query(self) -> Any:
        """Return the query parameters as the query schema loads them. Raises SchemaError."""
        request = self.request
        if QUERY in (checked := request._state):
            return checked[QUERY]
        endpoint = endpoint_of(request)
        if endpoint is None or endpoint.query is None:
            raise self._undeclared('query_schema_class')
        return endpoint.query.load(request)

    def _undeclared(self, attribute: str) -> TypeError:
        return TypeError(
            f'{type(self).__qualname__} has no schema to check a {self.request.method} request with: '
            f'set {attribute} on the class'
        )


def add_view(router: web.UrlDispatcher, path: str, view: type[View], methods: Iterable[str] | None = None) -> None:
    """Add a route for each of the view's *methods*, compiled; a view with ``get`` answers HEAD too."""
    chosen = tuple(methods or view.http_methods())
    for method in chosen:
        handler = view.compile(method, path)
        router.add_route(method, path, handler)
        if method == 'GET' and 'HEAD' not in chosen:
            router.add_route('HEAD', path, handler)


__getattr__ = hand_on(
    __name__,
    {name: 'colibris.persist.views' for name in __all__ if name not in ('View', 'APIView')},
    'colibris-persist',
)
