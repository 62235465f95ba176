"""What ``check`` finds: problems, and the checks that other distributions add.

A distribution adds a check by an entry point in the group ``colibris.checks``: its name is shown, its value is a
function without arguments, sync or async, that returns the problems it finds. The settings are loaded when it is
called, nothing is open. It returns nothing where what it checks is not configured. A function that bears
`for_deployment` is called only by ``check --deploy``, which looks for what is unsafe in production.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

GROUP = 'colibris.checks'


class Level(StrEnum):
    """How bad a problem is: an error keeps the project from working, and `check` from succeeding."""

    #: Not bad at all, but good to know.
    INFO = 'info'
    WARNING = 'warning'
    ERROR = 'error'


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what and where, and what to do about it."""

    message: str
    hint: str = ''
    level: Level = Level.ERROR


Check = Callable[[], Iterable[Problem] | Awaitable[Iterable[Problem]]]
C = TypeVar('C', bound=Check)

_MARK = 'for_deployment'


def for_deployment(check: C) -> C:
    """Mark *check* as one of ``check --deploy``: it may take its time, and connect to what the settings name.

    Example::

        @for_deployment
        def guards() -> Iterator[Problem]:
            if settings.GUARDS == 0:
                yield Problem('GUARDS is 0: everybody walks in', 'hire some')
    """
    setattr(check, _MARK, True)
    return check


def is_for_deployment(check: Check) -> bool:
    """Tell whether *check* is called by ``check --deploy`` only."""
    return bool(getattr(check, _MARK, False))
