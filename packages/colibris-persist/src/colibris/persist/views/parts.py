"""What the declarations of a model view come to, made once at start-up."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marshmallow import Schema
from tortoise.expressions import Q
from tortoise.models import Model

from colibris.conf import settings
from colibris.endpoints import Endpoint
from colibris.persist import columns, matching
from colibris.persist.conversion import schema_field, storage_validators
from colibris.persist.database import current
from colibris.persist.filters import ModelFilter
from colibris.persist.models import database_of
from colibris.persist.names import hint
from colibris.persist.pagination import PageNumberPagination
from colibris.persist.plans.counting import MODES
from colibris.persist.plans.creating import Creating
from colibris.persist.plans.listing import Listing, Usual
from colibris.persist.plans.reading import NeedsInstances, Reading, reading_of
from colibris.persist.plans.retrieving import Retrieving
from colibris.persist.relations import Relations, relations_read
from colibris.persist.subsystem import subsystem
from colibris.persist.writing import Writer
from colibris.schemas import ValidationError

if TYPE_CHECKING:
    from colibris.persist.views.base import Action, ModelView

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one method of a model view needs to know of its schemas."""

    relations: Relations
    writer: Writer | None
    #: Whether what it writes needs a transaction although only columns of one row are given.
    in_transaction: bool
    #: How it answers without making instances, where it can.
    listing: Listing | None = None
    retrieving: Retrieving | None = None
    creating: Creating | None = None


def make_plan(view: type[ModelView], endpoint: Endpoint, action: Action | None) -> Plan:
    """Return the plan of *endpoint*. Raises TypeError for schemas with which it could not work."""
    writer = None
    in_transaction = False
    if action is not None and action.hook is not None:
        is_own = getattr(view, action.hook.__name__) is not action.hook
        in_transaction = is_own or _writes_more(view.model, action.name)
        if endpoint.body_schema is not None:
            writer = Writer(view.model, endpoint.body_schema)
            if not is_own:
                writer.check_complete(view.__qualname__)
            if not in_transaction and action.name == 'create':
                writer.check_creates(view.__qualname__)
    relations = relations_read(endpoint.response_schema, view.model, view.prefetch)
    plan = Plan(relations, writer, in_transaction)
    schema = endpoint.response_schema
    if action is None or schema is None or (reading := _reading(view, endpoint, schema)) is None:
        return plan
    parts = view.parts()
    if action.name == 'list' and parts.pagination.is_default:
        usual = parts.usual_list() if view.has_fixed_query() else None
        return replace(plan, listing=Listing(reading, schema, parts.pagination, usual))
    if action.name == 'retrieve' and view.finds_by_query():
        by_value = (parts.lookup, parts.condition) if view.has_fixed_query() else None
        return replace(plan, retrieving=Retrieving(reading, schema, by_value))
    if action.name == 'create' and writer is not None and not in_transaction:
        return replace(plan, creating=_creating(reading, schema))
    return plan


def _creating(reading: Reading, schema: Schema) -> Creating | None:
    try:
        return Creating(reading, schema)
    except NeedsInstances as exc:
        logger.debug('new rows of %s are made as instances: %s', reading.model.__name__, exc)
        return None


def _reading(view: type[ModelView], endpoint: Endpoint, schema: Schema) -> Reading | None:
    """Return what a view reads of rows where that is all that it needs; None if it needs instances."""
    if view.prefetch or view.overrides(endpoint.method):
        return None
    try:
        return reading_of(schema, view.model)
    except NeedsInstances as exc:
        logger.debug('%s %s makes instances: %s', endpoint.method, endpoint.path, exc)
        return None


