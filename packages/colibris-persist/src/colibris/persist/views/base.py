"""The model view: what all of them have in common, whatever they do with their rows."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import Schema
from tortoise.exceptions import MultipleObjectsReturned
from tortoise.exceptions import ValidationError as ModelValidationError
from tortoise.expressions import Q
from tortoise.models import Model
from tortoise.queryset import QuerySet

from colibris import api, security
from colibris.endpoints import Description, Endpoint, Handler, endpoint_of
from colibris.persist import errors, writing
from colibris.persist.filters import ModelFilter
from colibris.persist.models import database_of
from colibris.persist.pagination import PageNumberPagination
from colibris.persist.plans.counting import Mode
from colibris.persist.plans.creating import Creating
from colibris.persist.plans.retrieving import Retrieving
from colibris.persist.query import combine
from colibris.persist.relations import fetch
from colibris.persist.transactions import transaction
from colibris.persist.views.access import check_rule, restrict, restrict_related, rule_of, ruling_views
from colibris.persist.views.own import is_own_row
from colibris.persist.views.parts import Parts, Plan, make_plan
from colibris.schemas import fields
from colibris.views import APIView


@dataclass(frozen=True, slots=True)
class Action:
    """What a mixin does with one HTTP method."""

    name: str
    description: Description
    #: The hook in which it writes, as it is if no view overrides it.
    hook: Callable[..., Any] | None = None


class ModelView(APIView):
    """A view of the rows of a model, put together with at least one of the mixins below.

    `get_query` chooses the rows that the view knows: what it leaves out does not exist for any of its methods.
    `get_related_query` does so for the rows that a body may refer to. `access` chooses them by account, for both.
    """

    model: ClassVar[type[Model]]
    filter_class: ClassVar[type[ModelFilter] | None] = None
    pagination_class: ClassVar[type[PageNumberPagination]] = PageNumberPagination
    #: The field that the URL identifies a row by, and the name of the URL's placeholder for it.
    lookup_field: ClassVar[str] = 'id'
    url_identifier: ClassVar[str] = 'id'
    #: Relations, such as ``author__country``, to be fetched beside those that the response schema reads.
    prefetch: ClassVar[Sequence[str]] = ()
    #: How a list learns its number of rows: 'exact' counts them; 'estimated' asks the database's statistics where
    #: nothing is filtered; with None nobody counts, and ``count`` and ``pages`` of the answer are null.
    count: ClassVar[Mode] = 'exact'

    _parts: ClassVar[Parts | None] = None
    _plans: ClassVar[dict[str, Plan]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._parts = None
        cls._plans = {}
        names: dict[str, str] = {}
        for base in cls.__mro__:
            for method, action in vars(base).get('actions', {}).items():
                if names.setdefault(method, action.name) != action.name:
                    raise TypeError(
                        f'{cls.__qualname__} cannot both {names[method]} and {action.name} by {method}: make two '
                        'views, one for the collection and one for its members'
                    )

    @classmethod
    def compile(cls, method: str, path: str) -> Handler:
        """Make the handler that serves *method* requests to *path*. Called at start-up."""
        parts = cls.parts()
        check_rule(cls)
        action = cls.action(method)
        if action is not None and action.name not in ('list', 'create'):
            parts.check_identified(path)
        handler = super().compile(method, path)
        cls._plans[method] = make_plan(cls, handler.endpoint, action)  # type: ignore[attr-defined]
        return handler

    @classmethod
    def parts(cls) -> Parts:
        """Return what was made of the class's declarations, once."""
        if cls._parts is None:
            cls._parts = Parts(cls)
        return cls._parts

    @classmethod
    def chooses_rows(cls) -> bool:
        """Whether the class chooses rows itself, by a `get_query` or `get_object` of its own."""
        return cls.get_query is not ModelView.get_query or cls.get_object is not ModelView.get_object

    @classmethod
    def finds_by_query(cls) -> bool:
        """Whether a row is what `get_query` and the URL say, and shown as it is."""
        base = ModelView
        return cls.get_object is base.get_object and cls._object is base._object and cls._shown is base._shown

    @classmethod
    def has_fixed_query(cls) -> bool:
        """Whether the class knows all rows of its model, whatever the request is."""
        base = ModelView
        return cls.get_query is base.get_query and cls._query is base._query and not cls.has_rule()

    @classmethod
    def overrides(cls, method: str) -> bool:
        """Whether the class answers *method* itself, rather than by a mixin."""
        for base in cls.__mro__:
            if method in vars(base).get('actions', {}):
                return getattr(cls, method.lower()) is not vars(base).get(method.lower())
        return True

    @classmethod
    def has_rule(cls) -> bool:
        """Whether the class says by an `access` of its own which rows an account may see."""
        return cls.access is not ModelView.access

    @classmethod
    def action(cls, method: str) -> Action | None:
        """Return what the mixins of the class do with *method*; None if the method is the class's own."""
        for base in cls.__mro__:
            if method in (actions := vars(base).get('actions', {})):
                return actions[method]  # type: ignore[no-any-return]
        return None

    @classmethod
    def describe(cls, method: str) -> Description:
        action = cls.action(method)
        return super().describe(method) if action is None else action.description

    @classmethod
    def get_body_schema(cls, method: str) -> Schema | None:
        action = cls.action(method)
        if action is None or action.name not in ('create', 'update'):
            return super().get_body_schema(method)
        if cls.body_schema_class is None:
            raise TypeError(
                f'{cls.__qualname__} answers {method} and needs the schema of its bodies: set body_schema_class'
            )
        if method == 'PATCH':
            return cls.body_schema_class(partial=True)
        if method == 'PUT' and (keys := cls._natural_keys()):
            return cls.body_schema_class(partial=keys)
        return cls.body_schema_class()

    @classmethod
    def _natural_keys(cls) -> tuple[str, ...]:
        """Return the names of body fields for the primary key: a changed row keeps its own."""
        loaded = cls.body_schema_class().load_fields if cls.body_schema_class else {}
        return tuple(name for name, field in loaded.items() if (field.attribute or name) == cls.model._meta.pk_attr)

    @classmethod
    def get_query_schema(cls, method: str) -> Schema | None:
        action = cls.action(method)
        if action is None or action.name != 'list':
            return super().get_query_schema(method)
        parts = cls.parts()
        found: dict[str, Mapping[str, fields.Field[Any]]] = {}
        if parts.filter is not None:
            found[type(parts.filter).__name__] = parts.filter.fields
        found[type(parts.pagination).__name__] = parts.pagination.fields
        return combine(cls.__qualname__, cls.query_schema_class, found)()

    @classmethod
    def get_response_schema(cls, method: str) -> Schema | None:
        action = cls.action(method)
        if action is not None and action.name == 'destroy':
            return None
        schema = super().get_response_schema(method)
        if schema is None and action is not None:
            raise TypeError(
                f'{cls.__qualname__} answers {method} and needs the schema of its answers: set response_schema_class '
                'or body_schema_class'
            )
        return schema

    @classmethod
    def path_fields(cls, method: str) -> Mapping[str, fields.Field[Any]]:
        """Return the schema fields of the URL's placeholders that are known, for the documentation of the API."""
        return {cls.url_identifier: cls.parts().identifier_field}

    def access(self, account: Any) -> Q:
        """Return the condition on the rows that *account* may see, change, delete and refer to; it is None for nobody.

        Other rows do not exist for it: they are not listed, their addresses are not found, and no body, of whichever
        view, can refer to them.
        """
        return Q()

    def get_query(self) -> QuerySet[Any]:
        """Return the query of the rows that there are for this request; may be overridden as an async method too."""
        return restrict(self.model.all(), rule_of(self))

    def get_related_query(self, name: str) -> QuerySet[Any]:
        """Return the query of the rows that a body may refer to by the relation *name*; may be async too.

        They are those that the account may see in all views of theirs.
        """
        return restrict_related(self.request, self._related_model(name).all())

    def _related_model(self, name: str) -> type[Model]:
        related: type[Model] = self.model._meta.fields_map[name].related_model  # type: ignore[attr-defined]
        return related

    async def get_object(self) -> Any:
        """Return the row that the URL identifies, out of those of `get_query`. Raises NotFound."""
        return await _only(await self._identified(self._identify()))

    def _identify(self) -> Any:
        """Return the value by which the URL identifies a row. Raises NotFound if it cannot be any row's."""
        value = self.parts().identify(self.request.match_info[self.url_identifier])
        if value is None:
            raise api.NotFound
        return value

    async def _identified(self, value: Any) -> QuerySet[Any]:
        """Return the query of the row that *value* identifies."""
        return (await self._query()).filter(self.parts().condition(value))

    async def _retrieved(self, retrieving: Retrieving) -> Any:
        """Return the answer that shows the row that the URL identifies, made without an instance if that can be."""
        value = self._identify()
        if type(self).get_query is ModelView.get_query and is_own_row(self, value):
            return await self._shown(self.request[security.ACCOUNT])
        if retrieving.takes_value:
            body = await retrieving.answer_by_value(value)
        else:
            query = await self._identified(value)
            if not retrieving.takes(query):
                return await self._shown(await _only(query))
            body = await retrieving.answer(query)
        if body is None:
            raise api.NotFound
        return api.Encoded(body)

    async def _query(self) -> QuerySet[Any]:
        query = await _awaited(self.get_query())
        return query if type(self).get_query is ModelView.get_query else restrict(query, rule_of(self))

    async def _object(self) -> Any:
        """Return what `get_object` finds; what one of the view's own finds is held against its rule, too."""
        obj = await self.get_object()
        if type(self).get_object is ModelView.get_object or (rule := rule_of(self)) is None:
            return obj
        if not await restrict(self.model.filter(pk=obj.pk), rule).exists():
            raise api.NotFound
        return obj

    async def _related_query(self, name: str) -> QuerySet[Any]:
        return await _awaited(self.get_related_query(name))

    def _planned(self) -> tuple[Endpoint, Plan]:
        endpoint = endpoint_of(self.request)
        if endpoint is None or endpoint.method not in self._plans:
            raise RuntimeError(f'{type(self).__qualname__} serves only requests that were routed to it')
        return endpoint, self._plans[endpoint.method]

    async def _fitting_body(self, plan: Plan) -> Any:
        """Return the checked body with the names and values of the model's columns."""
        data = await self.get_validated_body()
        writer = plan.writer
        if writer is None:
            return data
        data = writer.fit(data)
        if writer.refers and isinstance(data, dict):
            await self._check_references(data)
        return data

    async def _check_references(self, data: Mapping[str, Any]) -> None:
        """Refuse references to rows that there are, but not for this request."""
        missing = await writing.missing_references(self.model, data, self._related_query, chosen=self._chooses_related)
        if missing:
            raise self._relabelled(_missing(missing))

    def _chooses_related(self, name: str) -> bool:
        """Whether there may be rows to which a body must not refer by the relation *name*."""
        if type(self).get_related_query is not ModelView.get_related_query:
            return True
        return bool(ruling_views(self.request, self._related_model(name)))

    @asynccontextmanager
    async def _writing(self, data: Any = None) -> AsyncIterator[None]:
        """Write, in a transaction if several statements may be needed; what the database refuses is answered."""
        plan = self._planned()[1]
        many = isinstance(data, dict) and not self.model._meta.m2m_fields.isdisjoint(data)
        try:
            if plan.in_transaction or many:
                async with transaction(database_of(self.model)):
                    yield
            else:
                yield
        except (errors.Refusal, ModelValidationError) as exc:
            raise await self._refused(exc, data) from exc

    async def _inserted(
        self, creating: Creating, data: Any, lookup: str | None
    ) -> tuple[Mapping[str, Any], bytes] | None:
        """Make a row of *data* without an instance: return it, *lookup* included, and its JSON; None if that cannot be.

        What the database refuses is answered.
        """
        if lookup is not None:
            creating.read(lookup)
        try:
            return await creating.create(data)
        except (errors.Refusal, ModelValidationError) as exc:
            raise await self._refused(exc, data) from exc

    async def _refused(self, error: errors.Refusal | ModelValidationError, data: Any) -> Exception:
        """Return the exception that answers what the database or the model refused."""
        if isinstance(error, errors.Refusal):
            answer = await self._answer(error, data)
        else:
            answer = errors.translate(error)
        return error if answer is None else self._relabelled(answer)

    async def _answer(self, error: errors.Refusal, data: Any) -> api.APIException | None:
        if isinstance(error, errors.MissingReference) and isinstance(data, dict):
            named = errors.fields_of(error, self.model)
            missing = named or await writing.missing_references(self.model, data, self._related_query)
            if missing:
                return _missing(missing)
        return errors.translate(error, self.model)

    def _relabelled(self, error: Any) -> Any:
        """Call the fields in *error* as the client does."""
        writer = self._planned()[1].writer
        if writer is not None and isinstance(error, api.APIException) and isinstance(error.details, dict):
            error.details = {writer.label(name): messages for name, messages in error.details.items()}
        return error

    async def _shown(self, obj: Any) -> Any:
        """Fetch what the response schema reads of *obj* beside its columns."""
        await fetch([obj], self._planned()[1].relations)
        return obj


async def _only(query: QuerySet[Any]) -> Any:
    """Return the one row of *query*. Raises NotFound."""
    found = await query.limit(2)
    if not found:
        raise api.NotFound
    if found[0].pk != found[-1].pk:  # a query that joins others may give the same row again, but no second one
        raise MultipleObjectsReturned(query.model)
    return found[0]


async def _awaited(query: Any) -> QuerySet[Any]:
    found: QuerySet[Any] = await query if inspect.iscoroutine(query) else query
    return found


def _missing(columns: Sequence[str]) -> api.SchemaError:
    message = 'this refers to something that does not exist'
    return api.SchemaError('some fields of the body are not valid', details={name: [message] for name in columns})
