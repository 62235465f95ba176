"""The code that dumps by a schema."""

from __future__ import annotations

import datetime as dt
import keyword
from collections.abc import Callable
from typing import Any

import orjson
from marshmallow import Schema, fields, missing
from marshmallow.decorators import POST_DUMP, PRE_DUMP
from marshmallow.utils import get_value

from colibris.schemas.compiled import stock
from colibris.schemas.compiled.conversions import DOUBT, declared, same_class
from colibris.schemas.compiled.converting import GLOBALS
from colibris.schemas.compiled.presenting import case, float_case, isoformat
from colibris.schemas.compiled.safe import safe
from colibris.schemas.compiled.source import Source
from colibris.schemas.compiled.stock import NotCompiled

Dump = Callable[[Any], Any]

_GLOBALS: dict[str, Any] = {
    **GLOBALS,
    'dumps': orjson.dumps,
    'get_value': get_value,
    'isoformat': isoformat,
    'safe': safe,
    'utc': dt.UTC,
}
#: How the attributes of an object are read: of a mapping that is known to have them all, by key, or as attributes.
PROMISED, BY_KEY, BY_ATTRIBUTE = 'promised', 'by_key', 'by_attribute'


class Writer:
    """Writes the code that dumps one object by a schema, to plain data or to what orjson encodes the same."""

    def __init__(self, *, json: bool, way: str) -> None:
        self.source = Source(dict(_GLOBALS))
        self.json = json
        #: What was left to marshmallow, by the names of fields, and why.
        self.left: dict[str, str] = {}
        self._way = way
        #: Whether what is being written is within an expression, for each of many values.
        self.within = False

    def function(self, schema: Schema, *, many: bool, seen: type, other: Dump | None, one: Dump | None) -> Dump:
        """Return the function that dumps one object, or *many* that something yields.

        *seen* is a class whose objects are read in the way of this function, *other* dumps one that is read in the
        other way, and *one* what is given instead of many.
        """
        source = self.source
        source.names.update(Seen=seen, other=other, one=one)
        with source.block(f'def dump({"objects" if many else "o"}):'):
            if many:
                source.line('if objects is None: return one(None)')
                source.line('found = []')
                with source.block('for o in objects:'):
                    self._object(schema, 'found.append({0}); continue', 'found.append({0})')
                source.line('return found')
            else:
                self._object(schema, 'return {0}', 'return {0}')
        return source.function('dump', f'{type(schema).__module__}.{type(schema).__qualname__}.dump')

    def _object(self, schema: Schema, early: str, late: str) -> None:
        """Write what dumps the object `o`; *early* and *late* say what is done with the result."""
        source = self.source
        if self._way != PROMISED:
            has = 'not hasattr' if self._way == BY_KEY else 'hasattr'
            with source.block(f'if type(o) is not Seen and {has}(o, "__getitem__"):'):
                source.line(early.format('other(o)'))
        source.line('gap = False')
        pairs = []
        for name, field in schema.dump_fields.items():
            value = source.variable()
            self._field(schema, name, field, value)
            pairs.append(f'{source.constant(name if field.data_key is None else field.data_key)}: {value}')
        source.line(f'r = {{{", ".join(pairs)}}}')
        source.line('if gap: r = {k: v for k, v in r.items() if v is not missing}')
        source.line(late.format('r'))

    def safe(self, expression: str) -> str:
        """Return *expression* so that orjson encodes its value just as msgspec does."""
        return f'safe({expression})' if self.json else expression

    def inner(self, field: fields.Field[Any], value: str, *, plain: bool = False) -> str:
        """Return an expression for what ``field._serialize`` makes of the expression *value*.

        With *plain* it is plain data, also where JSON is written. Raises NotCompiled if only the field itself knows.
        """
        json, within = self.json, self.within
        self.json, self.within = json and not plain, True
        try:
            if type(field) in declared:
                return f'{self.source.constant(_presenter(field, json=self.json), "present")}({value})'
            stock.check_field(field)
            condition, shown = case(self, field, value)
            ask = self.safe(f'{self.source.constant(field._serialize, "ask")}({value}, None, None)')
            return f'({shown} if {condition} else None if {value} is None else {ask})'
        finally:
            self.json, self.within = json, within

    def _list(self, field: fields.List[Any], value: str) -> None:
        """Write what dumps the variable *value*, which can be iterated, by the field of its values."""
        source, each, found = self.source, self.source.variable(), self.source.variable()
        shown = self.inner(field.inner, each)
        same = self._same(field.inner, each)
        if not same:
            source.line(f'{found} = []')
            source.line(f'for {each} in {value}: {found}.append({shown})')
            source.line(f'{value} = {found}')
            return
        with source.block(f'if type({value}) is list:'):
            with source.block(f'for {each} in {value}:'), source.block(f'if not ({same}):'):
                source.line(f'{value} = [{shown} for {each} in {value}]')
                source.line('break')
            if not self.json:  # what is dumped is not what it was dumped from
                source.line(f'else: {value} = {value}[:]')
        source.line(f'else: {value} = [{shown} for {each} in {value}]')

    def _same(self, field: fields.Field[Any], value: str) -> str:
        """Return the condition for which *field* dumps the variable *value* as it is; empty if there is none."""
        if type(field) in declared:
            return ''
        condition, shown = case(self, field, value)
        return condition if shown == value else ''

    def nested(self, field: fields.Nested) -> str:
        """Return an expression for a function of what is nested in *field*."""
        nested = _Nested(field, json=self.json, promised=self._way == PROMISED)
        name = self.source.constant(nested, 'nested')
        nested.install = lambda function: self.source.names.__setitem__(name, function)
        return name

    def _field(self, schema: Schema, name: str, field: Any, value: str) -> None:
        """Write what puts into the variable *value* what is dumped of one field, or `missing`."""
        source = self.source
        try:
            with source.attempt():
                self._known(name, field, value)
        except Exception as exc:
            self.left[name] = str(exc) if isinstance(exc, NotCompiled) else f'it cannot be read: {exc}'
            serialize, get = source.constant(field.serialize, 'serialize'), source.constant(schema.get_attribute, 'get')
            self._shown(value, f'{serialize}({source.constant(name, "name")}, o, accessor={get})')

    def _known(self, name: str, field: Any, value: str) -> None:
        """Write what dumps one field. Raises NotCompiled if only the field itself knows."""
        source = self.source
        ask = f'{source.constant(field._serialize, "ask")}({value}, {source.constant(name, "name")}, o)'
        attribute = name if field.attribute is None else field.attribute
        if type(attribute) is not str:
            raise NotCompiled('its attribute is no plain string')
        if type(field) in declared:
            self._converted(name, field, attribute, value, ask)
            return
        stock.check_field(field)
        if not field._CHECK_ATTRIBUTE:
            source.line(f'{value} = None')
            self._shown(value, ask)
            return
        condition, shown = case(self, field, value)
        self._read(attribute, value)
        if type(field) is fields.List:
            with source.block(f'if {condition}:'):
                self._list(field, value)
            block = 'else:'
        elif shown == value:
            block = f'if not ({condition}):'
        else:
            source.line(f'if {condition}: {value} = {shown}')
            block = 'else:'
        with source.block(block):
            self._uncommon(name, field, value, ask)

    def _converted(self, name: str, field: Any, attribute: str, value: str, ask: str) -> None:
        """Write what dumps one field whose conversion is declared."""
        source = self.source
        convert = source.constant(_declared(field, json=self.json), 'convert')
        text = self.json and declared[type(field)].json is None
        self._read(attribute, value)
        with source.block(f'if not ({_unchanged(field, value, json=self.json)}):'):
            source.line('w = DOUBT')
            with source.block(f'if {value} is not None and {value} is not missing:'):
                source.line(f'try: w = {convert}({value})')
                source.line('except Exception: pass')
            source.line(f'if w is not DOUBT: {value} = {self.safe("w") if text else "w"}')
            with source.block('else:'):
                self._uncommon(name, field, value, ask)

    def _uncommon(self, name: str, field: Any, value: str, ask: str) -> None:
        """Write what dumps a value that is not of the class that is expected, None, or missing."""
        source = self.source
        with source.block(f'if {value} is missing:'):
            attribute = name if field.attribute is None else field.attribute
            promised = self._way == PROMISED and '.' not in attribute  # a way to related objects may end before
            if field.dump_default is missing or promised:
                source.line('gap = True')
            else:
                default = source.constant(field.dump_default, 'default')
                source.line(f'{value} = {default}{"()" if callable(field.dump_default) else ""}')
                source.line(f'if {value} is missing: gap = True')
                with source.block('else:'):
                    self._shown(value, ask)
        with source.block(f'elif {value} is not None:'):
            self._shown(value, ask)

    def _shown(self, value: str, expression: str) -> None:
        """Write what takes the value of *expression* as it is, if it is not missing."""
        self.source.line(f'{value} = {expression}')
        self.source.line(f'if {value} is missing: gap = True')
        if self.json:
            self.source.line(f'else: {value} = safe({value})')

    def _read(self, attribute: str, value: str) -> None:
        """Write what reads *attribute* of the object into the variable *value*, as marshmallow's get_value does."""
        source, text = self.source, repr(attribute)
        if '.' in attribute:
            source.line(f'{value} = get_value(o, {text}, missing)')
        elif self._way == PROMISED:
            source.line(f'{value} = o[{text}]')
        elif self._way == BY_KEY:
            source.line(f'try: {value} = o[{text}]')
            source.line('except (KeyError, IndexError, TypeError, AttributeError):')
            source.line(f' {value} = getattr(o, {text}, missing)')
        elif attribute.isascii() and attribute.isidentifier() and not keyword.iskeyword(attribute):
            source.line(f'try: {value} = o.{attribute}')
            source.line(f'except AttributeError: {value} = missing')
        else:
            source.line(f'{value} = getattr(o, {text}, missing)')


