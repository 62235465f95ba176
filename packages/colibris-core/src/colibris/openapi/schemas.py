"""The component schemas: one for each form in which a marshmallow schema travels, under a name that says which."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema, fields
from marshmallow.decorators import POST_DUMP, PRE_LOAD

from colibris.openapi.converter import Direction, FieldConverter, Json, schema_title

_REF = '#/components/schemas/'


@dataclass(slots=True)
class _Variant:
    """One form of a schema class: what is sent or what is got, whole or in part."""

    schema: type[Schema]
    direction: Direction
    partial: bool
    restricted: bool  # by `only` or `exclude`
    role: str  # where it was met first: 'Create', 'Update', or the names of the schema and field that nest it
    described: Json = field(default_factory=dict)


class SchemaRegistry:
    """Collects the forms of schemas while operations are described, and names them when all are known.

    Until then references bear a provisional name; `name_all` gives the final one for each.
    """

    def __init__(self) -> None:
        self._variants: dict[str, _Variant] = {}
        self._tokens: dict[tuple[Any, ...], str] = {}

    def reference(self, schema: Schema, direction: Direction, role: str = '') -> Json:
        """Return a reference to the form in which *schema* travels in *direction*; *role* helps to find its name."""
        return {'$ref': _REF + self._token(schema, direction, schema.partial, schema.unknown, role)}

    def properties(self, schema: Schema) -> Iterator[tuple[str, fields.Field[Any], Json]]:
        """Yield name, field and description of each field that *schema* loads, for parameters."""
        for name, declared in schema.load_fields.items():
            yield declared.data_key or name, declared, self.property(declared)

    def property(self, declared: fields.Field[Any]) -> Json:
        """Return the description of one field that is sent as a parameter."""
        return FieldConverter('form', lambda nested: {'type': 'object'}).field2property(declared)

    def name_all(self, reserved: Iterable[str] = ()) -> tuple[dict[str, Json], dict[str, str]]:
        """Return the components by name, and the final reference for each provisional one."""
        merged = self._merge()
        names = _Names((self._variants[token] for token in merged.values()), reserved)
        by_claim = [token for token in self._by_claim() if token in merged.values()]
        final = {token: names.give(self._variants[token]) for token in by_claim}
        references = {_REF + token: _REF + final[kept] for token, kept in merged.items()}
        components = {final[token]: self._variants[token].described for token in by_claim}
        return {name: rename(components[name], references) for name in sorted(components)}, references

    def _token(self, schema: Schema, direction: Direction, partial: Any, unknown: str, role: str) -> str:
        partial = None if direction == 'response' else partial
        if not isinstance(partial, bool):
            partial = frozenset(partial or ()) or None
        key = (type(schema), direction, partial or None, unknown, *_fields_of(schema, direction))
        if key not in self._tokens:
            token = self._tokens[key] = f'~{len(self._tokens)}'
            restricted = bool(schema.only is not None or set(schema.exclude) - set(schema.opts.exclude))
            variant = self._variants[token] = _Variant(type(schema), direction, partial is True, restricted, role)
            variant.described = self._describe(schema, direction, partial, unknown)
        return self._tokens[key]

    def _describe(self, schema: Schema, direction: Direction, partial: Any, unknown: str) -> Json:
        outer = _base_name(type(schema))

        def nested(inner: fields.Nested) -> Json:
            role = outer + _camel(inner.name or '')
            token = self._token(inner.schema, direction, partial is True, inner.unknown or inner.schema.unknown, role)
            reference = {'$ref': _REF + token}
            many = inner.many or inner.schema.many
            return {'type': 'array', 'items': reference} if many else reference

        converter = FieldConverter(direction, nested)
        chosen = schema.dump_fields if direction == 'response' else schema.load_fields
        described: Json = {'type': 'object', **schema_title(schema)}
        described['properties'] = {
            declared.data_key or name: converter.field2property(declared) for name, declared in chosen.items()
        }
        if partial is True:  # what is left out stays as it is
            for prop in described['properties'].values():
                prop.pop('default', None)
        required = _required(schema, direction, partial)
        if required:
            described['required'] = required
        described.update(_additional(schema, direction, unknown))
        return described

    def _merge(self) -> dict[str, str]:
        """Map each variant to the first one of the same schema that reads the same, down to what it refers to."""
        labels = {token: str(id(variant.schema)) for token, variant in self._variants.items()}
        count = 0
        while count != len(set(labels.values())):
            count = len(set(labels.values()))
            references = {_REF + token: label for token, label in labels.items()}
            content = {
                token: labels[token] + json.dumps(rename(variant.described, references), sort_keys=True)
                for token, variant in self._variants.items()
            }
            numbers = {text: str(number) for number, text in enumerate(dict.fromkeys(content.values()))}
            labels = {token: numbers[text] for token, text in content.items()}
        first: dict[str, str] = {}
        for token in self._by_claim():
            first.setdefault(labels[token], token)
        return {token: first[labels[token]] for token in labels}

    def _by_claim(self) -> list[str]:
        """Order the variants by how much the plain name of their schema is theirs, then as they were met."""
        return sorted(self._variants, key=lambda token: _claim(self._variants[token]))


class _Names:
    """Gives each variant a name of its own, by what sets it apart."""

    def __init__(self, variants: Iterable[_Variant], reserved: Iterable[str]) -> None:
        self._taken = set(reserved)
        self._bases = _distinct_bases({variant.schema for variant in variants})

    def give(self, variant: _Variant) -> str:
        base = self._bases[variant.schema]
        candidates = [name for name in self._candidates(base, variant) if name]
        name = next((name for name in candidates if name not in self._taken), None)
        number = 2
        while name is None:
            name = f'{candidates[-1]}_{number}'
            name = None if name in self._taken else name
            number += 1
        self._taken.add(name)
        return name

    def _candidates(self, base: str, variant: _Variant) -> Iterator[str]:
        direction = variant.direction.capitalize()
        verb = variant.role if variant.role in ('Create', 'Update', 'Patch') else ''
        nested_in = '' if verb else variant.role
        if variant.partial:
            yield f'{base}Patch'
            yield nested_in and f'{nested_in}Patch'
            yield f'{base}Patch{direction}'
        elif variant.restricted:
            yield verb and base + verb
            yield verb and base + verb + direction
            yield nested_in
            yield nested_in and nested_in + direction
        else:
            yield base
            yield base + direction
            yield verb and base + verb
        yield base + direction


def rename(value: Any, references: dict[str, str]) -> Any:
    """Return *value* with each ``$ref`` that *references* knows replaced."""
    if isinstance(value, dict):
        return {
            key: references.get(item, item) if key == '$ref' and isinstance(item, str) else rename(item, references)
            for key, item in value.items()
        }
    return [rename(item, references) for item in value] if isinstance(value, list) else value


def _fields_of(schema: Schema, direction: Direction) -> Iterator[Any]:
    """Yield what tells two instances of a schema class apart."""
    chosen = schema.dump_fields if direction == 'response' else schema.load_fields
    yield frozenset(chosen)
    for option in (schema.only, schema.exclude, schema.load_only, schema.dump_only):
        yield frozenset(name for name in option or () if '.' in name)  # which reach into nested schemas


def _required(schema: Schema, direction: Direction, partial: Any) -> list[str]:
    if direction != 'response':
        optional = set(schema.load_fields) if partial is True else set(partial or ())
        chosen = [(name, one) for name, one in schema.load_fields.items() if one.required and name not in optional]
    elif schema._hooks.get(POST_DUMP):
        chosen = []  # the hook may drop or rename them
    else:
        always = getattr(schema.opts, 'model', None) is not None  # an instance of a model has all of its fields
        chosen = [(name, one) for name, one in schema.dump_fields.items() if always or one.required]
    return sorted(one.data_key or name for name, one in chosen)


def _additional(schema: Schema, direction: Direction, unknown: str) -> Json:
    hooked = schema._hooks.get(POST_DUMP if direction == 'response' else PRE_LOAD)
    if hooked or unknown == EXCLUDE:
        return {}
    if direction == 'response':
        return {'additionalProperties': False} if unknown == RAISE else {}
    return {'additionalProperties': unknown == INCLUDE}


def _claim(variant: _Variant) -> tuple[bool, bool, int]:
    return variant.partial, variant.restricted, ('response', 'request', 'form').index(variant.direction)


def _base_name(schema: type[Schema]) -> str:
    name = re.sub(r'[^A-Za-z0-9_.-]', '_', schema.__name__)
    return name.removesuffix('Schema') or name


def _distinct_bases(schemas: set[type[Schema]]) -> dict[type[Schema], str]:
    """Name each schema class; those with equal names are told apart by their modules."""
    groups: dict[str, list[type[Schema]]] = defaultdict(list)
    for schema in sorted(schemas, key=lambda one: (one.__module__, one.__qualname__)):
        groups[_base_name(schema)].append(schema)
    bases: dict[type[Schema], str] = {}
    for base, group in groups.items():
        for depth in range(max(one.__module__.count('.') for one in group) + 2):
            named = {one: ''.join(map(_camel, _place(one, depth))) + base for one in group}
            if len(set(named.values())) == len(group):
                break
        bases.update(named)
    return bases


def _place(schema: type[Schema], depth: int) -> list[str]:
    """Return the last *depth* parts of the module of *schema* that say something."""
    parts = [part for part in schema.__module__.split('.') if part not in ('schemas', 'views')]
    return parts[len(parts) - min(depth, len(parts)) :]


def _camel(name: str) -> str:
    return ''.join(part[:1].upper() + part[1:] for part in re.split(r'[^A-Za-z0-9]+', name))
