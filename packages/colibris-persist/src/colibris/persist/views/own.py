"""The row of the account that makes a request: where it is certain what a query would find, none is sent.

The guard has read the row for the same request. It is what a query would find if, since then, nothing of the project's
own ran that could have changed the row or the instance; and if the query would choose it, by the URL and by the rule.
On any doubt the query is sent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID
from weakref import WeakKeyDictionary

from aiohttp import web
from tortoise.expressions import Q
from tortoise.models import Model

from colibris import middleware
from colibris.endpoints import endpoint_of
from colibris.persist.views.access import rule_of
from colibris.security import ACCOUNT, ACCOUNT_READ

if TYPE_CHECKING:
    from colibris.persist.views.base import ModelView

#: The classes of values that cannot be changed in their place.
_FIXED = frozenset(
    {
        *(bool, bytes, int, float, str, type(None), Decimal, UUID),
        *(dt.date, dt.datetime, dt.time, dt.timedelta),
    }
)

#: By application: whether only middlewares of ours stand between its guard and its views.
_direct: WeakKeyDictionary[web.Application, bool] = WeakKeyDictionary()


def is_own_row(view: ModelView, value: Any) -> bool:
    """Whether *value*, by which the URL of a request that reads identifies a row, is that of the request's account.

    Then the account is what the query of *view*, which chooses no rows itself, would find.
    """
    request = view.request
    read = request._state.get(ACCOUNT_READ)
    if read is None or request._method not in ('GET', 'HEAD'):
        return False
    account, attributes = cast('tuple[Model, Mapping[str, Any]]', read)
    if type(account) is not view.model or request._state.get(ACCOUNT) is not account:
        return False
    found = attributes.get(view.parts().lookup)
    if type(found) is not type(value) or found != value or not _goes_straight(request):
        return False
    rule = rule_of(view)
    return (rule is None or _names(rule, account)) and _is_as_read(account, attributes)


def _names(rule: Q, row: Model) -> bool:
    """Whether all that *rule* asks is the primary key of *row*."""
    if type(rule) is not Q or rule._is_negated or rule.children or len(rule.filters) != 1:
        return False
    ((name, value),) = rule.filters.items()
    return name in ('pk', row._meta.pk_attr) and type(value) is type(row.pk) and bool(value == row.pk)


def _is_as_read(account: Model, attributes: Mapping[str, Any]) -> bool:
    """Whether *account* has all its columns, with the values that were read, and nothing else besides."""
    now = vars(account)
    if len(now) != len(attributes):
        return False
    for name in account._meta.fields_db_projection:
        value = attributes.get(name, attributes)
        if now.get(name) is not value or not (type(value) in _FIXED or isinstance(value, Enum)):
            return False
    return True


def _goes_straight(request: web.Request) -> bool:
    """Whether no code of the project's runs between the guard and the view that *request* goes to."""
    endpoint = endpoint_of(request)
    apps = request.match_info.apps
    if endpoint is None or endpoint.permissions or len(apps) != 1:
        return False
    app = apps[0]
    direct = _direct.get(app)
    if direct is None:
        direct = _direct[app] = _is_direct(app)
    return direct


def _is_direct(app: web.Application) -> bool:
    found: list[Any] = list(app.middlewares)
    if middleware.handle_auth not in found:
        return False
    between = found[found.index(middleware.handle_auth) + 1 :]
    return all(each is middleware.handle_schema_validation for each in between)
