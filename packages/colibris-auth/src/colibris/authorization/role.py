"""Authorization by role: an account's role is the permission that it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from aiohttp import web

from colibris.authorization.base import AuthorizationBackend
from colibris.authorization.errors import misconfigured
from colibris.authorization.permissions import name_of


class RoleBackend(AuthorizationBackend):
    """Permits what an account's role, or a role below it, is called.

    *role_field* is the field of the account, or the claim, that holds its role: a text, a member of an enumeration, or
    a list of them. *order* lists the roles from the lowest to the highest: an account has the permissions of its role
    and of all before it. Without *order* each role stands for itself.
    """

    def __init__(self, *, role_field: str, order: Iterable[Any] | None = None) -> None:
        if not isinstance(role_field, str) or not role_field:
            raise TypeError(f'role_field must be the name of a field, not {role_field!r}')
        self.role_field = role_field
        self._roles = _names(order or ())
        #: What each role has; a role that is none of the order has only itself.
        self._held = {role: frozenset(self._roles[: place + 1]) for place, role in enumerate(self._roles)}

    def bind(self, *, account_model: type | None, debug: bool) -> None:
        meta: Any = getattr(account_model, '_meta', None)
        if account_model is None or meta is None:
            return
        if self.role_field in meta.fields_db_projection:
            self._take_roles(meta.fields_map[self.role_field])
        elif self.role_field in meta.fields_map or not hasattr(account_model, self.role_field):
            raise misconfigured(
                'role_field',
                f'the model {account_model.__name__} has no column {self.role_field!r} '
                f'(it has: {", ".join(meta.fields_db_projection)})',
            )

    def _take_roles(self, field: Any) -> None:
        """Take the roles that there are from an enumeration; an order must be one of them."""
        members: type[Enum] | None = getattr(field, 'enum_type', None)
        if members is None:
            return
        there = tuple(filter(None, map(name_of, members)))
        if unknown := [role for role in self._roles if role not in there]:
            raise misconfigured(
                'order', f'{unknown[0]!r} is none of the roles in {members.__name__}: {", ".join(there)}'
            )
        self._roles = self._roles or there

    async def permits(self, account: Any, permission: str, request: web.Request) -> bool:
        return any(permission in self._held.get(role, (role,)) for role in self._roles_of(account))

    def _roles_of(self, account: Any) -> list[str]:
        if isinstance(account, Mapping):
            value = account.get(self.role_field)
        else:
            value = getattr(account, self.role_field, None)
        values = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
        return [name for name in map(name_of, values) if name is not None]

    def check_permission(self, permission: str) -> None:
        if self._roles and permission not in self._roles:
            raise ValueError(f'nobody could have the permission {permission!r}: the roles are {", ".join(self._roles)}')


def _names(order: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(order, str):
        raise TypeError(f'order must be a list of roles, from the lowest to the highest, not {order!r}')
    names = tuple(map(name_of, order))
    found = tuple(name for name in names if name is not None)
    if len(found) != len(names):
        raise TypeError(f'order must list the names of roles, not {order!r}')
    if twice := [name for name in found if found.count(name) > 1]:
        raise ValueError(f'order lists the role {twice[0]!r} twice')
    return found
