"""From data or JSON to what a schema makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema
from marshmallow.decorators import PRE_LOAD

from colibris.schemas.compiled import stock
from colibris.schemas.compiled.by_field import FieldReader, LoadFields
from colibris.schemas.compiled.reading import Load, Reader, partial_of
from colibris.schemas.compiled.stock import NotCompiled
from colibris.schemas.compiled.typed import TypedReader
from colibris.schemas.compiled.watching import Watch, by_marshmallow

_KEPT = '_colibris_loader'
_USES = '_colibris_loads'
#: A schema that is made to be used a few times is not worth the code.
_COLD = 8
#: So many documents are decoded to plain data before there is code for JSON.
_WARM = 3
#: So many documents may be good that the code for JSON was in doubt about.
_MISSED = 100
#: So many documents are decoded to plain data before it is tried again.
_REST = 1000
#: So many combinations of `many`, `partial` and `unknown` have code of their own for one schema.
_VARIANTS = 32

_decode = msgspec.json.Decoder().decode


class _State(NamedTuple):
    """The code for data and for JSON, and what it was made for."""

    fields: Any = None
    many: Any = None
    partial: Any = None
    unknown: Any = None
    load: Load | None = None
    load_json: Load | None = None


class Loader:
    """Loads by one schema: what `Schema.load` returns and raises, this does."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._own_load = not stock.has_known(schema, 'load')
        self._state = _State()
        self._made_for: Any = None
        self._wholes: dict[Any, Load | None] = {}
        self._by_field: dict[Any, LoadFields | None] = {}
        self.watch = Watch(schema, PRE_LOAD, 'load_fields', _KEPT)
        #: How many good documents were not loaded by code for JSON; None if that is not worth while.
        self._missed: int | None = 0

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()  # a copy of the schema gets its own

    def __call__(self, data: Any) -> Any:
        """Return exactly what ``schema.load(data)`` returns; raises what that raises."""
        if self._own_load:
            return self.schema.load(data)
        return self.run(data)

    def run(self, data: Any) -> Any:
        """Return exactly what marshmallow's own ``load`` returns for *data*."""
        schema = self.schema
        fields, many, partial, unknown, load, _ = self._state
        if (
            fields is not schema.load_fields
            or many is not schema.many
            or partial is not schema.partial
            or unknown is not schema.unknown
        ):
            load = self._refresh()
        if load is None:
            return schema._do_load(data)
        try:
            return load(data)
        except Exception as exc:
            return self.judge(exc, data)

    def json(self, raw: bytes) -> Any:
        """Load the JSON document *raw*; raises ParseError as `colibris.api.decode_json` does."""
        schema = self.schema
        fields, many, partial, unknown, _, load_json = self._state
        if (
            load_json is not None
            and fields is schema.load_fields
            and many is schema.many
            and partial is schema.partial
            and unknown is schema.unknown
        ):
            try:
                return load_json(raw)
            except Exception:
                pass
        try:
            data = _decode(raw)
        except Exception:
            from colibris.api import decode_json

            data = decode_json(raw)
        loaded = self(data)
        if self._missed is not None:
            self._missed_json(self._missed + 1)
        return loaded

    def _missed_json(self, missed: int) -> None:
        """Make code for JSON when there is enough to load, and drop it if it is in doubt about much that is good."""
        state = self._state
        if state.load is None or self._own_load:
            self._missed = None
        elif missed > _MISSED:
            self._state, self._missed = state._replace(load_json=None), -_REST
        elif state.load_json is None and missed >= _WARM:
            load_json = self._make_json(state)
            self._state, self._missed = state._replace(load_json=load_json), None if load_json is None else 0
        else:
            self._missed = missed

    def _make_json(self, state: _State) -> Load | None:
        try:
            return TypedReader().whole(self.schema, partial_of(state.partial), state.unknown, bool(state.many))
        except Exception:  # such as names that msgspec has no structs for
            return None

    def judge(self, doubt: Exception, data: Any, **options: Any) -> Any:
        """Let marshmallow load *data*, which compiled code was in doubt about and did nothing with."""
        if isinstance(doubt, NotCompiled):  # a nested schema that was not looked into before
            self._wholes = dict.fromkeys(self._wholes)
            self._state = self._state._replace(load=None, load_json=None)
            return self.schema._do_load(data, **options)
        with by_marshmallow():
            return self.schema._do_load(data, **options)

    def whole(self, many: Any, partial: Any, unknown: Any) -> Load | None:
        """Return the function that loads all data in one go, made for the first call; None if there is none."""
        schema = self.schema
        found: Load | None = self._variant(
            self._wholes,
            lambda partial, unknown, many: Reader().whole(schema, partial, unknown, many),
            schema.partial if partial is None else partial,
            schema.unknown if unknown is None else unknown,
            schema.many if many is None else bool(many),
        )
        return found

    def by_field(self, partial: Any, unknown: Any) -> LoadFields | None:
        """Return the function that loads one dictionary field by field, made for the first call."""
        schema = self.schema
        found: LoadFields | None = self._variant(
            self._by_field, lambda partial, unknown: FieldReader().by_field(schema, partial, unknown), partial, unknown
        )
        return found

    def _refresh(self) -> Load | None:
        schema = self.schema
        load = self.whole(None, None, None)
        self._state = _State(schema.load_fields, schema.many, schema.partial, schema.unknown, load)
        self._missed = 0
        return load

    def _variant(self, made: dict[Any, Any], make: Callable[..., Any], partial: Any, unknown: Any, *more: Any) -> Any:
        if self._made_for is not self.schema.load_fields:
            self._made_for = self.schema.load_fields
            self._wholes.clear()
            self._by_field.clear()
        try:
            key = (partial_of(partial), unknown, *more)
            if key in made:
                return made[key]
        except (NotCompiled, TypeError):  # what cannot be a key is no option that code is made for
            return None
        if len(made) >= _VARIANTS or unknown not in (RAISE, EXCLUDE, INCLUDE):
            return None
        try:
            found = make(*key)
        except Exception:  # what is not what it looks like, such as a field that nests an unknown schema
            found = None
        made[key] = found
        return found


def loader(schema: Schema) -> Loader:
    """Return the loader of *schema*; it is made for the first call and kept with the schema."""
    kept = kept_loader(schema)
    if kept is None:
        kept = schema.__dict__[_KEPT] = Loader(schema)
    return kept


def kept_loader(schema: Schema) -> Loader | None:
    """Return the loader of *schema* if it was made already."""
    kept: Loader | None = schema.__dict__.get(_KEPT)
    return kept if kept is not None and kept.schema is schema else None  # a copy has the loader of the original


def warm_loader(schema: Schema) -> Loader | None:
    """Return the loader of *schema* if it was made already, or if the schema is used often enough to make it."""
    kept = kept_loader(schema)
    if kept is not None:
        return kept
    uses = schema.__dict__.get(_USES, 0)
    if uses >= _COLD:
        return loader(schema)
    schema.__dict__[_USES] = uses + 1
    return None
