"""What the parts of the edge have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from colibris import api, responses
from colibris.conf import ImproperlyConfigured, settings

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Returns what answers requests in place of the given one: that one itself, if the part is switched off.
Layer = Callable[[Handle], Handle]


def refuse(request: web.Request, error: api.APIException) -> web.Response:
    """Answer *request* with *error*, as it does not reach the application."""
    response = api.error_response(error)
    if request._match_info is None:  # otherwise the application's signal will
        responses.finish(request, response)
    return response


def options(setting: str, value: Mapping[str, Any] | bool, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return *defaults*, changed by *value* if that is a dictionary. Raises ImproperlyConfigured for unknown keys."""
    given = value if isinstance(value, Mapping) else {}
    for key in given:
        if key not in defaults:
            raise invalid(setting, f'has no key {key!r}; there are {", ".join(defaults)}')
    return {**defaults, **given}


def texts(setting: str, key: str, value: object) -> tuple[str, ...]:
    """Return *value* if it is a list of texts that headers can hold. Raises ImproperlyConfigured."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise invalid(setting, f'{key} must be a list of strings, not {value!r}')
    found = tuple(value)
    for text in found:
        if not isinstance(text, str) or not text.isprintable() or not text.isascii() or not text.strip():
            raise invalid(setting, f'{key} must be a list of strings; {text!r} is none that a header can hold')
    return found


def invalid(setting: str, problem: str) -> ImproperlyConfigured:
    """Return the error for a *setting* that cannot be meant."""
    return ImproperlyConfigured(f'{setting} ({settings.source(setting)}): {problem}', setting=setting)
