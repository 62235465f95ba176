"""The mixins of model views: what a view does with its rows, one a HTTP method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol
from urllib.parse import quote
from weakref import WeakKeyDictionary

from aiohttp import web
from tortoise.models import Model
from tortoise.queryset import QuerySet

from colibris import api
from colibris.endpoints import Description, Endpoint, endpoints
from colibris.persist import errors, writing
from colibris.persist.plans.creating import Creating
from colibris.persist.plans.retrieving import Retrieving
from colibris.persist.relations import fetch
from colibris.persist.views.base import Action, ModelView
from colibris.persist.views.parts import Parts, Plan
from colibris.responses import JSONResponse


class _ModelView(Protocol):
    """What the mixins need of the view that they are mixed into; `ModelView` has it."""

    @property
    def model(self) -> type[Model]: ...
    @property
    def request(self) -> web.Request: ...
    @classmethod
    def parts(cls) -> Parts: ...
    async def _object(self) -> Any: ...
    async def get_validated_query(self) -> Any: ...
    async def _query(self) -> QuerySet[Any]: ...
    async def _related_query(self, name: str) -> QuerySet[Any]: ...
    async def _fitting_body(self, plan: Plan) -> Any: ...
    async def _shown(self, obj: Any) -> Any: ...
    async def _retrieved(self, retrieving: Retrieving) -> Any: ...
    async def _inserted(
        self, creating: Creating, data: Any, lookup: str | None
    ) -> tuple[Mapping[str, Any], bytes] | None: ...
    def _planned(self) -> tuple[Endpoint, Plan]: ...
    def _writing(self, data: Any = None) -> AbstractAsyncContextManager[None]: ...


class _Creates(_ModelView, Protocol):
    async def perform_create(self, data: dict[str, Any]) -> Any: ...


class _Updates(_ModelView, Protocol):
    async def perform_update(self, obj: Any, data: dict[str, Any]) -> Any: ...
    async def _update(self, obj: Any, data: dict[str, Any]) -> Any: ...


class _Destroys(_ModelView, Protocol):
    async def perform_destroy(self, obj: Any) -> None: ...


class ListMixin:
    """Answers GET with a page of the rows, filtered and ordered as the query asks."""

    actions: ClassVar[Mapping[str, Action]] = {'GET': Action('list', Description(is_list=True))}

    async def get(self: _ModelView) -> Any:
        """List."""
        args = await self.get_validated_query()
        plan = self._planned()[1]
        if plan.listing is not None and plan.listing.is_usual(args):
            return api.Encoded(await plan.listing.answer(None, args))
        parts = self.parts()
        query = await self._query()
        patterns: list[str] = []
        if parts.filter is not None:
            query = parts.filter.apply(query, args)
            patterns = parts.filter.patterns(args)
        try:
            if plan.listing is not None and plan.listing.takes(query):
                return api.Encoded(await plan.listing.answer(query, args))
            envelope = await parts.pagination.paginate(query, args)
        except errors.OperationalError as exc:
            if patterns and not isinstance(exc, errors.TransactionConflict):
                message = 'Not a regular expression that this database accepts.'
                raise api.SchemaError(
                    'some query parameters are not valid', details={name: [message] for name in patterns}
                ) from exc
            raise
        await fetch(envelope['results'], plan.relations)
        return envelope


class CreateMixin:
    """Answers POST by making a row: 201, with its address in the header Location if the project has a view of it."""

    async def perform_create(self: _ModelView, data: dict[str, Any]) -> Any:
        """Make a row of *data*, the checked body by the names of columns, and return it.

        An override runs in a transaction.
        """
        return await writing.create(self.model, data, self._related_query)

    actions: ClassVar[Mapping[str, Action]] = {
        'POST': Action('create', Description(status=201, errors=(api.Duplicate,)), hook=perform_create)
    }

    async def post(self: _Creates) -> web.StreamResponse:
        """Create."""
        endpoint, plan = self._planned()
        data = await self._fitting_body(plan)
        if plan.creating is not None:
            member = _member(self.request, endpoint, self.model)
            made = await self._inserted(plan.creating, data, member.lookup if member is not None else None)
            if made is not None:
                row, body = made
                location = None if member is None else member.address(self.request, row[member.lookup])
                return JSONResponse(body, endpoint.status, location)
        async with self._writing(data):
            obj = await self.perform_create(data)
        if not isinstance(obj, Model):
            raise TypeError(f'{type(self).__qualname__}.perform_create must return the row that it made, not {obj!r}')
        response = endpoint.respond(await self._shown(obj))
        if (member := _member(self.request, endpoint, type(obj))) is not None:
            response.headers['Location'] = member.address(self.request, getattr(obj, member.lookup))
        return response


class RetrieveMixin:
    """Answers GET with one row."""

    actions: ClassVar[Mapping[str, Action]] = {'GET': Action('retrieve', Description(errors=(api.NotFound,)))}

    async def get(self: _ModelView) -> Any:
        """Retrieve."""
        retrieving = self._planned()[1].retrieving
        if retrieving is not None:
            return await self._retrieved(retrieving)
        return await self._shown(await self._object())


class UpdateMixin:
    """Answers PATCH by changing what the body gives of a row, and PUT by changing all of it.

    What a PUT leaves out takes its default, as it would in a new row, unless clients can only write it.
    """

    async def perform_update(self: _ModelView, obj: Any, data: dict[str, Any]) -> Any:
        """Change *obj* to *data*, the checked body by the names of columns; a row that is returned is shown instead.

        An override runs in a transaction.
        """
        await writing.update(obj, data, self._related_query)
        return obj

    _errors = Description(errors=(api.NotFound, api.Duplicate))
    actions: ClassVar[Mapping[str, Action]] = {
        'PUT': Action('update', _errors, hook=perform_update),
        'PATCH': Action('update', _errors, hook=perform_update),
    }

    async def put(self: _Updates) -> Any:
        """Replace."""
        obj = await self._object()
        plan = self._planned()[1]
        data = await self._fitting_body(plan)
        writer = plan.writer
        if writer is not None and isinstance(data, dict):
            data = await writer.with_defaults(data)
        return await self._update(obj, data)

    async def patch(self: _Updates) -> Any:
        """Change."""
        return await self._update(await self._object(), await self._fitting_body(self._planned()[1]))

    async def _update(self: _Updates, obj: Any, data: dict[str, Any]) -> Any:
        async with self._writing(data):
            changed = await self.perform_update(obj, data)
        return await self._shown(changed if isinstance(changed, Model) else obj)


class DestroyMixin:
    """Answers DELETE by removing a row: 204, without a body."""

    async def perform_destroy(self: _ModelView, obj: Any) -> None:
        """Remove *obj*. An override runs in a transaction."""
        await writing.delete(obj)

    actions: ClassVar[Mapping[str, Action]] = {
        'DELETE': Action(
            'destroy', Description(status=204, errors=(api.NotFound, api.Referenced)), hook=perform_destroy
        )
    }

    async def delete(self: _Destroys) -> None:
        """Delete."""
        obj = await self._object()
        async with self._writing():
            await self.perform_destroy(obj)


@dataclass(frozen=True, slots=True)
class _Member:
    """Where the rows of a collection have their addresses."""

    #: The column that identifies a row, how its values are written, and what follows them in the address.
    lookup: str
    written: Callable[[Any], str]
    end: str

    def address(self, request: web.Request, value: Any) -> str:
        """Return the address of the row that *value* identifies, of the collection that *request* asks for."""
        identifier = str(value) if type(value) is int else quote(self.written(value), safe='')
        return f'{request._rel_url.raw_path.rstrip("/")}/{identifier}{self.end}'


#: By application, and by path and model of a collection.
_members: WeakKeyDictionary[web.Application, dict[tuple[str, type[Model]], _Member | None]] = WeakKeyDictionary()


def _member(request: web.Request, endpoint: Endpoint, model: type[Model]) -> _Member | None:
    """Return where rows of *model* have their addresses, if there is a view that retrieves them below this one."""
    app = request.app
    known = _members.get(app)
    if known is None:
        known = _members[app] = {}
    key = endpoint.path, model
    if key not in known:
        known[key] = _find_member(app, endpoint.path, model)
    return known[key]


def _find_member(app: web.Application, path: str, model: type[Model]) -> _Member | None:
    for candidate in endpoints(app):
        view = candidate.view
        if candidate.method != 'GET' or view is None or not issubclass(view, ModelView) or view.model is not model:
            continue
        start, separator, end = candidate.path.rpartition(f'/{{{view.url_identifier}')
        if separator and start == path.rstrip('/') and end.endswith(('}', '}/')):
            parts = view.parts()
            return _Member(parts.lookup, parts.written, end[end.index('}') + 1 :])
    return None
