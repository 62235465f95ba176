"""Object rules: which rows of a model an account may see. What it may not see does not exist for it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from aiohttp import web
from tortoise.expressions import Q, Subquery
from tortoise.fields import relational
from tortoise.models import Model
from tortoise.queryset import QuerySet

from colibris.conf import settings
from colibris.endpoints import endpoints
from colibris.security import ACCOUNT, DummyAccount

if TYPE_CHECKING:
    from colibris.persist.views.base import ModelView

#: By application, and by model: the views that have rules for its rows.
_ruling: WeakKeyDictionary[web.Application, dict[type[Model], tuple[type[ModelView], ...]]] = WeakKeyDictionary()


def check_rule(view: type[ModelView]) -> None:
    """Raise TypeError if *view* has a rule that could not work; called at start-up."""
    if not view.has_rule():
        return
    if inspect.iscoroutinefunction(view.access):
        raise TypeError(
            f'{view.__qualname__}.access must be a plain method that returns a Q; what is asked of the '
            'database belongs into the Q, or into an async get_query'
        )
    if not settings.is_set('AUTHENTICATION'):
        raise TypeError(
            f'{view.__qualname__}.access chooses rows by the account of a request, but AUTHENTICATION is not set: '
            'install colibris-auth and set AUTHENTICATION in settings.py'
        )


def rule_of(view: ModelView) -> Q | None:
    """Return the rule of *view* for the account of its request; None if it may see all.

    The dummy account, which there is only when authentication is switched off in so many words, may see everything.
    """
    if not view.has_rule():
        return None
    account = view.request[ACCOUNT]
    if isinstance(account, DummyAccount):
        return None
    rule = view.access(account)
    if not isinstance(rule, Q):
        raise TypeError(f'{type(view).__qualname__}.access must return a Q, not {rule!r}; Q() is everything')
    return rule


def restrict(query: QuerySet[Any], rule: Q | None) -> QuerySet[Any]:
    """Return *query* without the rows that *rule* hides."""
    if rule is None:
        return query
    if not _leads_to_many(query.model, rule):
        return query.filter(rule)
    # A join would repeat rows that relate to several others.
    return query.filter(pk__in=Subquery(query.model.filter(rule).values_list(query.model._meta.pk_attr)))


def restrict_related(request: web.Request, query: QuerySet[Any]) -> QuerySet[Any]:
    """Return *query* without the rows that a rule of some view of their model hides from the account of *request*."""
    for view in ruling_views(request, query.model):
        query = restrict(query, rule_of(view(request)))
    return query


def ruling_views(request: web.Request, model: type[Model]) -> tuple[type[ModelView], ...]:
    """Return the views of the application that have rules for the rows of *model*."""
    from colibris.persist.views.base import ModelView

    app = request.match_info.apps[0]  # the outermost: its endpoints are those of all within
    known = _ruling.setdefault(app, {})
    if model not in known:
        views = dict.fromkeys(endpoint.view for endpoint in endpoints(app))
        known[model] = tuple(
            view
            for view in views
            if view is not None and issubclass(view, ModelView) and view.model is model and view.has_rule()
        )
    return known[model]


def _leads_to_many(model: type[Model], rule: Q) -> bool:
    """Whether *rule* speaks of a relation to several rows."""
    paths = [*rule.filters, *([rule.path] if hasattr(rule, 'path') else [])]
    return any(_is_to_many(model, path) for path in paths) or any(_leads_to_many(model, q) for q in rule.children)


def _is_to_many(model: type[Model], path: str) -> bool:
    for name in path.split('__'):
        field = model._meta.fields_map.get(name)
        if not isinstance(field, relational.RelationalField):
            return False
        to_one = isinstance(field, (relational.ForeignKeyFieldInstance, relational.BackwardOneToOneRelation))
        if not to_one:
            return True
        model = field.related_model
    return False
