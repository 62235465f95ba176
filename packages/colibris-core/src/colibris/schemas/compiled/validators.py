"""Code that accepts what a field's validators accept; what it does not accept is for marshmallow to judge."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from marshmallow import validate

from colibris.schemas.compiled.conversions import harmless
from colibris.schemas.compiled.source import Source
from colibris.schemas.compiled.stock import NotCompiled, check_validator

# Parts of what marshmallow takes for addresses, each in one go: ASCII, no quotes, and no hyphens in the domain; or with
# hyphens, but short of the 63 characters that a label may have.
_NAME = r'[\w+-]++(?:\.[\w+-]++)*+@'
_PLAIN_EMAIL = re.compile(_NAME + r'(?:[A-Za-z0-9]{1,63}+\.)+[A-Za-z]{2,6}\Z', re.ASCII)
_HYPHENS = re.compile(_NAME + r'(?=.{4,62}\Z)(?:[A-Za-z0-9]++(?:-[A-Za-z0-9]++)*+\.)+[A-Za-z]{2,6}\Z', re.ASCII)
_EMAIL_PARTS = (validate.Email.USER_REGEX, validate.Email.DOMAIN_REGEX)
_CONTAINERS = (list, tuple, set, frozenset, dict, str, range)


def write_validators(source: Source, validators: Iterable[Any], value: str) -> None:
    """Write what lets the variable *value* pass if all *validators* do, and raises if one does not.

    Raises NotCompiled for validators that may have effects.
    """
    for validator in validators:
        if type(validator) in harmless:
            source.line(f'{source.constant(validator, "check")}({value})')
        elif check_validator(validator):
            _WRITERS.get(type(validator), _write_call)(source, validator, value)
        else:
            name = getattr(validator, '__qualname__', type(validator).__qualname__)
            raise NotCompiled(f'its validator {name} may have effects')


def are_harmless(validators: Iterable[Any]) -> bool:
    """Whether all *validators* can be written."""
    try:
        write_validators(Source({}), validators, 'v')
    except NotCompiled:
        return False
    return True


def _write_call(source: Source, validator: Any, value: str) -> None:
    source.line(f'{source.constant(validator, "check")}({value})')


def _write_and(source: Source, validator: validate.And, value: str) -> None:
    write_validators(source, validator.validators, value)


def _write_email(source: Source, validator: validate.Email, value: str) -> None:
    if (validator.USER_REGEX, validator.DOMAIN_REGEX) != _EMAIL_PARTS or '{' in validator.error:
        _write_call(source, validator, value)
        return
    plain, hyphens = source.constant(_PLAIN_EMAIL.match, 'email'), source.constant(_HYPHENS.match, 'email')
    with source.block(f'if {plain}({value}) is None and {hyphens}({value}) is None:'):
        _write_call(source, validator, value)


def _write_length(source: Source, validator: validate.Length, value: str) -> None:
    bounds = (validator.equal, validator.min, validator.max)
    if any(bound is not None and type(bound) is not int for bound in bounds):
        _write_call(source, validator, value)
    elif validator.equal is not None:
        source.line(f'if len({value}) != {validator.equal}: raise Doubt')
    elif validator.min is not None and validator.max is not None:
        source.line(f'if not {validator.min} <= len({value}) <= {validator.max}: raise Doubt')
    elif validator.min is not None:
        source.line(f'if len({value}) < {validator.min}: raise Doubt')
    elif validator.max is not None:
        source.line(f'if len({value}) > {validator.max}: raise Doubt')


def _write_range(source: Source, validator: validate.Range, value: str) -> None:
    if validator.min is not None:
        operator = '<' if validator.min_inclusive else '<='
        source.line(f'if {value} {operator} {source.constant(validator.min)}: raise Doubt')
    if validator.max is not None:
        operator = '>' if validator.max_inclusive else '>='
        source.line(f'if {value} {operator} {source.constant(validator.max)}: raise Doubt')


def _write_equal(source: Source, validator: validate.Equal, value: str) -> None:
    source.line(f'if {value} != {source.constant(validator.comparable)}: raise Doubt')


def _write_one_of(source: Source, validator: validate.OneOf, value: str) -> None:
    source.line(f'if {value} not in {_container(source, validator.choices)}: raise Doubt')


def _write_none_of(source: Source, validator: validate.NoneOf, value: str) -> None:
    source.line(f'if {value} in {_container(source, validator.iterable)}: raise Doubt')


def _container(source: Source, values: Any) -> str:
    if type(values) not in _CONTAINERS:
        raise NotCompiled(f'its validator looks a value up in a {type(values).__name__}, which may have effects')
    return source.constant(values, 'choices')


def _write_contains(source: Source, validator: Any, value: str) -> None:
    _container(source, validator.choices if isinstance(validator, validate.OneOf) else validator.iterable)
    _write_call(source, validator, value)


def _write_regexp(source: Source, validator: validate.Regexp, value: str) -> None:
    if type(validator.regex) is not re.Pattern:
        raise NotCompiled('its validator Regexp has a pattern of another library')
    source.line(f'if {source.constant(validator.regex.match, "match")}({value}) is None: raise Doubt')


_WRITERS: dict[type, Any] = {
    validate.And: _write_and,
    validate.ContainsNoneOf: _write_contains,
    validate.ContainsOnly: _write_contains,
    validate.Email: _write_email,
    validate.Equal: _write_equal,
    validate.Length: _write_length,
    validate.NoneOf: _write_none_of,
    validate.OneOf: _write_one_of,
    validate.Range: _write_range,
    validate.Regexp: _write_regexp,
}
