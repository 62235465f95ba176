"""From objects to data or JSON, as a schema says."""

from __future__ import annotations

from typing import Any

import orjson
from marshmallow import Schema
from marshmallow.decorators import PRE_DUMP

from colibris.schemas.compiled import stock
from colibris.schemas.compiled.safe import encode, fragment
from colibris.schemas.compiled.stock import NotCompiled
from colibris.schemas.compiled.watching import Watch
from colibris.schemas.compiled.writing import Dump, Stub, check_dump, steady

_KEPT = '_colibris_dumpers'
_USES = '_colibris_dumps'
#: A schema that is made to be used a few times is not worth the code.
_COLD = 8


class Dumper:
    """Dumps by one schema: what `Schema.dump` returns and raises, this does."""

    def __init__(self, schema: Schema, *, many: bool, mapping: bool) -> None:
        self._schema = schema
        self._many = many
        self._mapping = mapping
        self._state: tuple[Any, Dump | None, Dump | None] = (None, None, None)

    def __call__(self, obj: Any) -> Any:
        """Return exactly what ``schema.dump(obj, many=many)`` returns; raises what that raises."""
        schema = self._schema
        made_for, dump, _ = self._state
        if made_for is not schema.dump_fields:
            _, dump, _ = self._refresh()
        return schema.dump(obj, many=self._many) if dump is None else dump(obj)

    def json(self, obj: Any) -> bytes:
        """Return what `colibris.api.encode_json` makes of the dumped *obj*; raises what that raises."""
        made_for, _, dump = self._state
        if made_for is not self._schema.dump_fields:
            _, _, dump = self._refresh()
        if dump is None:
            from colibris.api import encode_json

            return encode_json(self._schema.dump(obj, many=self._many))
        data = dump(obj)
        try:
            return orjson.dumps(data, fragment)
        except TypeError:  # integers of more than 64 bits, surrogates, what is unencodable
            return encode(data)

    def _refresh(self) -> tuple[Any, Dump | None, Dump | None]:
        schema = self._schema
        made_for = schema.dump_fields
        try:
            check_dump(schema, nested=True)
        except NotCompiled:
            self._state = (made_for, None, None)
            return self._state

        def install(dump: Dump, json: bool) -> None:
            if self._state[0] is made_for:
                self._state = (made_for, self._state[1], dump) if json else (made_for, dump, self._state[2])

        options = {'promised': self._mapping, 'many': self._many}
        plain = Stub(schema, json=False, install=lambda dump: install(dump, False), **options)
        json = Stub(schema, json=True, install=lambda dump: install(dump, True), **options)
        self._state = (made_for, plain, json)
        return self._state


class Dumpers:
    """The dumpers of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.made: dict[tuple[bool, bool], Dumper] = {}
        self._state: tuple[Any, Dump | None] = (None, None)
        self.watch = Watch(schema, PRE_DUMP, 'dump_fields', _KEPT)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # a copy of the schema gets its own

    def one(self) -> Dump | None:
        """Return what does what ``schema._serialize`` does for one object; None if only marshmallow can."""
        made_for, dump = self._state
        if made_for is self.schema.dump_fields:
            return dump
        made_for = self.schema.dump_fields
        try:
            stock.check_dump(self.schema, nested=False)
        except NotCompiled:
            dump = None
        else:
            dump = steady(self.schema, json=False, promised=False, many=False)
        self._state = (made_for, dump)
        return dump


def dumper(schema: Schema, many: bool = False, mapping: bool = False) -> Dumper:
    """Return the dumper of *schema*; it is made for the first call and kept with the schema.

    With *mapping* the caller promises that each object is a mapping that has every attribute which the schema reads
    (nested: mappings, lists of them, or None), with values of the types that an ORM gives, or None.
    """
    made = dumpers(schema).made
    found = made.get((many, mapping))
    if found is None:
        found = made[many, mapping] = Dumper(schema, many=many, mapping=mapping)
    return found


def dumpers(schema: Schema) -> Dumpers:
    """Return the dumpers of *schema*, which are kept with it."""
    kept = kept_dumpers(schema)
    if kept is None:
        kept = schema.__dict__[_KEPT] = Dumpers(schema)
    return kept


def kept_dumpers(schema: Schema) -> Dumpers | None:
    """Return the dumpers of *schema* if they were made already."""
    kept: Dumpers | None = schema.__dict__.get(_KEPT)
    return kept if kept is not None and kept.schema is schema else None  # a copy has the dumpers of the original


def warm_dumpers(schema: Schema) -> Dumpers | None:
    """Return the dumpers of *schema* if they were made already, or if the schema is used often enough to make them."""
    kept = kept_dumpers(schema)
    if kept is not None:
        return kept
    uses = schema.__dict__.get(_USES, 0)
    if uses >= _COLD:
        return dumpers(schema)
    schema.__dict__[_USES] = uses + 1
    return None
