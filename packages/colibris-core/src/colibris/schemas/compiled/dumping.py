"""From objects to data or JSON, as a schema says."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema

_KEPT = '_colibris_dumpers'


class Dumper:
    """Dumps by one schema: what `Schema.dump` returns and raises, this does."""

    __slots__ = ('_many', '_mapping', '_schema')

    def __init__(self, schema: Schema, *, many: bool, mapping: bool) -> None:
        self._schema = schema
        self._many = many
        self._mapping = mapping

    def __call__(self, obj: Any) -> Any:
        """Return exactly what ``schema.dump(obj, many=many)`` returns; raises what that raises."""
        return self._schema.dump(obj, many=self._many)

    def json(self, obj: Any) -> bytes:
        """Return what `colibris.api.encode_json` makes of the dumped *obj*."""
        from colibris.api import encode_json

        return encode_json(self(obj))


def dumper(schema: Schema, many: bool = False, mapping: bool = False) -> Dumper:
    """Return the dumper of *schema*; it is made for the first call and kept with the schema.

    With *mapping* the caller promises that each object is a mapping that has every attribute which the schema reads
    (nested: mappings, lists of them, or None), with values of the types that an ORM gives, or None.
    """
    kept: dict[tuple[bool, bool], Dumper] = schema.__dict__.setdefault(_KEPT, {})
    found = kept.get((many, mapping))
    if found is None or found._schema is not schema:
        kept = schema.__dict__[_KEPT] = {}  # a copy of a schema has the dumpers of the original
        found = kept[many, mapping] = Dumper(schema, many=many, mapping=mapping)
    return found
