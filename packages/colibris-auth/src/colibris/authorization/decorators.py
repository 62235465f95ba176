"""Say of a view, a method or a handler which permissions it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar('T')


def require_permission(*permissions: Any) -> Callable[[T], T]:
    """Let only accounts that have all of *permissions* use what this decorates: a view class, a method or a handler.

    It says ``permissions = …`` on it, which is read at start-up.
    """

    def decorate(target: T) -> T:
        decorated: Any = target
        decorated.permissions = permissions
        return target

    return decorate
