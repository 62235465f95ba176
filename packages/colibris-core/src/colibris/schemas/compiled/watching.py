"""Whether hooks have changed the fields of their schema in place, as marshmallow lets them, since code was made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import itemgetter
from threading import Lock
from typing import Any, Protocol

from marshmallow import Schema, fields, validate

from colibris.schemas.compiled import stock

#: Whether marshmallow is reading all by itself, nested schemas included.
judging: ContextVar[bool] = ContextVar('colibris_judging', default=False)

#: Attributes of fields that nothing depends on when a schema is used, or only what marshmallow does itself.
_LEFT = frozenset({'dump_only', 'error_messages', 'load_only', 'metadata', 'name', 'parent', 'root', 'validate'})
#: Attributes that only say which schema is to be made for a field.
_MAKING = frozenset({'exclude', 'nested', 'only'})
#: Attributes of which only matters whether they are true.
_TRUTHS = frozenset({'allow_none', 'as_string', 'by_value', 'required', 'strict'})
_OPTIONS = ('many', 'partial', 'unknown')
_COLLECTIONS = (list, tuple, dict, set, frozenset)
_UNSURE: Any = object()

#: How many things with parts are looked at after a hook: beyond, that would take longer than marshmallow does.
_MOST = 100

Look = Callable[[Any], tuple[Any, ...]]


@contextmanager
def by_marshmallow() -> Iterator[None]:
    """Within, leave all to marshmallow, nested schemas included."""
    token = judging.set(True)
    try:
        yield
    finally:
        judging.reset(token)


def may_mislead(schema: Schema, hook: str, kept: Watched | None) -> bool:
    """Whether a *hook* may have changed what code was made for, of *schema* or of what it nests.

    Until there is a watch, with what is *kept* of the schema, there may be code for what it nests.
    """
    return bool(stock.hooks(schema, hook)) if kept is None else kept.watch.has_changed()


class Watched(Protocol):
    """What keeps the code for a schema."""

    watch: Watch


class Watch:
    """Tells whether the fields of *schema* are still what they were when code was made for them.

    Only where the schema has a *hook*, which runs just before its fields are read: looking costs time. *attribute* is
    where these fields are, and *kept* where nested schemas keep the code that was made for them alone.

    What has too many parts to look at counts as changed: that is so of schemas that nest themselves, too, once a
    client has sent what is nested deeply, as marshmallow makes a schema for each place in it.
    """

    def __init__(self, schema: Schema, hook: str, attribute: str, kept: str) -> None:
        self._schema = schema
        self._needed = bool(stock.hooks(schema, hook))
        self._attribute = attribute
        self._kept = kept
        self._fields: Any = None
        self._parts: _Parts | None = None
        self.gave_up = False

    def has_changed(self) -> bool:
        """Whether something is another than it was when it was first seen; to be asked when the hook has run."""
        if not self._needed:
            return False
        found = getattr(self._schema, self._attribute)
        if found is self._fields or self.gave_up:
            return self.is_outdated()
        try:
            self._parts = _Parts(self._schema, found, self._attribute, self._kept)
        except _TooManyParts:
            self._give_up()
        self._fields = found
        return self.gave_up

    def is_outdated(self) -> bool:
        """Whether something is another than it was, if it was seen before."""
        try:
            return self.gave_up or (self._parts is not None and self._parts.differ())
        except _TooManyParts:
            self._give_up()
            return True

    def _give_up(self) -> None:
        self.gave_up, self._parts = True, None

    def remember(self) -> None:
        """See what code has made for itself, which is to be called when code has run, and before the hook runs again.

        What the hook finds made, it may change; what it makes, no code has seen yet.
        """
        try:
            if self._parts is not None:
                self._parts.grow()
        except _TooManyParts:
            self._give_up()


class _TooManyParts(Exception):
    """Raised when there is more to look at than is worth it."""


class _Parts:
    """What code may be made for: all that *found*, the fields of *schema*, consist of, and what it was.

    That of a nested schema is added when the schema is made.
    """

    def __init__(self, schema: Schema, found: dict[str, Any], attribute: str, kept: str) -> None:
        self._attribute = attribute
        self._kept = kept
        self._known = {id(schema)}
        #: What has parts, with the function that returns them, and the parts; of lists and the like, copies.
        self._wholes: list[tuple[Look, Any]] = []
        self._seen: list[tuple[Any, ...]] = []
        #: The parts that others equal, as 0 equals False, each with the number of its whole and its place there.
        self._exactly: list[tuple[int, int, Any]] = []
        #: The attributes of fields, to which others might be added, and how many there are.
        self._own: list[dict[str, Any]] = []
        self._sizes: list[int] = []
        #: The fields whose schema is not made yet, each with its number and the place where the schema will be.
        self._unmade: list[tuple[int, int, Any]] = []
        self._growing = Lock()
        self._add_collection(found)

    def differ(self) -> bool:
        """Whether a part is another than it was."""
        self.grow()
        with self._growing:
            try:
                found = [look(whole) for look, whole in self._wholes]
                if found != self._seen or [*map(len, self._own)] != self._sizes:
                    return True
                return any(found[number][place] is not part for number, place, part in self._exactly)
            except Exception:  # an attribute is gone, or is something that nothing can be compared with
                return True

    def grow(self) -> None:
        """Add the schemas that have been made."""
        if not self._unmade:
            return
        with self._growing:
            for unmade in [*self._unmade]:
                number, place, field = unmade
                made = vars(field).get('_schema')
                if made is not None:
                    seen = self._seen[number]
                    self._seen[number] = (*seen[:place], made, *seen[place + 1 :])
                    self._unmade.remove(unmade)
                    self._add(made)

    def _add(self, part: Any) -> None:
        """Add what *part* consists of, if it consists of something."""
        if isinstance(part, (fields.Field, validate.Validator)):
            self._add_object(part)
        elif isinstance(part, Schema):
            self._add_schema(part)
        elif isinstance(part, _COLLECTIONS):
            if _copy(part) is _UNSURE:
                self._add_collection(part)
            else:
                for each in part.values() if isinstance(part, dict) else part:
                    self._add(each)

    def _add_object(self, part: Any) -> None:
        """Add the attributes of a field or validator."""
        if not self._is_new(part):
            return
        own, number = vars(part), len(self._seen)
        if isinstance(part, validate.Validator):
            if stock.check_validator(
                part
            ):  # others are called; and what these hold, such as choices, is read when they are
                self._look(_getter([*own]), own, within=type(part) is validate.And)
            return
        left = _LEFT | _MAKING if type(part) in (fields.Nested, fields.Pluck) else _LEFT
        names = [name for name in own if name not in left]
        self._own.append(own)
        self._sizes.append(len(own))
        self._look(_getter(names), own, truths=[index for index, name in enumerate(names) if name in _TRUTHS])
        if own.get('_schema', part) is None:
            self._unmade.append((number, names.index('_schema'), part))

    def _add_schema(self, part: Schema) -> None:
        """Add the options of a nested schema, and its fields."""
        if not self._is_new(part):
            return
        own = vars(part)
        own.pop(self._kept, None)  # it may have been made for what the schema was before
        self._look(itemgetter(self._attribute, *_OPTIONS), own)
        self._add_collection(own[self._attribute])

    def _add_collection(self, part: Any) -> None:
        """Add the members of a collection, in their order."""
        if self._is_new(part):
            self._look(_members if isinstance(part, dict) else tuple, part)

    def _is_new(self, part: Any) -> bool:
        """Whether *part* was not met before."""
        if id(part) in self._known:
            return False
        self._known.add(id(part))
        return True

    def _look(self, look: Look, whole: Any, *, within: bool = True, truths: Collection[int] = ()) -> None:
        """Add what *look* finds, and what that consists of if *within*; *truths* are the places of `_TRUTHS`."""
        if len(self._wholes) >= _MOST:
            raise _TooManyParts
        found, seen, number = look(whole), [], len(self._seen)
        for place, part in enumerate(found):
            copy = _copy(part) if within or not isinstance(part, _COLLECTIONS) else _UNSURE
            if copy is _UNSURE and not (place in truths and type(part) is bool):
                self._exactly.append((number, place, part))
            seen.append(part if copy is _UNSURE else copy)
        self._wholes.append((look, whole))
        self._seen.append(tuple(seen))
        for part in found if within else ():
            self._add(part)


def _copy(part: Any) -> Any:
    """Return what equals *part*, and will not when something of it is another; `_UNSURE` if there is no such thing."""
    kind: Any = type(part)
    if part is None or kind is str or kind.__eq__ is object.__eq__:
        return part
    if kind is set or kind is frozenset:  # equal members are as good
        return kind(part)
    if kind is list or kind is tuple:
        copies = [*map(_copy, part)]
        return _UNSURE if _UNSURE in copies else kind(copies)
    if kind is dict:
        values = [*map(_copy, part.values())]
        return _UNSURE if _UNSURE in values else dict(zip(part, values, strict=True))
    return _UNSURE


def _getter(names: list[str]) -> Look:
    """Return what gets what dictionaries have by *names*."""
    return itemgetter(*names) if len(names) > 1 else lambda own: tuple(own[name] for name in names)


def _members(part: dict[Any, Any]) -> tuple[Any, ...]:
    return (*part.values(), *part)
