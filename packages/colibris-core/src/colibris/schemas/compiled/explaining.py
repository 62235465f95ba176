"""What of a schema was made into code, what was not, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from marshmallow import Schema, fields

from colibris.schemas.compiled import stock
from colibris.schemas.compiled.by_field import FieldReader
from colibris.schemas.compiled.dumping import kept_dumpers
from colibris.schemas.compiled.loading import kept_loader
from colibris.schemas.compiled.reading import Reader, partial_of
from colibris.schemas.compiled.stock import NotCompiled
from colibris.schemas.compiled.watching import Watched
from colibris.schemas.compiled.writing import BY_KEY, Writer, check_dump


class How(StrEnum):
    """What runs for a schema."""

    COMPILED = 'compiled'
    #: Marshmallow runs hooks and the fields that are named, and compiled code the other fields.
    BY_FIELD = 'field by field'
    MARSHMALLOW = 'by marshmallow'


@dataclass(slots=True)
class Direction:
    """What runs for loading or dumping."""

    how: How
    #: Why it is not all compiled.
    why: str = ''
    #: The fields, and for those that are left to marshmallow the reason.
    fields: dict[str, str] = field(default_factory=dict)

    def lines(self, name: str) -> Iterator[str]:
        """Yield it as text."""
        yield f'{name}: {self.how}{f", as {self.why}" if self.why else ""}'
        width = max(map(len, self.fields), default=0)
        for each, why in self.fields.items():
            yield f'  {each:{width}}  {f"left to marshmallow: {why}" if why else "compiled"}'


@dataclass(slots=True)
class Explanation:
    """What runs for a schema."""

    name: str
    load: Direction
    dump: Direction

    def __str__(self) -> str:
        return '\n'.join([self.name, *self.load.lines('load'), *self.dump.lines('dump')])


def explain(schema: Schema) -> Explanation:
    """Tell what of *schema* is compiled. Nothing is kept; schemas that nest themselves are looked into once."""
    return Explanation(type(schema).__qualname__, _load(schema), _dump(schema))


def _load(schema: Schema) -> Direction:
    try:
        partial = partial_of(schema.partial)
        Reader().whole(schema, partial, schema.unknown, bool(schema.many))
        if stock.has_known(schema, 'load'):
            return Direction(How.COMPILED, fields=dict.fromkeys(schema.load_fields, ''))
        why = f'{type(schema).__qualname__}.load is overridden'
    except Exception as exc:
        why = _reason(exc)
    reader = FieldReader()
    try:
        stock.check_by_field(schema)
        _check_watch(kept_loader(schema))
        reader.by_field(schema, partial_of(schema.partial), schema.unknown)
    except Exception as exc:
        return Direction(How.MARSHMALLOW, _both(why, _reason(exc)))
    return Direction(How.BY_FIELD, why, {name: reader.left.get(name, '') for name in schema.load_fields})


def _dump(schema: Schema) -> Direction:
    try:
        check_dump(schema, nested=True)
    except NotCompiled as exc:
        try:
            stock.check_by_field(schema)
            stock.check_dump(schema, nested=False)
            _check_watch(kept_dumpers(schema))
        except NotCompiled as also:
            return Direction(How.MARSHMALLOW, _both(str(exc), str(also)))
        return Direction(How.BY_FIELD, str(exc), _dumped(schema))
    return Direction(How.COMPILED, fields=_dumped(schema))


def _check_watch(kept: Watched | None) -> None:
    """Raise NotCompiled if hooks have changed the fields since the code that is *kept* was made, or may have."""
    if kept is not None and kept.watch.gave_up:
        raise NotCompiled('it has too many fields to look, after each hook, whether that has changed them')
    if kept is not None and kept.watch.is_outdated():
        raise NotCompiled('its fields were changed since code was made for them')


def _dumped(schema: Schema) -> dict[str, str]:
    writer = Writer(json=False, way=BY_KEY)
    writer.function(schema, many=False, seen=dict, other=None, one=None)
    return {name: writer.left.get(name) or _nested_reason(field) for name, field in schema.dump_fields.items()}


def _nested_reason(field: Any) -> str:
    """Return why the schema that *field* nests is dumped by marshmallow; empty if it is not."""
    while isinstance(field, fields.List):
        field = field.inner
    if not isinstance(field, fields.Nested):
        return ''
    try:
        check_dump(field.schema, nested=True)
    except Exception as exc:
        return _reason(exc)
    return ''


def _both(why: str, also: str) -> str:
    return why if why == also else f'{why}, and {also}'


def _reason(exc: Exception) -> str:
    return str(exc) if isinstance(exc, NotCompiled) else f'it cannot be read: {exc}'
