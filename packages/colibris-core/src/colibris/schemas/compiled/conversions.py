"""Conversions that fields of other packages declare, so that schemas with them are compiled too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marshmallow.fields import Field

#: What a conversion returns for a value that it does not know.
DOUBT: Any = object()

Convert = Callable[[Any], Any]
#: Makes the conversion of one field, or returns None where there is none for it.
Maker = Callable[[Any], Convert | None]


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is declared of one class of fields."""

    load: Maker | None = None
    dump: Maker | None = None


declared: dict[type[Field[Any]], Conversion] = {}


def declare(field_class: type[Field[Any]], *, load: Maker | None = None, dump: Maker | None = None) -> None:
    """Declare how fields of exactly *field_class* convert values.

    *load* and *dump* are called with a field, once, and return a function of one value, or None where the field is
    to be left to its own methods. The function returns what ``field._deserialize`` or ``field._serialize`` returns
    for that value, or `DOUBT` for a value that it does not know: then those are asked. It is never given None, has
    no effect beside its result, and raises nothing.
    """
    declared[field_class] = Conversion(load, dump)
