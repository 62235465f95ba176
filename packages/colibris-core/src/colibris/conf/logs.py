"""Set up logging from the settings."""

from __future__ import annotations

import logging.config
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from colibris.conf.errors import ImproperlyConfigured
from colibris.conf.sources import DEFAULT

if TYPE_CHECKING:
    from colibris.conf.store import Settings


def merge(base: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return *base* with *overrides*: dictionaries are merged at any depth, lists and all else are replaced."""
    merged = dict(base)
    for key, value in overrides.items():
        current = merged.get(key)
        if isinstance(current, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(current, value)
        else:
            merged[key] = value
    return merged


def configure_logging() -> None:
    """Configure logging as the settings ``LOGGING`` and ``LOGGING_OVERRIDES`` say.

    Unlike in `logging.config.dictConfig`, loggers that exist already stay at work unless ``disable_existing_loggers``
    is given: those of Colibris all exist by now.
    """
    from colibris.conf.store import settings

    try:
        logging.config.dictConfig({'disable_existing_loggers': False, **settings.LOGGING})
    except (ValueError, TypeError, AttributeError, ImportError) as exc:
        cause = f': {exc.__cause__}' if exc.__cause__ is not None else ''
        raise _refusal(settings, f'{exc}{cause}') from exc


def _refusal(settings: Settings, reason: str) -> ImproperlyConfigured:
    """Name the setting that is wrong, or both where both are given."""
    given = [name for name in ('LOGGING', 'LOGGING_OVERRIDES') if settings.source(name) != DEFAULT]
    name = given[-1] if given else 'LOGGING'
    told = ' with '.join(f'{name} ({settings.source(name)})' for name in given)
    where = told if 'LOGGING' in given else f'LOGGING with {told}'
    return ImproperlyConfigured(
        f'{where} is no configuration of logging: {reason}', setting=name, source=settings.source(name)
    )
