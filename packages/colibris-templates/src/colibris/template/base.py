"""The contract of a template backend."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from colibris.subsystems import Backend


class TemplateBackend(Backend):
    """Renders templates found in *paths*, in this order.

    With *debug*, an undefined variable is an error and changed files are noticed; without it, an undefined variable is
    empty and logged.
    """

    def __init__(self, *, paths: Sequence[str | Path] = (), debug: bool = False) -> None:
        self.paths = tuple(Path(path) for path in listed('paths', paths))
        self.debug = debug

    @abstractmethod
    def render(self, name: str, context: Mapping[str, Any]) -> str:
        """Return the template *name* rendered with the variables *context*. Raises TemplateError."""

    @abstractmethod
    def render_string(self, text: str, context: Mapping[str, Any], *, escape: bool = True) -> str:
        """Return the template *text* rendered with the variables *context*, which are escaped for HTML unless told.

        Raises TemplateError.
        """

    @property
    def languages(self) -> Sequence[str]:
        """The languages that templates are translated into, the default one first; empty without translations."""
        return ()


def listed(option: str, value: Sequence[Any]) -> Sequence[Any]:
    """Return *value* if it is a list or a tuple. Raises TypeError: a single string would be taken letter by letter."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f'{option} must be a list, not {type(value).__name__}: {option}=[{value!r}]')
    return value
