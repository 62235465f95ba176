"""Say of a view, a method or a handler that it needs an account."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar('T')


def require_authentication(target: T) -> T:
    """Let only authenticated accounts use what this decorates: a view class, a method of one, or a handler.

    It says ``authentication_required = True`` on it, which is read at start-up.
    """
    decorated: Any = target
    decorated.authentication_required = True
    return target