class Parts:
    """What a model view's declarations come to: its filter, its pagination, how it identifies a row."""

    def __init__(self, view: type[ModelView]) -> None:
        self.view = view.__qualname__
        model = getattr(view, 'model', None)
        if not (isinstance(model, type) and issubclass(model, Model)):
            raise TypeError(f'{self.view} needs a model: set model to a subclass of colibris.persist.Model')
        if not model._meta._inited:
            raise TypeError(
                f'{self.view}: the model {model.__name__} is not known to the database; models live in the '
                "project's module models, and DATABASE must be set"
            )
        self.model: type[Model] = model
        self.identifier = view.url_identifier
        self.lookup = self._lookup(view)
        self.pagination = self._pagination(view)
        self.filter = self._filter(view)
        #: The schema field of what identifies a row in the URL.
        self.identifier_field = schema_field(
            self._lookup_column, required=False, validate=list(storage_validators(self._lookup_column)), metadata={}
        )
        #: The largest number that may identify a row, if numbers do.
        self._most: int | None = None
        if type(self.identifier_field) is columns.Integer and self._lookup_column.constraints['ge'] <= 1:
            self._most = self._lookup_column.constraints['le']

    def _lookup(self, view: type[ModelView]) -> str:
        meta = self.model._meta
        name = view.lookup_field
        if name == 'pk' or (name == 'id' and name not in meta.fields_map):
            name = meta.pk_attr
        if name not in meta.fields_db_projection:
            raise TypeError(
                f'{self.view}: {self.model.__name__} has no column {name!r} for lookup_field'
                f'{hint(name, meta.fields_db_projection)}'
            )
        self._lookup_column = meta.fields_map[name]
        unique = self._lookup_column.unique or self._lookup_column.pk
        if not unique and not view.chooses_rows():
            raise TypeError(
                f'{self.view}: lookup_field {name!r} is not unique, so that it does not identify one '
                f'{self.model.__name__}; make it unique or narrow get_query'
            )
        return name

    def _pagination(self, view: type[ModelView]) -> PageNumberPagination:
        if not (isinstance(view.pagination_class, type) and issubclass(view.pagination_class, PageNumberPagination)):
            raise TypeError(
                f'{self.view}: pagination_class must be a subclass of PageNumberPagination, not '
                f'{view.pagination_class!r}; a list is always paginated'
            )
        if view.count not in MODES:
            raise TypeError(f"{self.view}: count must be 'exact', 'estimated' or None, not {view.count!r}")
        pagination = view.pagination_class()
        pagination.counting = view.count
        return pagination

    def _filter(self, view: type[ModelView]) -> ModelFilter | None:
        if view.filter_class is None:
            return None
        if not (isinstance(view.filter_class, type) and issubclass(view.filter_class, ModelFilter)):
            raise TypeError(f'{self.view}: filter_class must be a subclass of ModelFilter, not {view.filter_class!r}')
        made = view.filter_class(dialect=_dialect(self.model))
        if not issubclass(self.model, made.model):
            raise TypeError(
                f'{self.view}: {type(made).__name__} filters {made.model.__name__}, not {self.model.__name__}'
            )
        return made

    def usual_list(self) -> Usual | None:
        """Return the query of a list for which nothing is asked, if the view's filter is one like any other."""
        if self.filter is None:
            return Usual(self.model.all, frozenset())
        if type(self.filter).apply is not ModelFilter.apply:
            return None
        apply = self.filter.apply
        return Usual(lambda: apply(self.model.all(), {}), frozenset(self.filter.fields))

    def check_identified(self, path: str) -> None:
        """Raise TypeError if *path* has no place for what identifies a row."""
        if path and not any(f'{{{self.identifier}{end}' in path for end in '}:'):
            raise TypeError(
                f'{self.view} shows single rows, but its path {path!r} has no {{{self.identifier}}} to tell which; '
                'add it, or set url_identifier'
            )

    def identify(self, given: str) -> Any:
        """Return the value of the column that *given*, from the URL, stands for; None if it cannot be any."""
        if self._most is not None and given.isascii() and given.isdigit() and len(given) < 19 and given[0] != '0':
            value = int(given)
            return value if value <= self._most else None
        try:
            value = self.identifier_field.deserialize(given)
        except ValidationError:
            return None
        if isinstance(value, str):
            return value
        # One row has one address: 7, not 07 or +7; but the digits of a UUID may be in any case.
        return value if self.written(value) in (given, given.lower()) else None

    def written(self, value: Any) -> str:
        """Return what stands for *value*, of the column, in the URL."""
        return str(value if type(value) is int else self.identifier_field._serialize(value, None, None))

    def condition(self, value: Any) -> Q:
        """Return what selects the row whose column has *value*."""
        return matching.TextQ(self.lookup, 'eq', value) if isinstance(value, str) else Q(**{self.lookup: value})


def _dialect(model: type[Model]) -> str | None:
    """Return the dialect of the database that *model* lives in, open or not."""
    name = database_of(model)
    if (databases := current()) is not None:
        return databases.backends[name].dialect
    return subsystem.backend_of(name).dialect if settings.is_set(subsystem.setting) else None


def _writes_more(model: type[Model], action: str) -> bool:
    """Whether the model itself may do more than one statement when a row is written."""
    if action == 'destroy':
        signals = ('pre_delete', 'post_delete')
        changed = model.delete is not Model.delete
    else:
        signals = ('pre_save', 'post_save')
        changed = model.save is not Model.save or model.create.__func__ is not Model.create.__func__  # type: ignore[attr-defined]
    listened = any(signal.name in signals and model in models for signal, models in Model._listeners.items())
    return changed or listened
