"""Remember which settings came from the environment.

Settings schemas write into the namespace of ``settings.py`` while it is imported; what they wrote is kept here, so that
the source of a value can be told afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from colibris.conf.environment import Variable

SETTINGS, DEFAULT = 'settings.py', 'default'


@dataclass(slots=True)
class Record:
    """What settings schemas did to one namespace.

    ``values`` maps a setting, or the setting and a key, to what was written and its source; ``declared`` maps the
    variables that were asked for to the prefix of their schema; ``created`` names dictionaries that are new.
    """

    target: MutableMapping[str, Any]
    values: dict[tuple[str, ...], tuple[Any, str]] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)
    declared: dict[str, str] = field(default_factory=dict)
    variables: Mapping[str, Variable] = field(default_factory=dict)


_records: dict[int, Record] = {}


def record_of(target: MutableMapping[str, Any]) -> Record:
    """Return the record of *target*; only those of modules are kept, as these live on."""
    record = _records.get(id(target))
    if record is None:
        record = Record(target)
        if '__name__' in target:
            _records[id(target)] = record
    return record


def forget() -> None:
    """Drop all records."""
    _records.clear()


def records(package: str) -> Iterator[Record]:
    """Return the records of the modules of *package*."""
    for record in _records.values():
        if f'{record.target["__name__"]}.'.startswith(f'{package}.'):
            yield record


def trace(package: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the source of each of *values*, and of those keys of dictionaries whose source is another one."""
    known = list(records(package))
    sources: dict[str, str] = {}
    for name, value in values.items():
        sources[name] = _written((record.values.get((name,)) for record in known), value) or SETTINGS
        if not isinstance(value, dict):
            continue
        keys = {
            key: _written((record.values.get((name, key)) for record in known), item) for key, item in value.items()
        }
        if keys and all(keys.values()) and any(name in record.created for record in known):
            sources[name] = next(iter(sorted(filter(None, keys.values()), key=_rank)))
        sources.update({f'{name}.{key}': source for key, source in keys.items() if source})
    return sources


def _written(written: Iterable[tuple[Any, str] | None], value: Any) -> str | None:
    """Return the source of *value* if it is still the one that was written."""
    for entry in written:
        if entry is not None and (entry[0] is value or entry[0] == value):
            return entry[1]
    return None


def _rank(source: str) -> int:
    return ('environment', '.env', '.env.default').index(source)
