"""What fields and validators of other packages declare of themselves, so that schemas with them are compiled too."""

from __future__ import annotations

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
    so that no function has to be called for them: int, float or str, or datetime where *json* gives back those in UTC.
    """
    declared[field_class] = Conversion(load, dump, json, same)


def declare_validator(validator_class: type) -> None:
    """Declare that calling a validator of exactly *validator_class* has no effect but to raise or not.

    Other callables may have effects, so that they must not be called twice for one value.
    """
    harmless.add(validator_class)