def _declared(field: Any, *, json: bool) -> Dump:
    """Return the declared conversion of *field*. Raises NotCompiled if there is none."""
    stock.check_declared(field)
    conversion = declared[type(field)]
    maker = (json and conversion.json) or conversion.dump
    convert = maker(field) if maker else None
    if convert is None:
        raise NotCompiled(f'{type(field).__qualname__} declares no conversion for dumping')
    return convert


def _unchanged(field: Any, value: str, *, json: bool) -> str:
    """Return the condition for which the variable *value* is dumped as it is, by what is declared of *field*."""
    cls = same_class(field)
    if cls is int or cls is str:
        return f'type({value}) is {cls.__name__}'
    if cls is float:
        return float_case(value, json=json)
    if cls is dt.datetime and json:  # which else is text
        return f'type({value}) is datetime and {value}.tzinfo is utc'
    return 'False'


def _presenter(field: Any, *, json: bool) -> Dump:
    """Return the declared conversion of *field* as a function that asks the field itself where it is in doubt."""
    convert, text = _declared(field, json=json), json and declared[type(field)].json is None

    def present(value: Any) -> Any:
        try:
            shown = DOUBT if value is None else convert(value)
        except Exception:
            shown = DOUBT
        if shown is DOUBT:
            shown = field._serialize(value, None, None)
            return safe(shown) if json else shown
        return safe(shown) if text else shown

    return present


