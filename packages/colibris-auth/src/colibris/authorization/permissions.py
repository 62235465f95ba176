"""Permissions as views ask for them: names, put together by *and* and *or*."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any


class Expression(ABC):
    """A condition on permissions; ``a & b`` and ``a | b`` put two together, names among them."""

    #: The names of the permissions that it asks for.
    names: frozenset[str]

    @abstractmethod
    def holds(self, held: Set[str]) -> bool:
        """Tell whether it is met by who has the permissions *held*."""

    def __and__(self, other: Any) -> Expression:
        return AllOf((self, compile_permissions(other)))

    def __rand__(self, other: Any) -> Expression:
        return AllOf((compile_permissions(other), self))

    def __or__(self, other: Any) -> Expression:
        return AnyOf((self, compile_permissions(other)))

    def __ror__(self, other: Any) -> Expression:
        return AnyOf((compile_permissions(other), self))


@dataclass(frozen=True)
class Permission(Expression):
    """One permission: ``Permission('users:read') & Permission('users:update')``."""

    name: str

    def __post_init__(self) -> None:
        name = name_of(self.name)
        if name is None:
            raise TypeError(f'the name of a permission must be a text that is not empty, not {self.name!r}')
        object.__setattr__(self, 'name', name)

    @cached_property
    def names(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset((self.name,))

    def holds(self, held: Set[str]) -> bool:
        return self.name in held

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class _Several(Expression):
    parts: tuple[Expression, ...]

    @cached_property
    def names(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset[str]().union(*(part.names for part in self.parts))

    def _joined(self, word: str) -> str:
        return word.join(f'({part})' if isinstance(part, _Several) else str(part) for part in self.parts)


class AllOf(_Several):
    """All of several conditions."""

    def holds(self, held: Set[str]) -> bool:
        return all(part.holds(held) for part in self.parts)

    def __str__(self) -> str:
        return self._joined(' and ')


class AnyOf(_Several):
    """At least one of several conditions."""

    def holds(self, held: Set[str]) -> bool:
        return any(part.holds(held) for part in self.parts)

    def __str__(self) -> str:
        return self._joined(' or ')


def name_of(value: object) -> str | None:
    """Return the name that *value*, a text or a member of an enumeration, stands for; None if it stands for none.

    A member whose value is no text stands for its own name.
    """
    if isinstance(value, Enum):
        value = value.value if isinstance(value.value, str) else value.name
    return value if isinstance(value, str) and value else None


def compile_permissions(said: Any) -> Expression:
    """Return what a view *said* as an expression: a name, an expression, or several of them, all of which are needed.

    Raises TypeError for anything else, and for nothing at all.
    """
    if isinstance(said, Expression):
        return said
    if (name := name_of(said)) is not None:
        return Permission(name)
    if isinstance(said, (tuple, list, set, frozenset)) and said:
        parts = tuple(compile_permissions(part) for part in said)
        return parts[0] if len(parts) == 1 else AllOf(parts)
    raise TypeError(
        f'permissions must be a name, several names (all of which are needed), or Permission objects put together by '
        f'& and |, not {said!r}'
    )
