"""The code that loads data in one go by a schema that runs no code of others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema, fields, missing
from marshmallow.decorators import POST_LOAD, PRE_LOAD, VALIDATES, VALIDATES_SCHEMA
from marshmallow.utils import set_value

from colibris.schemas.compiled import stock
from colibris.schemas.compiled.conversions import declared
from colibris.schemas.compiled.converting import GLOBALS, Doubt, write_conversion
from colibris.schemas.compiled.source import Source
from colibris.schemas.compiled.stock import NotCompiled
from colibris.schemas.compiled.validators import write_validators

#: `partial` as code is made for it: None, a boolean, or names.
Partial = bool | tuple[str, ...] | None
Load = Callable[[Any], Any]

#: Schemas that nest one another deeper than this are written as functions of their own.
_INLINE = 5
#: Data that is nested deeper than this by schemas that nest themselves is left to marshmallow, with its own limits.
_DEEPEST = 16

_HARMLESS_DEFAULTS = (list, dict, set, frozenset, tuple, str, int, float, bool)


class Reader:
    """Writes the code for one schema, and for those that it nests."""

    def __init__(self, depth: int = 0) -> None:
        self.source = Source(dict(GLOBALS))
        self._depth = depth
        self._way: list[type[Schema]] = []

    def whole(self, schema: Schema, partial: Partial, unknown: str, many: bool) -> Load:
        """Return a function that loads data without effects, or raises where it is in doubt.

        Raises NotCompiled for a schema that runs code which may have effects.
        """
        source = self.source
        with source.block('def load(d):'):
            self._collection(schema, 'd', partial, unknown, many)
            source.line('return d')
        return source.function('load', f'{title_of(schema)}.load')

    @property
    def typed(self) -> bool:
        """Whether what is read was decoded to the types that were expected."""
        return False

    def expect(self, value: str, *classes: type) -> None:
        """Write what lets the variable *value* pass only if it is exactly of one of *classes*."""
        others = ' and '.join(f'type({value}) is not {cls.__name__}' for cls in classes)
        self.source.line(f'if {others}: raise Doubt')

    @contextmanager
    def plainly(self, value: str) -> Iterator[None]:
        """Within, write what reads any value in the variable *value*, whatever is typed without."""
        yield

    def each(self, value: str, each: str, write: Callable[[], bool]) -> bool:
        """Write what reads the list in the variable *value*: *write* writes what reads the variable *each* of it.

        Returns whether the list stays what it is; *write*, whether the variable does.
        """
        source = self.source
        self.expect(value, list)
        mark, found = source.mark(), source.variable()
        source.line(f'{found} = []')
        with source.block(f'for {each} in {value}:'):
            unchanged = write()
            source.line(f'{found}.append({each})')
        source.line(f'{value} = {found}')
        if unchanged:
            source.rewind(mark)
            with source.block(f'for {each} in {value}:'):
                write()
            source.line(f'{value} = {value}[:]')
        return False

    def value(self, field: fields.Field[Any], value: str, partial: Partial) -> bool:
        """Write what turns the variable *value*, not missing, into what ``field.deserialize`` makes of it.

        Returns whether the value stays what it is.
        """
        if field.pre_load or field.post_load:
            raise NotCompiled('its pre_load or post_load may have effects')
        if type(field) is fields.Pluck or type(field) in declared:  # the others look at the class
            refused = '' if field.allow_none else f'{value} is None or '
            self.source.line(f'if {refused}{value} is missing: raise Doubt')
        if not field.allow_none:
            return self._present(field, value, partial)
        with self.source.block(f'if {value} is not None:'):
            unchanged = self._present(field, value, partial)
            self.source.line('pass')
        return unchanged

    def nested(self, field: fields.Nested, value: str, partial: Partial) -> None:
        """Write what turns the variable *value* into what the schema of *field* loads from it."""
        if len(self._way) > _INLINE or self._repeats(field):
            later = _Later(field, partial, self._depth + 1)
            with self.plainly(value):
                self.source.line(f'{value} = {self.source.constant(later, "nested")}({value})')
            return
        schema = field.schema
        self._collection(schema, value, *_options(field, schema, partial))

    def _present(self, field: fields.Field[Any], value: str, partial: Partial) -> bool:
        unchanged = write_conversion(self, field, value, partial)
        write_validators(self.source, self._checks(field, value, unchanged), value)
        return unchanged

    def _checks(self, field: fields.Field[Any], value: str, unchanged: bool) -> Sequence[Any]:
        """Return the validators of *field* that are to be written."""
        return field.validators

    def _repeats(self, field: fields.Nested) -> bool:
        """Whether the schema of *field* may nest itself without end; it is not even made then."""
        nested = field.nested
        if isinstance(nested, type):
            return nested in self._way
        return isinstance(nested, str) or (not isinstance(nested, (Schema, dict)) and type(field.schema) in self._way)

    def _collection(self, schema: Schema, value: str, partial: Partial, unknown: str, many: bool) -> None:
        check_pure(schema, nested=bool(self._way) or self._depth > 0)
        self._way.append(type(schema))
        if many:
            each = self.source.variable()
            self.each(value, each, lambda: self._object(schema, each, partial, unknown))
        else:
            self._object(schema, value, partial, unknown)
        self._way.pop()

    def _object(self, schema: Schema, d: str, partial: Partial, unknown: str) -> bool:
        """Write what turns the dictionary in the variable *d* into the result. Returns that it does not stay."""
        source, result = self.source, self.source.variable()
        always = all(_is_always_there(name, field, partial) for name, field in schema.load_fields.items())
        count = self._begin(schema, d, partial, unknown)
        if not always:
            source.line(f'{result} = {{}}')
        pairs: list[str] = []
        for name, field in schema.load_fields.items():
            try:
                value = self._member(name, field, d, '' if always else result, count, partial)
            except NotCompiled as exc:
                raise NotCompiled(f'{name}: {exc}') from exc
            pairs.append(f'{source.constant(field.attribute or name)}: {value}')
        if always:
            source.line(f'{result} = {{{", ".join(pairs)}}}')
        self._end(schema, d, result, count, unknown)
        source.line(f'{d} = {result}')
        return False

    def _begin(self, schema: Schema, d: str, partial: Partial, unknown: str) -> str:
        """Write what makes sure of a dictionary; return a variable that counts its keys if some may be missing."""
        self.expect(d, dict)
        if unknown == EXCLUDE or all(_is_needed(name, field, partial) for name, field in schema.load_fields.items()):
            return ''
        count = self.source.variable()
        self.source.line(f'{count} = {len(keys_of(schema))}')
        return count

    def _end(self, schema: Schema, d: str, result: str, count: str, unknown: str) -> None:
        """Write what looks for unknown keys."""
        if unknown == EXCLUDE:
            return
        source, known = self.source, keys_of(schema)
        with source.block(f'if len({d}) != {count or len(known)}:'):
            if unknown == INCLUDE:
                key = source.variable()
                with source.block(f'for {key} in set({d}) - {source.constant(known, "known")}:'):
                    source.line(f'{result}[{key}] = {d}[{key}]')
            else:
                source.line('raise Doubt')

    def _take(self, d: str, key: str, value: str, needed: bool) -> str:
        """Write what puts a member of *d* into the variable *value*; return the name of what it is if there is none."""
        text = self.source.constant(key)
        self.source.line(f'{value} = {d}[{text}]' if needed else f'{value} = {d}.get({text}, missing)')
        return 'missing'

    def _member(self, name: str, field: Any, d: str, result: str, count: str, partial: Partial) -> str:
        """Write what reads one field into a variable, and from there into the variable *result* if that is given.

        Returns the first variable. *count* is one less if there is nothing to read.
        """
        source, value, inner = self.source, self.source.variable(), within(partial, name)
        needed = _is_needed(name, field, partial)
        absent = self._take(d, key_of(name, field), value, needed)
        if needed:
            self.value(field, value, inner)
            self._set(result, field.attribute or name, value)
            return value
        default = None if may_skip(name, partial) else self._default(field)
        with source.block(f'if {value} is {absent}:'):
            source.line(f'{count} -= 1' if count else 'pass')
            if default is not None:
                source.line(f'{value} = {default}')
                self._set(result, field.attribute or name, value)
        with source.block('else:'):
            self.value(field, value, inner)
            source.line('pass')
            self._set(result, field.attribute or name, value)
        return value

    def _set(self, result: str, key: str, value: str) -> None:
        if not result:
            return
        if '.' in key:
            self.source.names['set_value'] = set_value
            self.source.line(f'set_value({result}, {key!r}, {value})')
        else:
            self.source.line(f'{result}[{key!r}] = {value}')

    def _default(self, field: Any) -> str | None:
        """Return an expression for what *field* is when it is missing; None for nothing."""
        default = field.load_default
        if default is missing:
            return None
        if not callable(default):
            return self.source.constant(default, 'default')
        if default not in _HARMLESS_DEFAULTS:
            raise NotCompiled('its load_default is a function, which may have effects')
        return f'{self.source.constant(default, "default")}()'


class _Later:
    """Loads by a nested schema whose code is made when there is something to load: it may nest itself without end."""

    def __init__(self, field: fields.Nested, partial: Partial, depth: int) -> None:
        self._field = field
        self._partial = partial
        self._depth = depth
        self._load: Load | None = None

    def __call__(self, value: Any) -> Any:
        if self._load is None:
            self._load = self._made()
        return self._load(value)

    def _made(self) -> Load:
        if self._depth > _DEEPEST:
            return _refuse
        schema = self._field.schema
        return Reader(self._depth).whole(schema, *_options(self._field, schema, self._partial))


def check_pure(schema: Schema, *, nested: bool) -> None:
    """Raise NotCompiled if loading by *schema* itself runs code that may have effects, whatever its fields do."""
    stock.check_load(schema, nested=nested)
    found = stock.hooks(schema, PRE_LOAD, VALIDATES, VALIDATES_SCHEMA, POST_LOAD)
    if found:
        raise NotCompiled(f'{type(schema).__qualname__} has hooks: {", ".join(found)}')
    keys_of(schema)


def keys_of(schema: Schema, *, repeated: bool = False) -> frozenset[str] | set[str]:
    """Return the keys that *schema* reads."""
    keys = [key_of(name, field) for name, field in schema.load_fields.items()]
    for name, field in schema.load_fields.items():
        if type(key_of(name, field)) is not str or type(field.attribute or name) is not str:
            raise NotCompiled(f'{name}: its key is not a string')
    if not repeated and len(keys) != len(set(keys)):
        raise NotCompiled(f'{type(schema).__qualname__} reads a key into two fields')
    return set(keys)


def key_of(name: str, field: Any) -> str:
    return name if field.data_key is None else field.data_key


def may_skip(name: str, partial: Partial) -> bool:
    return partial is True or (isinstance(partial, tuple) and name in partial)


def _is_needed(name: str, field: Any, partial: Partial) -> bool:
    return field.required and not may_skip(name, partial)


def _is_always_there(name: str, field: Any, partial: Partial) -> bool:
    if '.' in (field.attribute or name) or may_skip(name, partial):
        return False
    return bool(field.required) or field.load_default is not missing


def within(partial: Partial, name: str) -> Partial:
    """Return what *partial* says of what is nested in the field *name*."""
    if not isinstance(partial, tuple):
        return partial
    prefix = f'{name}.'
    return tuple(each[len(prefix) :] for each in partial if each.startswith(prefix))


def _options(field: Any, schema: Schema, partial: Partial) -> tuple[Partial, str, bool]:
    """Return `partial`, `unknown` and `many` as they hold for what is nested in *field*."""
    if field.many and not schema.many:
        raise NotCompiled('it nests many by a schema of one')
    unknown = schema.unknown if field.unknown is None else field.unknown
    own = partial_of(schema.partial) if partial is None else partial
    if unknown not in (RAISE, EXCLUDE, INCLUDE):
        raise NotCompiled(f'unknown={unknown!r}')
    return own, unknown, bool(schema.many)


def partial_of(partial: Any) -> Partial:
    """Return *partial* as code is made for it. Raises NotCompiled for what is not simple."""
    if partial is None or partial is True or partial is False:
        return partial
    if type(partial) in (list, tuple, set, frozenset) and all(type(name) is str for name in partial):
        return tuple(partial)
    raise NotCompiled(f'partial is a {type(partial).__name__}')


def _refuse(value: Any) -> Any:
    raise Doubt


def title_of(schema: Schema) -> str:
    return f'{type(schema).__module__}.{type(schema).__qualname__}'