class Stub:
    """Dumps by a schema; the code is made when the first object shows how its attributes are read.

    *install* is called with the function that takes the place of this.
    """

    def __init__(
        self, schema: Schema, *, json: bool, promised: bool, many: bool, install: Callable[[Dump], None]
    ) -> None:
        self._schema = schema
        self._json = json
        self._promised = promised
        self._many = many
        self._install = install

    def __call__(self, obj: Any) -> Any:
        if not self._many:
            first = obj
        elif obj is None:
            return self._one(obj)
        else:
            obj = list(obj)
            if not obj:
                return []
            first = obj[0]
        dump = self._make(self._way(first), first, many=self._many)
        self._install(dump)
        return dump(obj)

    def _way(self, obj: Any) -> str:
        if self._promised:
            return PROMISED
        return BY_KEY if type(obj) is dict or hasattr(obj, '__getitem__') else BY_ATTRIBUTE

    def _one(self, obj: Any) -> Any:
        return self._make(self._way(obj), obj, many=False)(obj)

    def _make(self, way: str, obj: Any, *, many: bool) -> Dump:
        writer = Writer(json=self._json, way=way)
        names = writer.source.names

        def other(obj: Any) -> Any:
            names['other'] = self._make(self._way(obj), obj, many=False)
            return names['other'](obj)

        return writer.function(self._schema, many=many, seen=type(obj), other=other, one=self._one)


class _Nested:
    """Dumps what is nested in a field; made when there is something, as the schema may nest itself without end."""

    install: Callable[[Dump], None]

    def __init__(self, field: fields.Nested, *, json: bool, promised: bool) -> None:
        self._field = field
        self._json = json
        self._promised = promised

    def __call__(self, value: Any) -> Any:
        dump = self._made()
        self.install(dump)
        return dump(value)

    def _made(self) -> Dump:
        field, schema = self._field, self._field.schema
        many = bool(schema.many or field.many)
        plucked = type(field) is fields.Pluck
        ask: Any = field._serialize
        try:
            check_dump(schema, nested=True)
        except NotCompiled:
            present = safe if self._json else _same
            if plucked:
                return lambda value: present(ask(value, None, None))
            return lambda value: present(schema.dump(value, many=many))
        if not plucked:
            return Stub(schema, json=self._json, promised=self._promised, many=many, install=self.install)
        whole = steady(schema, json=self._json, promised=self._promised, many=many)
        key: str = field._field_data_key  # type: ignore[attr-defined]  # of Pluck
        if field.many:
            return lambda value: [each[key] for each in whole(value)]
        return lambda value: whole(value)[key]


def steady(schema: Schema, *, json: bool, promised: bool, many: bool) -> Dump:
    """Return a function that dumps by *schema* and may be kept: what is made for the first object is within."""
    dump: Dump

    def install(made: Dump) -> None:
        nonlocal dump
        dump = made

    dump = Stub(schema, json=json, promised=promised, many=many, install=install)
    return lambda obj: dump(obj)


def check_dump(schema: Schema, *, nested: bool) -> None:
    """Raise NotCompiled if dumping by *schema* itself runs code of others, whatever its fields do."""
    stock.check_dump(schema, nested=nested)
    found = stock.hooks(schema, PRE_DUMP, POST_DUMP)
    if found:
        raise NotCompiled(f'{type(schema).__qualname__} has hooks: {", ".join(found)}')


def _same(value: Any) -> Any:
    return value
