"""Databases written as URLs: ``postgresql://user:password@host:5432/name?max_connections=5``."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from colibris import plugins
from colibris.conf import ImproperlyConfigured

__all__ = ['parse']

#: Other names by which people know our backends.
_SCHEMES = {'postgres': 'postgresql', 'mariadb': 'mysql', 'sqlite3': 'sqlite'}
_MEMORY = ('sqlite://:memory:', 'sqlite:///:memory:')


def parse(url: str, *, setting: str, group: str = 'colibris.persist') -> dict[str, object]:
    """Return the dictionary form of *url*; its scheme is a backend's alias, its query holds further options.

    What is quoted by percent signs is decoded. Raises ImproperlyConfigured, without repeating the URL, as it may hold a
    password.
    """
    if url in _MEMORY:  # which is no port
        return {'backend': 'sqlite', 'name': ':memory:'}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise _wrong(setting, _without_secrets(exc)) from None
    backend = _backend(parts.scheme, setting, group)
    options: dict[str, object] = {'backend': backend}
    if backend == 'sqlite':
        options['name'] = _file(parts.netloc, parts.path, setting)
    else:
        parsed = {
            'username': parts.username,
            'password': parts.password,
            'host': parts.hostname,
            'name': parts.path[1:],
        }
        options.update({key: unquote(value) for key, value in parsed.items() if value})
        if port is not None:
            options['port'] = port
    if parts.fragment:
        raise _wrong(setting, "it must not hold '#'; write it as %23")
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key in options:
            raise _wrong(setting, f'{key!r} is given twice')
        options[key] = value
    return options


def _backend(scheme: str, setting: str, group: str) -> str:
    if not scheme:
        raise _wrong(setting, "it must begin with the backend and '://', such as postgresql://")
    backend = _SCHEMES.get(scheme, scheme)
    if backend not in plugins.found(group):
        known = sorted({*plugins.found(group), *_SCHEMES})
        raise _wrong(setting, f'no backend is known by {scheme!r} (there are: {", ".join(known)})')
    return backend


def _file(netloc: str, path: str, setting: str) -> str:
    if netloc:
        raise _wrong(setting, 'a relative file takes three slashes, sqlite:///app.db, an absolute one four')
    name = unquote(path[1:])
    if not name:
        raise _wrong(setting, 'it names no file; write sqlite:///app.db')
    return name


def _without_secrets(error: ValueError) -> str:
    """The messages of the standard library on ports repeat a part of the URL, which may be of the password."""
    return (
        "its port is not a number from 0 to 65535; quote ':', '/', '@' and '?' in a password by percent signs"
        if ('ort' in str(error))
        else 'it is not well-formed'
    )


def _wrong(setting: str, reason: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f'{setting} is not a URL of a database: {reason}', setting=setting)
