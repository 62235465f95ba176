"""Headers that tell browsers to be careful with what the service answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import hdrs

from colibris.conf import settings
from colibris.edge.layer import invalid, options

#: What an API never needs: guessing of content types, frames, telling other sites where one came from.
DEFAULTS: Mapping[str, str] = {
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    hdrs.STRICT_TRANSPORT_SECURITY: 'max-age=31536000',
}


def default_headers() -> dict[str, str]:
    """Return the headers of every answer that does not have its own, as SECURITY_HEADERS says.

    Raises ImproperlyConfigured.
    """
    found = _configured()
    found.pop(hdrs.STRICT_TRANSPORT_SECURITY, None)  # for TLS only
    return found


def strict_transport() -> str | None:
    """Return the value of ``Strict-Transport-Security``, which belongs to answers over TLS."""
    return _configured().get(hdrs.STRICT_TRANSPORT_SECURITY)


def _configured() -> dict[str, str]:
    value = settings.SECURITY_HEADERS
    if value is False:
        return {}
    names = {str(name).lower(): str(name) for name in DEFAULTS}
    given = value if isinstance(value, Mapping) else {}
    named: dict[str, Any] = {names.get(name.lower()) or name: text for name, text in given.items()}
    found: dict[str, str] = {}
    for name, text in options('SECURITY_HEADERS', named, DEFAULTS).items():
        if text is None:
            continue
        if not isinstance(text, str) or not text.isprintable() or not text.isascii():
            raise invalid('SECURITY_HEADERS', f'{name} must be text that a header can hold, or None to leave it out')
        found[name] = text
    return found
