"""Authorization by rights: rows that say which account may do which operation on which resource."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from aiohttp import web

from colibris import plugins
from colibris.authentication.accounts import is_storable
from colibris.authorization.base import AuthorizationBackend
from colibris.authorization.errors import misconfigured
from colibris.authorization.permissions import name_of

if TYPE_CHECKING:
    from tortoise.models import Model


class RightsBackend(AuthorizationBackend):
    """Permits ``'users:update'`` to accounts with a right to the operation ``update`` on the resource ``users``.

    *model* is the model of the rights or its import path. *account_field* is its foreign key to the accounts, or a
    column that holds their primary keys (the claim ``sub`` where claims are the accounts); *resource_field* and
    *operation_field* are columns of texts or enumerations. What a request needs is looked up with one query.
    """

    def __init__(self, *, model: str | type, account_field: str, resource_field: str, operation_field: str) -> None:
        self._spec = model
        self._fields = {
            'account_field': account_field,
            'resource_field': resource_field,
            'operation_field': operation_field,
        }
        for option, name in self._fields.items():
            if not isinstance(name, str) or not name:
                raise TypeError(f'{option} must be the name of a field, not {name!r}')
        self._resource, self._operation = resource_field, operation_field
        self._resolved: type[Model] | None = None
        self._account_model: type | None = None

    def bind(self, *, account_model: type | None, debug: bool) -> None:
        self._account_model = account_model

    @property
    def model(self) -> type[Model]:
        """The model of the rights; known once the backend is open."""
        if self._resolved is None:
            raise RuntimeError('rights are asked for before the authorization is open')
        return self._resolved

    async def open(self) -> None:
        model = _find_model(self._spec)
        meta = model._meta
        for option, name in self._fields.items():
            if name in meta.fields_db_projection or (option == 'account_field' and name in meta.fk_fields):
                continue
            raise misconfigured(
                option, f'the model {model.__name__} has no column {name!r} (it has: {", ".join(meta.fields_map)})'
            )
        self._account_column, self._account_key = self._account(model)
        self._resolved = model

    def _account(self, model: type[Model]) -> tuple[str, str | None]:
        """Return the column for accounts, and which of their columns it holds; None is the primary key."""
        name = self._fields['account_field']
        relation: Any = model._meta.fields_map[name]
        if name not in model._meta.fk_fields:
            return name, None
        related: type = relation.related_model
        if self._account_model is not None and not issubclass(self._account_model, related):
            raise misconfigured(
                'account_field',
                f'{model.__name__}.{name} refers to {related.__name__}, but accounts are of the model '
                f'{self._account_model.__name__}',
            )
        return str(relation.source_field), str(relation.to_field)

    async def permits(self, account: Any, permission: str, request: web.Request) -> bool:
        return permission in await self.permitted(account, {permission}, request)

    async def permitted(self, account: Any, permissions: Set[str], request: web.Request) -> Set[str]:
        wanted = [split for permission in permissions if (split := _split(permission)) and not self._problem(*split)]
        value = self._value(account)
        if not wanted or value is None:
            return frozenset()
        resources, operations = (sorted(set(names)) for names in zip(*wanted, strict=True))
        columns = (self._account_column, self._resource, self._operation)
        rows = await self.model.filter(
            **{columns[0]: value, f'{columns[1]}__in': resources, f'{columns[2]}__in': operations}
        ).values_list(*columns)
        # Compared once more here: what a database takes for equal, such as letters of another case, is another one.
        held = {f'{name_of(resource)}:{name_of(operation)}' for owner, resource, operation in rows if owner == value}
        return held & permissions

    def _problem(self, resource: str, operation: str) -> str | None:
        """Return why no row can be a right of these names; None if one can."""
        for column, name in ((self._resource, resource), (self._operation, operation)):
            field: Any = self.model._meta.fields_map[column]
            there = [str(name_of(member)) for member in getattr(field, 'enum_type', ())]
            if there and name not in there:
                return f'{name!r} is no {column} (there are: {", ".join(there)})'
            if len(name) > getattr(field, 'max_length', len(name)):
                return f'{name!r} is longer than the column {column}'
        return None

    def _value(self, account: Any) -> Any:
        """Return what the rights of *account* bear; None if it can have none."""
        if isinstance(account, Mapping):
            value = account.get('sub')
        else:
            value = getattr(account, self._account_key or 'pk', None)
        column: Any = self.model._meta.fields_map[self._account_column]
        return str(value) if column.field_type is str and value is not None else value

    def check_permission(self, permission: str) -> None:
        split = _split(permission)
        if split is None:
            raise ValueError(
                f'with rights a permission is called after a resource and an operation, like "users:update", not '
                f'{permission!r}'
            )
        problem = None if self._resolved is None else self._problem(*split)
        if problem is not None:
            raise ValueError(f'nobody could have the permission {permission!r}: {problem}')


def _split(permission: str) -> tuple[str, str] | None:
    resource, _, operation = permission.partition(':')
    return (resource, operation) if is_storable(resource) and is_storable(operation) else None


def _find_model(spec: str | type) -> type[Model]:
    try:
        from tortoise.models import Model
    except ImportError as exc:
        raise misconfigured('model', 'rights are kept in a database: pip install colibris-persist') from exc
    if isinstance(spec, str) and '.' not in spec:
        raise misconfigured('model', f"{spec!r} is no import path; it has to be like 'yourproject.models.Right'")
    try:
        found = plugins.load('colibris.models', spec)
    except plugins.PluginError as exc:
        raise misconfigured('model', str(exc)) from exc
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise misconfigured('model', f'{spec!r} is no model')
    if not found._meta._inited:
        raise misconfigured(
            'model',
            f'the model {found.__name__} is not known to the database; models live in the module models of the '
            'project, and DATABASE must be set',
        )
    return found
