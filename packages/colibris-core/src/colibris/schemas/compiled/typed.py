"""The code that loads from JSON by types that msgspec decodes to, where they take no more than the fields do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import or_
from typing import Annotated, Any

import msgspec
from marshmallow import RAISE, Schema, fields, validate
from msgspec import UNSET, UnsetType

from colibris.schemas.compiled.reading import Load, Partial, Reader, title_of

# What msgspec compares integers with must fit 64 bits.
_BOUND = 2**62


class TypedReader(Reader):
    """Writes the code for one schema whose data comes as JSON.

    Objects are decoded to structs without unknown keys, so that only what the types cannot tell is left to do.
    """

    def __init__(self) -> None:
        super().__init__()
        self.source.names['UNSET'] = UNSET
        #: The types of variables; None within what is decoded to plain data.
        self._types: dict[str, Any] | None = {}
        self._members: dict[str, list[tuple[str, str, bool]]] = {}

    def whole(self, schema: Schema, partial: Partial, unknown: str, many: bool) -> Load:
        """Return a function that loads a JSON document without effects, or raises where it is in doubt.

        Raises NotCompiled for a schema that runs code which may have effects.
        """
        source = self.source
        with source.block('def load(raw):'):
            source.line('d = decode(raw)')
            self._collection(schema, 'd', partial, unknown, many)
            source.line('return d')
        source.names['decode'] = msgspec.json.Decoder(self._type('d')).decode
        return source.function('load', f'{title_of(schema)}.load')

    @property
    def typed(self) -> bool:
        return self._types is not None

    def expect(self, value: str, *classes: type) -> None:
        if self._types is None:
            super().expect(value, *classes)
        else:
            self._types[value] = reduce(or_, classes)

    @contextmanager
    def plainly(self, value: str) -> Iterator[None]:
        types = self._types
        if types is not None:
            types[value] = Any
        self._types = None
        yield
        self._types = types

    def each(self, value: str, each: str, write: Callable[[], bool]) -> bool:
        if self._types is None:
            return super().each(value, each, write)
        source = self.source
        mark, found = source.mark(), source.variable()
        source.line(f'{found} = []')
        with source.block(f'for {each} in {value}:'):
            begun = source.mark()
            unchanged = write()
            idle = source.mark() == begun
            source.line(f'{found}.append({each})')
        source.line(f'{value} = {found}')
        if unchanged:  # the list is new: nobody else has it
            source.rewind(mark)
            if not idle:
                with source.block(f'for {each} in {value}:'):
                    write()
        self._types[value] = list[self._type(each)]  # type: ignore[misc]
        return unchanged

    def value(self, field: fields.Field[Any], value: str, partial: Partial) -> bool:
        unchanged = super().value(field, value, partial)
        if self._types is not None and field.allow_none and self._types[value] is not Any:
            self._types[value] = self._types[value] | None
        return unchanged

    def _type(self, value: str) -> Any:
        return Any if self._types is None else self._types[value]

    def _checks(self, field: fields.Field[Any], value: str, unchanged: bool) -> Sequence[Any]:
        """Leave to the type what it can check."""
        kind = self._type(value)
        if not unchanged or kind not in (str, int):
            return field.validators
        left: list[Any] = []
        bounds: dict[str, Any] = {}
        for check in field.validators:
            found = _bounds(check, kind)
            if found and not bounds:
                bounds = found
            else:
                left.append(check)
        if bounds and self._types is not None:
            self._types[value] = Annotated[kind, msgspec.Meta(**bounds)]
        return left

    def _collection(self, schema: Schema, value: str, partial: Partial, unknown: str, many: bool) -> None:
        if self._types is None or unknown == RAISE:
            super()._collection(schema, value, partial, unknown, many)
        else:  # what structs leave out is not looked at, not even for errors
            with self.plainly(value):
                super()._collection(schema, value, partial, unknown, many)

    def _begin(self, schema: Schema, d: str, partial: Partial, unknown: str) -> str:
        if self._types is None:
            return super()._begin(schema, d, partial, unknown)
        self._members[d] = []
        return ''

    def _take(self, d: str, key: str, value: str, needed: bool) -> str:
        if self._types is None:
            return super()._take(d, key, value, needed)
        members = self._members[d]
        self.source.line(f'{value} = {d}.f{len(members)}')
        members.append((key, value, needed))
        return 'UNSET'

    def _end(self, schema: Schema, d: str, result: str, count: str, unknown: str) -> None:
        if self._types is None:
            super()._end(schema, d, result, count, unknown)
            return
        parts: list[Any] = []
        for number, (_, value, needed) in enumerate(self._members[d]):
            kind = self._types[value]
            parts.append((f'f{number}', kind) if needed else (f'f{number}', kind | UnsetType, UNSET))
        parts.sort(key=len)  # those with defaults come last
        self._types[d] = msgspec.defstruct(
            type(schema).__name__,
            parts,
            rename={f'f{number}': key for number, (key, _, _) in enumerate(self._members[d])},
            forbid_unknown_fields=True,
            gc=False,
        )


def _bounds(check: Any, kind: type) -> dict[str, int]:
    """Return the arguments of msgspec's Meta that check what *check* checks; none if there are none."""
    if kind is str and type(check) is validate.Length:
        least, most = (check.min, check.max) if check.equal is None else (check.equal, check.equal)
        found = {'min_length': least, 'max_length': most}
    elif kind is int and type(check) is validate.Range:
        found = {
            'ge' if check.min_inclusive else 'gt': check.min,
            'le' if check.max_inclusive else 'lt': check.max,
        }
    else:
        return {}
    bounds = {name: bound for name, bound in found.items() if bound is not None}
    if any(type(bound) is not int or not -_BOUND < bound < _BOUND for bound in bounds.values()):
        return {}
    return bounds if kind is int or all(bound >= 0 for bound in bounds.values()) else {}
