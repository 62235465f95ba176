"""Say of a view, a method or a handler which permissions it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from colibris.authentication.decorators import own
from colibris.authorization.permissions import compile_permissions

T = TypeVar('T')


def require_permission(*permissions: Any) -> Callable[[T], T]:
    """Let only accounts that have all of *permissions* use what this decorates: a view class, a method or a handler.

    Each is a name or a `Permission`, put together by ``&`` and ``|``. It says ``permissions = …`` on it, which is read
    at start-up, and adds to what is said there already. Raises TypeError for anything else, and for no permission.
    """
    required = compile_permissions(permissions)

    def decorate(target: T) -> T:
        decorated: Any = own(target)
        said = getattr(decorated, 'permissions', None)
        decorated.permissions = compile_permissions(said) & required if said else required
        return decorated  # type: ignore[no-any-return]

    return decorate
