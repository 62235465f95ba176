"""From a marshmallow field to JSON Schema 2020-12: apispec's conversion, mended where it does not say what we do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec
from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema, fields, missing, validate

from colibris.schemas.fields import File

Json = dict[str, Any]
#: A form is a request that knows no null.
Direction = Literal['request', 'form', 'response']

#: How a decimal number is written; what marshmallow reads beyond that (spaces, underscores) is not advertised.
DECIMAL_PATTERN = r'^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$'

#: ISO 8601 times of day; the format "time" of JSON Schema wants an offset, which a ``time`` seldom has.
TIME_PATTERN = r'^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.,][0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])?$'

_NUMBERS = {'integer', 'number'}

#: What metadata may say beside what the field and its validators do.
_KEYWORDS = frozenset(
    {
        *('title', 'description', 'deprecated', 'default', 'example', 'examples', 'externalDocs', 'xml'),
        *('type', 'enum', 'const', 'format', 'readOnly', 'writeOnly', 'allOf', 'anyOf', 'oneOf', 'not'),
        *('multipleOf', 'maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum'),
        *('maxLength', 'minLength', 'pattern', 'contentEncoding', 'contentMediaType', 'contentSchema'),
        *('items', 'prefixItems', 'maxItems', 'minItems', 'uniqueItems', 'contains', 'minContains', 'maxContains'),
        *('properties', 'patternProperties', 'additionalProperties', 'propertyNames', 'required'),
        *('maxProperties', 'minProperties', 'dependentRequired'),
    }
)


class FieldConverter(OpenAPIConverter):
    """Describes fields as they are in one direction: in what a client sends (as JSON or as a form), or in what it gets.

    *nested* gives the description of a nested schema, as a rule a reference to a component.
    """

    field_mapping = {  # noqa: RUF012  # apispec's own declaration
        **OpenAPIConverter.field_mapping,
        fields.Decimal: ('string', 'decimal'),
        fields.Url: ('string', 'uri'),
        fields.IP: ('string', None),
        fields.IPInterface: ('string', None),
        fields.Tuple: ('array', None),
        File: ('string', 'binary'),
    }

    def __init__(self, direction: Direction, nested: Callable[[fields.Nested], Json]) -> None:
        self.direction = direction
        self._nested = nested
        spec = APISpec('', '', '3.1.1')  # asked by nobody: the components are ours
        super().__init__('3.1.1', lambda schema: None, spec)

    def init_attribute_functions(self) -> None:
        """Name the functions that are asked for each field; the later ones have the last word."""
        self.attribute_functions = [
            self.field2type_and_format,
            self.field2default,
            self.field2choices,
            self.field2read_only,
            self.field2write_only,
            self.field2range,
            self.field2length,
            self.field2pattern,
            self.validators2properties,
            self.field2formats,
            self.enum2properties,
            self.constant2properties,
            self.nested2properties,
            self.pluck2properties,
            self.list2properties,
            self.tuple2properties,
            self.dict2properties,
            self.timedelta2properties,
            self.datetime2properties,
            self.metadata2properties,
            self.field2nullable,
        ]

    def field2property(self, field: fields.Field[Any]) -> Json:
        """Return the JSON Schema of *field*."""
        ret: Json = super().field2property(field)
        return {key: plain(value) for key, value in ret.items() if value is not None or key in ('default', 'const')}

    def field2type_and_format(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Describe the type, by what the field says of itself if it says anything.

        Its method ``json_schema(direction)`` returns it, or its attribute ``described_as`` holds a field of that type.
        """
        own = getattr(field, 'json_schema', None)
        if callable(own):
            return dict(own(self.direction))
        other = getattr(field, 'described_as', None)
        return self.field2property(other) if other is not None else super().field2type_and_format(field)

    def field2formats(self, field: fields.Field[Any], ret: Json, **kwargs: Any) -> Json:
        """Describe the text forms of decimals, times and addresses."""
        if isinstance(field, fields.Decimal) and self.direction != 'response':
            known = {'pattern': DECIMAL_PATTERN, **_decimal_example(field)} if 'pattern' not in ret else {}
            return {'type': ['string', 'number'], **known}
        if isinstance(field, fields.Time) and 'pattern' not in ret and field.format in (None, 'iso', 'iso8601'):
            return {'pattern': TIME_PATTERN}
        if type(field) is fields.IP:
            return {'anyOf': [{'format': 'ipv4'}, {'format': 'ipv6'}]}
        if isinstance(field, fields.Url) and field.relative:
            return {'format': 'uri-reference'}
        return {}

    def field2default(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Name the value that stands in for a field left out of a request."""
        default = field.load_default
        if self.direction == 'response' or default is missing or callable(default):
            return {}
        if self.direction == 'form' and default is None:
            return {}
        if isinstance(default, datetime) and default.tzinfo is None:
            return {}  # would not be a "date-time"
        return {'default': self._serialized(field, default)}

    def field2choices(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """List the values that the validators allow or refuse."""
        found: Json = {}
        for validator in validators(field):
            if isinstance(validator, validate.ContainsOnly | validate.ContainsNoneOf):
                continue  # about the items of a list
            if isinstance(validator, validate.OneOf):
                found['enum'] = [choice for choice in validator.choices if choice in found.get('enum', [choice])]
            elif isinstance(validator, validate.Equal):
                found['enum'] = [validator.comparable]
            elif isinstance(validator, validate.NoneOf):
                found['not'] = {'enum': [self._serialized(field, value) for value in validator.iterable]}
        if 'enum' in found:
            found['enum'] = [self._serialized(field, value) for value in found['enum']]
        return found

    def field2range(self, field: fields.Field[Any], ret: Json, **kwargs: Any) -> Json:
        """Name the bounds of a number; those of what travels as a string are told by an extension."""
        if isinstance(field, fields.Enum):
            return {}
        bounds: Json = {}
        prefix = '' if _types(ret) <= {*_NUMBERS, 'null'} else 'x-'
        for validator in validators(field, validate.Range):
            if validator.min is not None:
                keyword = 'minimum' if validator.min_inclusive else 'exclusiveMinimum'
                bounds[prefix + keyword] = self._serialized(field, validator.min)
            if validator.max is not None:
                keyword = 'maximum' if validator.max_inclusive else 'exclusiveMaximum'
                bounds[prefix + keyword] = self._serialized(field, validator.max)
        if bounds.get('minimum', 0) < -1000 and bounds.get('maximum', 1) > 0:
            bounds['examples'] = [1]  # tools would show the lower bound, which is that of a column as a rule
        return bounds

    def field2length(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Name the bounds of a length: of characters, items or properties."""
        types = _types(kwargs['ret'])
        many = isinstance(field, fields.Nested) and (field.many or field.schema.many)
        noun = 'Items' if many or 'array' in types else 'Properties' if 'object' in types else 'Length'
        found: Json = {}
        for validator in validators(field, validate.Length):
            low = validator.min if validator.equal is None else validator.equal
            high = validator.max if validator.equal is None else validator.equal
            if low is not None:
                found[f'min{noun}'] = max(low, found.get(f'min{noun}', low))
            if high is not None:
                found[f'max{noun}'] = min(high, found.get(f'max{noun}', high))
        return found

    def field2pattern(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Give the pattern of the text, where JSON Schema can say the same."""
        patterns = [ecma_pattern(validator.regex) for validator in validators(field, validate.Regexp)]
        known = [pattern for pattern in patterns if pattern is not None]
        if len(known) < 2:
            return {'pattern': known[0]} if known else {}
        return {'allOf': [{'pattern': pattern} for pattern in known]}

    def validators2properties(self, field: fields.Field[Any], ret: Json, **kwargs: Any) -> Json:
        """Ask validators that describe themselves, by a method ``json_schema(direction)``."""
        found: Json = {}
        for validator in validators(field):
            own = getattr(validator, 'json_schema', None)
            described: Json = {} if own is None else own(self.direction)
            if described.keys().isdisjoint({*found, *ret}):
                found.update(described)
            else:
                both = found.get('allOf') or ret.get('allOf') or []
                found['allOf'] = [*both, described]
        return found

    def metadata2properties(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Take over what the field's metadata says in the words of JSON Schema."""
        said = {key.replace('_', '-', 1): value for key, value in field.metadata.items() if key.startswith('x_')}
        said |= {key: value for key, value in field.metadata.items() if key in _KEYWORDS or key.startswith('x-')}
        if self.direction == 'response':
            said.pop('default', None)
        return said

    def enum2properties(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """List the members of an enumeration, as they travel."""
        if not isinstance(field, fields.Enum):
            return {}
        members = [member.value for member in field.enum] if field.by_value else list(field.enum.__members__)
        values = [plain(self._serialized(field.field, value)) for value in members]
        types = sorted({_json_type(value) for value in values})
        return {'type': types[0] if len(types) == 1 else types, 'enum': values}

    def constant2properties(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Describe a field that is always the same in an answer; in a request it is taken for granted."""
        if isinstance(field, fields.Constant) and self.direction == 'response':
            return {'const': field.constant}
        return {}

    def nested2properties(self, field: fields.Field[Any], ret: Json, **kwargs: Any) -> Json:
        """Refer to the component of a nested schema."""
        if isinstance(field, fields.Nested) and not isinstance(field, fields.Pluck):
            return self._nested(field)
        return {}

    def pluck2properties(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Describe the one field that is plucked out of a nested schema."""
        if not isinstance(field, fields.Pluck):
            return {}
        plucked = self.field2property(field.schema.fields[field.field_name])
        plucked.pop('readOnly', None)
        return {'type': 'array', 'items': plucked} if field.many else plucked

    def list2properties(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Describe the items of a list, and which of them are allowed."""
        if not isinstance(field, fields.List):
            return {}
        items = self.field2property(field.inner)
        for validator in validators(field):
            if isinstance(validator, validate.ContainsOnly):
                items['enum'] = [self._serialized(field.inner, value) for value in validator.choices]
            elif isinstance(validator, validate.ContainsNoneOf):
                items['not'] = {'enum': [self._serialized(field.inner, value) for value in validator.iterable]}
        return {'items': items}

    def tuple2properties(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Describe each place of a tuple."""
        if not isinstance(field, fields.Tuple):
            return {}
        size = len(field.tuple_fields)
        places = [self.field2property(place) for place in field.tuple_fields]
        return {'prefixItems': places, 'minItems': size, 'maxItems': size}

    def dict2properties(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Describe the keys and the values of a mapping."""
        if not isinstance(field, fields.Mapping):
            return {}
        found: Json = {'type': 'object'}
        if field.value_field is not None:
            found['additionalProperties'] = self.field2property(field.value_field)
        if field.key_field is not None and (key := self.field2property(field.key_field)).get('type') == 'string':
            found['propertyNames'] = key
        return found

    def datetime2properties(self, field: fields.Field[Any], **kwargs: Any) -> Json:
        """Describe the forms of a moment that are not ISO 8601."""
        if not isinstance(field, fields.DateTime):
            return {}
        if field.format in (None, 'iso', 'iso8601'):
            return {'format': None} if isinstance(field, fields.NaiveDateTime) else {}  # "date-time" wants an offset
        if field.format in ('timestamp', 'timestamp_ms'):
            unit = 'seconds' if field.format == 'timestamp' else 'milliseconds'
            return {'type': 'number', 'format': None, 'minimum': 0, 'x-unit': unit}
        return {'format': None} if field.format not in ('rfc', 'rfc822') else {'format': 'rfc822'}

    def field2nullable(self, field: fields.Field[Any], ret: Json, **kwargs: Any) -> Json:
        """Add null to what is allowed."""
        if not field.allow_none or self.direction == 'form':
            return {}
        if '$ref' in ret:
            return {'anyOf': [{'$ref': ret.pop('$ref')}, {'type': 'null'}]}
        found: Json = {}
        if 'type' in ret:
            found['type'] = [*(name for name in _listed(ret['type']) if name != 'null'), 'null']
        if 'enum' in ret and None not in ret['enum']:
            found['enum'] = [*ret['enum'], None]
        if 'anyOf' in ret:
            found['anyOf'] = [*ret['anyOf'], {'type': 'null'}]
        return found

    def _serialized(self, field: fields.Field[Any], value: Any) -> Any:
        """Return *value* as it would travel; a value that the field cannot write stays as it is."""
        try:
            return field._serialize(value, '', None)
        except (AttributeError, TypeError, ValueError):
            return value


def validators(field: fields.Field[Any], kind: type[Any] = object) -> Iterator[Any]:
    """Yield the validators of *field* that are of *kind*, those joined by ``And`` too."""

    def flat(joined: Any) -> Iterator[Any]:
        for validator in joined:
            if isinstance(validator, validate.And):
                yield from flat(validator.validators)
            elif isinstance(validator, kind):
                yield validator

    return flat(field.validators)


def ecma_pattern(regex: re.Pattern[str]) -> str | None:
    """Return the pattern of ECMA 262 that finds what ``regex.match`` accepts, None where there is no such pattern."""
    if isinstance(regex.pattern, bytes) or regex.flags & (re.IGNORECASE | re.VERBOSE | re.MULTILINE | re.DOTALL):
        return None
    pattern = regex.pattern.replace(r'\A', '^').replace(r'\Z', '$').replace('(?P<', '(?<')
    if re.search(r'\(\?(?![:=!<])|\(\?<[=!].*\||\(\?P', pattern):
        return None  # inline flags, comments, conditions, references by name
    return f'^(?:{pattern})' if '|' in pattern else f'^{pattern.removeprefix("^")}'


def plain(value: Any) -> Any:
    """Return *value* as JSON knows it: decimals, dates and UUIDs as strings."""
    return msgspec.to_builtins(value, enc_hook=str)


def schema_title(schema: Schema) -> Json:
    """Return the title and description that a schema gives itself in ``Meta``, or in its docstring."""
    meta: Mapping[str, Any] = vars(getattr(type(schema), 'Meta', object))
    described = {key: meta[key] for key in ('title', 'description') if key in meta}
    docstring = type(schema).__dict__.get('__doc__')
    if docstring and 'description' not in described:
        described['description'] = ' '.join(docstring.split())
    return described


def _decimal_example(field: fields.Field[Any]) -> Json:
    """Return an example that the validators accept; tools would make up long ones from the pattern."""
    example = Decimal('12.50')
    for bounds in validators(field, validate.Range):
        low, high = (None if bound is None else Decimal(str(bound)) for bound in (bounds.min, bounds.max))
        if low is not None and example <= low:
            example = low if high is None else (low + high) / 2
        elif high is not None and example >= high:
            example = high if low is None else (low + high) / 2
    return {'examples': [str(example)]}


def _listed(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else types


def _types(schema: Json) -> set[str]:
    return set(_listed(schema.get('type', [])))


def _json_type(value: Any) -> str:
    names = {bool: 'boolean', int: 'integer', float: 'number', str: 'string', type(None): 'null'}
    return names.get(type(value), 'object' if isinstance(value, dict) else 'array')
