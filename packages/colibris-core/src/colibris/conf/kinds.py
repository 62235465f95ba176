"""What the value of a setting may be: a description for people, and a check."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of values; *description* completes the sentence "expected …"."""

    description: str
    accepts: Callable[[Any], bool]

    @property
    def takes_text(self) -> bool:
        """Whether some string is of this kind."""
        return any(self.accepts(text) for text in ('x', '/x', 'x://x'))


def or_none(kind: Kind) -> Kind:
    """Return the kind that also takes None, which switches off what the setting configures."""
    return Kind(f'{kind.description}, or None', lambda value: value is None or kind.accepts(value))


def integer(minimum: int, maximum: int | None = None) -> Kind:
    """Return the kind of whole numbers within bounds, both included."""
    bounds = f'from {minimum} to {maximum}' if maximum is not None else f'of at least {minimum}'

    def accepts(value: object) -> bool:
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return minimum <= value and (maximum is None or value <= maximum)

    return Kind(f'an integer {bounds}', accepts)


def seconds(minimum: float = 0) -> Kind:
    """Return the kind of durations of at least *minimum*, in seconds."""
    more = f' of at least {minimum:g}' if minimum else ''

    def accepts(value: object) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return math.isfinite(value) and value >= minimum

    return Kind(f'a number of seconds{more}', accepts)


def options(kinds: Mapping[str, Kind]) -> Kind:
    """Return the kind of dictionaries whose keys are among those of *kinds*, all of them optional."""
    described = ', '.join(f'{key!r} ({kind.description})' for key, kind in kinds.items())

    def accepts(value: object) -> bool:
        return isinstance(value, dict) and all(key in kinds and kinds[key].accepts(item) for key, item in value.items())

    return Kind(f'a dictionary with none but the keys {described}', accepts)


def _is_network(value: object) -> bool:
    try:
        ipaddress.ip_network(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return isinstance(value, str)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ''


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: object, accepts: Callable[[object], bool]) -> bool:
    return isinstance(value, list | tuple) and all(accepts(item) for item in value)


def _is_dictionary(value: object, required: Collection[str] = ()) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value) and set(required) <= set(value)


def _is_url(value: object) -> bool:
    return isinstance(value, str) and '://' in value


def _is_url_path(value: object) -> bool:
    return isinstance(value, str) and _URL_PATH.fullmatch(value) is not None


_URL_PATH = re.compile('(/[A-Za-z0-9._~-]+)+/?|/')

BOOLEAN = Kind('True or False', lambda value: isinstance(value, bool))
TEXT = Kind('a string that is not empty', _is_text)
DICTIONARY = Kind('a dictionary whose keys are strings', _is_dictionary)
URL_PATH = Kind("a path such as '/api/docs'", _is_url_path)
ADDRESSES = Kind(
    'an address, or a list of addresses', lambda value: _is_text(value) or (bool(value) and _is_list(value, _is_text))
)
TEXTS = Kind('a list of strings', lambda value: _is_list(value, _is_text))
SWITCH = Kind('True, False or a dictionary of options', lambda value: isinstance(value, bool) or _is_dictionary(value))
SECONDS = Kind('a number of seconds above 0', lambda value: _is_number(value) and 0 < value < 10**9)
SHARE = Kind(
    'True, False or a number from 0 to 1', lambda value: isinstance(value, bool | int | float) and 0 <= value <= 1
)
LOG_FORMAT = Kind("'text' or 'json'", lambda value: value in ('text', 'json'))
CALLABLES = Kind(
    'a list of dotted paths or functions', lambda value: _is_list(value, lambda item: _is_text(item) or callable(item))
)
VIEWERS = Kind(
    "True, False, or a list of networks such as '10.0.0.0/8'",
    lambda value: isinstance(value, bool) or _is_list(value, _is_network),
)
BACKEND = Kind("a dictionary with the key 'backend'", lambda value: _is_dictionary(value, ['backend']))
DATABASE = Kind(
    "a dictionary with the key 'backend' or 'url', or a URL such as 'sqlite:///shop.db'",
    lambda value: _is_dictionary(value, ['backend']) or _is_dictionary(value, ['url']) or _is_url(value),
)
TEST_DATABASE = Kind(
    "a dictionary (what it lacks is taken from DATABASE), or a URL such as 'sqlite:///test.db'",
    lambda value: _is_dictionary(value) or _is_url(value),
)
