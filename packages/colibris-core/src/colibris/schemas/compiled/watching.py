"""Whether a hook has changed the fields of its schema in place, as marshmallow lets it: code is made for them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import is_not
from typing import Any

from marshmallow import Schema


class Watch:
    """Tells whether the fields of *schema* are still what they were when code was made for them.

    Only where the schema has a *hook*, which runs just before its fields are read: looking costs time.
    """

    def __init__(self, schema: Schema, hook: str) -> None:
        self._needed = bool(schema._hooks.get(hook))
        self._seen: list[Any] = []

    def begin(self, fields: Mapping[str, Any]) -> None:
        """Remember what *fields* are now."""
        if self._needed:
            self._seen = list(_parts(fields))

    def has_changed(self, fields: Mapping[str, Any]) -> bool:
        """Whether one of *fields*, or its validators, is another than it was."""
        if not self._needed:
            return False
        parts = list(_parts(fields))
        return len(parts) != len(self._seen) or any(map(is_not, parts, self._seen))


def _parts(fields: Mapping[str, Any]) -> Iterator[Any]:
    for field in fields.values():
        yield from vars(field).values()
        yield from field.validators
