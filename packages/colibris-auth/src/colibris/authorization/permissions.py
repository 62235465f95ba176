"""Permissions as views ask for them: names, put together by *and* and *or*."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: Tells whether the account of a request has the permission of a name.
Permits = Callable[[str], Awaitable[bool]]


class Expression(ABC):
    """A condition on permissions; ``a & b`` and ``a | b`` put two together."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the names of the permissions that it asks for."""

    @abstractmethod
    async def holds(self, permits: Permits) -> bool:
        """Tell whether it is met; no name is asked for that cannot change the answer."""

    def __and__(self, other: Any) -> Expression:
        return All((self, compile_permissions(other)))

    def __rand__(self, other: Any) -> Expression:
        return All((compile_permissions(other), self))

    def __or__(self, other: Any) -> Expression:
        return Any_((self, compile_permissions(other)))

    def __ror__(self, other: Any) -> Expression:
        return Any_((compile_permissions(other), self))


@dataclass(frozen=True, slots=True)
class Permission(Expression):
    """One permission."""

    name: str

    def names(self) -> Iterator[str]:
        yield self.name

    async def holds(self, permits: Permits) -> bool:
        return await permits(self.name)


@dataclass(frozen=True, slots=True)
class All(Expression):
    """All of several conditions."""

    parts: tuple[Expression, ...]

    def names(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.names()

    async def holds(self, permits: Permits) -> bool:
        for part in self.parts:
            if not await part.holds(permits):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Any_(Expression):
    """At least one of several conditions."""

    parts: tuple[Expression, ...]

    def names(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.names()

    async def holds(self, permits: Permits) -> bool:
        for part in self.parts:
            if await part.holds(permits):
                return True
        return False


def compile_permissions(said: Any) -> Expression:
    """Return what a view *said* as an expression: a name, an expression, or several of them, all of which are needed.

    Raises TypeError for anything else, and for nothing at all.
    """
    if isinstance(said, Expression):
        return said
    if isinstance(said, str) and said:
        return Permission(said)
    if isinstance(said, (tuple, list, set, frozenset)) and said:
        return All(tuple(compile_permissions(part) for part in said))
    raise TypeError(f'permissions must be a name, or several, or put together by & and |, not {said!r}')
