"""From data or JSON to what a schema makes of it."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema

_KEPT = '_colibris_loader'


class Loader:
    """Loads by one schema: what `Schema.load` returns and raises, this does."""

    __slots__ = ('_schema',)

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def __call__(self, data: Any) -> Any:
        """Return exactly what ``schema.load(data)`` returns; raises what that raises."""
        return self._schema.load(data)

    def json(self, raw: bytes) -> Any:
        """Load the JSON document *raw*; raises ParseError as `colibris.api.decode_json` does."""
        from colibris.api import decode_json

        return self._schema.load(decode_json(raw))


def loader(schema: Schema) -> Loader:
    """Return the loader of *schema*; it is made for the first call and kept with the schema."""
    kept: Loader | None = schema.__dict__.get(_KEPT)
    if kept is None or kept._schema is not schema:  # a copy of a schema has the loader of the original
        kept = schema.__dict__[_KEPT] = Loader(schema)
    return kept
