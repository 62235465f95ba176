"""What fields and validators of other packages declare of themselves, so that schemas with them are compiled too."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marshmallow.fields import Field

#: What a conversion returns for a value that it does not know.
DOUBT: Any = type('Doubt', (), {'__repr__': lambda self: 'DOUBT', '__slots__': ()})()

Convert = Callable[[Any], Any]
#: Makes the conversion of one field, or returns None where there is none for it.
Maker = Callable[[Any], Convert | None]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is declared of one class of fields."""

    load: Maker | None = None
    dump: Maker | None = None
    json: Maker | None = None
    same: Callable[[Any], type | None] | None = None


#: The classes that `same` may name.
_SAME = (int, float, str, dt.datetime)
_NAMES = ', '.join(cls.__name__ for cls in _SAME)

declared: dict[type[Field[Any]], Conversion] = {}
harmless: set[type] = set()


def declare(
    field_class: type[Field[Any]],
    *,
    load: Maker | None = None,
    dump: Maker | None = None,
    json: Maker | None = None,
    same: Callable[[Any], type | None] | None = None,
) -> None:
    """Declare how fields of exactly *field_class* convert values.

    *load* and *dump* are called with a field, once, and return a function of one value, or None where the field is
    to be left to its own methods. The function returns what ``field._deserialize`` or ``field._serialize`` returns
    for that value, or `DOUBT` for a value that it does not know: then those are asked. It is never given None, has
    no effect beside its result, and may raise anything: that counts as doubt, too. What else marshmallow does for a
    field (required, allow_none, defaults, validators) stays as it is.

    *json* is like *dump*, for what is encoded to JSON at once, and is best left out but for fields of dates: what it
    returns may also be a datetime in UTC or without a zone, a date, a time without a zone, or a UUID.

    *same* is called with a field, once, and names the class of the values that stay what they are when they are dumped,
    so that no function has to be called for them: int, float or str, or datetime where *json* gives back those in UTC;
    None if there is none. Raises TypeError for another class, which a field that is made without arguments tells at
    once; if only other fields can tell, those are left to their own methods, and `Schema.explain` says why.
    """
    if same is not None:
        _check_same(field_class, same)
    declared[field_class] = Conversion(load, dump, json, same)


def same_class(field: Field[Any]) -> type | None:
    """Return the class of the values that *field* declares to dump as they are. Raises TypeError for another class."""
    same = declared[type(field)].same
    return None if same is None else _allowed(type(field), same(field))


def _check_same(field_class: type[Field[Any]], same: Any) -> None:
    if isinstance(same, type) or not callable(same):
        raise TypeError(
            f'same of {field_class.__qualname__} is {same!r}; it must be a function, such as lambda field: int'
        )
    try:
        found = same(field_class())
    except Exception:  # it takes another field to tell
        return
    _allowed(field_class, found)


def _allowed(field_class: type[Field[Any]], found: Any) -> type | None:
    if found is None or any(found is cls for cls in _SAME):
        return found  # type: ignore[no-any-return]
    raise TypeError(f'same of {field_class.__qualname__} names {found!r}; it may name {_NAMES}, or be None')


def declare_validator(validator_class: type) -> None:
    """Declare that calling a validator of exactly *validator_class* has no effect but to raise or not.

    Other callables may have effects, so that they must not be called twice for one value.
    """
    harmless.add(validator_class)
