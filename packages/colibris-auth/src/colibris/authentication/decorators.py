"""Say of a view, a method or a handler that it needs an account."""

from __future__ import annotations

import functools
import types
from typing import Any, TypeVar

T = TypeVar('T')


def require_authentication(target: T) -> T:
    """Let only authenticated accounts use what this decorates: a view class, a method of one, or a handler.

    It says ``authentication_required = True`` on it, which is read at start-up.
    """
    decorated: Any = own(target)
    decorated.authentication_required = True
    return decorated  # type: ignore[no-any-return]


def own(target: Any) -> Any:
    """Return *target*, or a copy of it, to say something on that holds for nothing else.

    Methods are copied: ``post = require_permission('x')(CreateMixin.post)`` says nothing of the other views that
    create. Raises TypeError for what cannot bear it.
    """
    if isinstance(target, (staticmethod, classmethod)) or not callable(target):
        raise TypeError(f'only views, their methods and handlers can be decorated so, not {target!r}')
    if isinstance(target, types.MethodType):
        raise TypeError(f'{target.__qualname__} is bound to an object: decorate it in its class')
    if not isinstance(target, types.FunctionType) or '.' not in target.__qualname__.rpartition('<locals>.')[2]:
        return target
    copy = types.FunctionType(
        target.__code__, target.__globals__, target.__name__, target.__defaults__, target.__closure__
    )
    copy.__kwdefaults__ = target.__kwdefaults__
    return functools.update_wrapper(copy, target)
