"""What ``check`` finds: problems, and the checks that other distributions add.

A distribution adds a check by an entry point in the group ``colibris.checks``: its name is shown, its value is a
function without arguments, sync or async, that returns the problems it finds. The settings are loaded when it is
called, nothing is open. It returns nothing where what it checks is not configured.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

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
