"""Which functions may be tasks, and how they are named on their way to a worker.

A function is named ``module:function``, or ``name@module`` where `task` gave it a name. It may be run if its own
``__module__``, and the module by which it is found, lie in the project's package or in one of the modules that the
setting lists. A name is one module and one of its attributes, never a chain of attributes.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, TypeVar

from colibris.taskqueue.errors import FunctionError, NotAllowed, NotFound

F = TypeVar('F', bound=Callable[..., Any])

_OPTIONS = '__colibris_task__'
_NAME = re.compile(r'[^\W\d][\w.-]*')
_MODULE = re.compile(r'[^\W\d]\w*(\.[^\W\d]\w*)*')


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """What `task` says of a function; None leaves it to the setting."""

    name: str | None = None
    queue: str | None = None
    retries: int | None = None
    time_limit: float | None = None
    #: Whether *time_limit* was given: None means that there is none then.
    limited: bool = False


_named: dict[str, FunctionType] = {}

#: Stands for a time limit that was not given, as None is one.
NOT_GIVEN: Any = object()


def task_options(
    *, name: str | None = None, queue: str | None = None, retries: int | None = None, time_limit: Any = NOT_GIVEN
) -> TaskOptions:
    """Check what `task` was given and return it. Raises ValueError."""
    if queue is not None and (not isinstance(queue, str) or not queue):
        raise ValueError(f'queue must be the name of a queue, not {queue!r}')
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int) or retries < 0):
        raise ValueError(f'retries must be an integer from 0 on, not {retries!r}')
    limited = time_limit is not NOT_GIVEN
    number = isinstance(time_limit, int | float) and not isinstance(time_limit, bool)
    if limited and time_limit is not None and not (number and 0 < time_limit < float('inf')):
        raise ValueError(f'time_limit must be a positive number of seconds, or None for no limit, not {time_limit!r}')
    return TaskOptions(name, queue, retries, time_limit if limited else None, limited)


def options_of(function: object) -> TaskOptions:
    """Return what `task` said of *function*; nothing if it did not."""
    found = getattr(function, _OPTIONS, None)
    return found if isinstance(found, TaskOptions) else TaskOptions()


def declare(function: F, options: TaskOptions) -> F:
    """Attach *options* to *function*, and remember it by its name if it has one. Raises FunctionError."""
    plain = plain_function(function)
    if options.name is not None:
        if not isinstance(options.name, str) or not _NAME.fullmatch(options.name):
            raise FunctionError(
                f'{options.name!r} is no name of a task: it begins with a letter and has letters, digits, "_", "." '
                'and "-"',
                name=str(options.name),
            )
        other = _named.get(options.name)
        if other is not None and (other.__module__, other.__qualname__) != (plain.__module__, plain.__qualname__):
            raise FunctionError(
                f'two tasks are named {options.name!r}: {_path(other)} and {_path(plain)}; rename one of them',
                name=options.name,
            )
        _named[options.name] = plain
    setattr(plain, _OPTIONS, options)
    return function


class Functions:
    """The functions that may be run: those of *package* and of *modules*, with what lies below them."""

    def __init__(self, package: str | None, modules: Iterable[str] = ()) -> None:
        self._roots = tuple(dict.fromkeys(name for name in (package, *modules) if name))

    def name_of(self, function: Callable[..., Any]) -> str:
        """Return the name under which a worker finds *function*. Raises FunctionError if none would."""
        plain = plain_function(function)
        self._check_allowed(plain.__module__, _path(plain))
        options = options_of(plain)
        if options.name is not None and _named.get(options.name) is plain:
            return f'{options.name}@{plain.__module__}'
        found = vars(sys.modules.get(plain.__module__, object)).get(plain.__name__)
        if found is not plain:
            raise FunctionError(
                f'{_path(plain)} cannot be a task: the module has something else under that name, so that a worker '
                'would not find it; a decorator must return a function that functools.wraps made, bound to its name',
                name=_path(plain),
            )
        return f'{plain.__module__}:{plain.__name__}'

    def find(self, name: str) -> Callable[..., Any]:
        """Return the function called *name*. Raises NotAllowed, NotFound, or what its module raises."""
        if '@' in name:
            return self._find_named(name)
        module, separator, attribute = name.partition(':')
        if not separator or not _MODULE.fullmatch(module) or not attribute.isidentifier():
            raise NotFound(f'{name!r} is no name of a function: it has the form module:function', name=name)
        self._check_allowed(module, name)
        function = vars(self._import(module, name)).get(attribute)
        if function is None:
            raise NotFound(f'there is no function {name}: was it moved, renamed or removed?', name=name)
        return self._checked(function, name)

    def _find_named(self, name: str) -> Callable[..., Any]:
        short, _, module = name.partition('@')
        if short not in _named and _MODULE.fullmatch(module):
            self._check_allowed(module, name)
            with suppress(NotFound):  # it has moved; what the worker imports at its start is searched all the same
                self._import(module, name)
        function = _named.get(short)
        if function is None:
            raise NotFound(
                f'there is no task named {short!r}: import the module that declares it in the tasks module of the '
                'project, so that workers know it',
                name=name,
            )
        return self._checked(function, name)

    def _checked(self, function: object, name: str) -> Callable[..., Any]:
        if not isinstance(function, FunctionType):
            raise NotAllowed(f'{name} is no function but {type(function).__name__}', name=name)
        self._check_allowed(function.__module__, name)
        return function

    def _check_allowed(self, module: str, name: str) -> None:
        if any(module == root or module.startswith(f'{root}.') for root in self._roots):
            return
        if module == '__main__':
            raise NotAllowed(
                f'{name} cannot be a task: it lies in the program that was started, which workers cannot import; '
                'move it into a module of the project',
                name=name,
            )
        raise NotAllowed(
            f'{name} may not be run: its module is {module}, which lies outside of {", ".join(self._roots) or "all"}; '
            "add it to 'modules' in TASK_QUEUE if its functions are to be tasks",
            name=name,
        )

    @staticmethod
    def _import(module: str, name: str) -> Any:
        try:
            return import_module(module)
        except ModuleNotFoundError as exc:
            if exc.name is not None and (module == exc.name or module.startswith(f'{exc.name}.')):
                raise NotFound(f'there is no module {module}, so that {name} cannot be run', name=name) from exc
            raise


def _path(function: Any) -> str:
    return f'{function.__module__}.{function.__qualname__}'


def plain_function(function: object) -> FunctionType:
    """Return *function* if it is one that can be found by its name. Raises FunctionError."""
    if not isinstance(function, FunctionType):
        name = getattr(function, '__qualname__', None) or f'{function!r:.100}'
        raise FunctionError(f'{name} cannot be a task: {_why_not(function)}', name=name)
    path = _path(function)
    if function.__name__ == '<lambda>':
        raise FunctionError(f'{path} cannot be a task: a lambda has no name; use def', name=path)
    if '<locals>' in function.__qualname__:
        raise FunctionError(
            f'{path} cannot be a task: it is defined within another function, where workers cannot find it; move it '
            'to the module, or, if it is what a decorator makes, have that use functools.wraps',
            name=path,
        )
    if function.__qualname__ != function.__name__:
        raise FunctionError(
            f'{path} cannot be a task: it is a method of a class; write a function that calls it', name=path
        )
    return function


def _why_not(value: object) -> str:
    """Return what *value* is instead of a function of a module, and what to do about it."""
    if inspect.iscoroutine(value):
        value.close()  # it will not be awaited
        return 'it was called already; give the function itself, and its arguments after it, as in execute(function, 1)'
    if isinstance(value, type):
        return 'it is a class; write a function that makes what is needed of it'
    if isinstance(value, BuiltinFunctionType) and isinstance(value.__self__, ModuleType | None):
        return 'it is written in C, not a function of a module of the project; write a function that calls it'
    if hasattr(value, '__self__'):
        return 'it is a method, not a function of a module; write a function that calls it'
    if callable(value):
        kind = type(value).__name__
        return f'it is an object of type {kind}, not a function of a module; write a function that calls it'
    return f'it is no function but of type {type(value).__name__}; give the function itself, and its arguments after it'
