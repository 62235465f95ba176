"""Refuse settings that cannot be meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from colibris.conf.environment import ENVIRONMENT
from colibris.conf.errors import ImproperlyConfigured
from colibris.conf.kinds import Kind
from colibris.conf.known import ALIASES, KNOWN
from colibris.conf.names import near_miss
from colibris.conf.sources import Record
from colibris.plugins import found


def known_names() -> set[str]:
    """Return the names, and their other spellings, of all settings that something acts on."""
    return {*KNOWN, *ALIASES, *found('colibris.subsystems')}


def check_value(name: str, value: Any, source: str) -> None:
    """Refuse a value that the setting cannot have; the value is not shown, as it may be a secret."""
    setting = KNOWN.get(name)
    if setting is None or setting.kind.accepts(value):
        return
    raise ImproperlyConfigured(
        f'{name} ({source}): expected {setting.kind.description}, not {_kind_of(value, setting.kind)}',
        setting=name,
        source=source,
    )


def check_spellings(given: Mapping[str, Any], origins: Mapping[str, str], automatic: Mapping[str, Any]) -> None:
    """Refuse two spellings of one setting, names that are nearly one of ours, and what sets itself."""
    for alias, name in ALIASES.items():
        if alias in given and name in given:
            raise ImproperlyConfigured(
                f'{name} ({origins[name]}) and {alias} ({origins[alias]}) are two spellings '
                f'of one setting: keep {name}',
                setting=name,
                source=origins[alias],
            )
    known = known_names()
    for name in given:
        meant = near_miss(name, known)
        if meant is not None:
            raise ImproperlyConfigured(
                f'{name} ({origins[name]}) is not a setting of Colibris; did you mean {ALIASES.get(meant, meant)}? '
                f'(a setting of your own needs a name that is less like it)',
                setting=name,
                source=origins[name],
            )
    for name, value in automatic.items():
        if name in given and str(given[name]) != value:
            raise ImproperlyConfigured(
                f'{name} ({origins[name]}) is set by Colibris itself: remove it', setting=name, source=origins[name]
            )


def check_variables(records: Iterable[Record]) -> None:
    """Refuse variables that are nearly one that a settings schema reads, and so would be ignored.

    The ``.env`` files are the project's: a variable there that begins with the prefix of one of our settings must be
    read by a schema. The environment is shared with others: a variable there counts as a slip only if what it is like
    belongs to one of our settings, and is given nowhere.
    """
    known = known_names()
    for record in records:
        for name, variable in record.variables.items():
            if name in record.declared:
                continue
            meant = near_miss(name, record.declared)
            if meant is not None and (variable.source != ENVIRONMENT or _is_ours(meant, record, known)):
                raise ImproperlyConfigured(
                    f'{name} ({variable.source}) is read by no settings schema; did you mean {meant}?',
                    setting=name,
                    source=variable.source,
                )
            prefix = next(
                (prefix for prefix in set(record.declared.values()) if prefix and name.startswith(prefix)), None
            )
            if prefix is not None and prefix.removesuffix('_') in known and variable.source != ENVIRONMENT:
                have = ', '.join(other for other in record.declared if other.startswith(prefix))
                raise ImproperlyConfigured(
                    f'{name} ({variable.source}) is read by no settings schema: add it to the one with the prefix '
                    f'{prefix!r} or remove it (that one reads {have})',
                    setting=name,
                    source=variable.source,
                )


def _is_ours(variable: str, record: Record, known: set[str]) -> bool:
    """Tell whether *variable* is declared for a setting of ours, and given nowhere."""
    setting = record.declared[variable].removesuffix('_') or variable
    return setting in known and variable not in record.variables


def _kind_of(value: Any, kind: Kind) -> str:
    """Return what *value* is in few words, without showing text, which may be a secret."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, dict):
        strange = next((key for key in value if not isinstance(key, str)), None)
        if strange is not None:
            return f'a dictionary with the key {strange!r}, which is no string'
        return 'a dictionary with the keys ' + ', '.join(map(repr, value)) if value else 'an empty dictionary'
    if isinstance(value, str):
        return ('another string' if kind.takes_text else 'a string') if value else 'an empty string'
    if isinstance(value, list | tuple):
        items = ', '.join('a string' if item and isinstance(item, str) else _kind_of(item, kind) for item in value)
        return f'a list of {items}' if items else 'an empty list'
    return f'a {type(value).__name__}'
