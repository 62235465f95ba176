"""Set up logging from the settings."""

from __future__ import annotations

import logging.config
from collections.abc import Mapping
from typing import Any

from colibris.conf.errors import ImproperlyConfigured


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
        raise ImproperlyConfigured(
            f'LOGGING ({settings.source("LOGGING")}) is no configuration of logging: {exc}{cause}',
            setting='LOGGING',
            source=settings.source('LOGGING'),
        ) from exc
