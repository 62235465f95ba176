"""What ``check --deploy`` asks about core: settings that are fine at home and unsafe in production."""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from colibris.checks import Check, Level, Problem
from colibris.conf import settings
from colibris.conf.masking import is_secret

SECRET_KEY_LENGTH = 32
_DIFFERENT_CHARACTERS = 10
#: What stands in examples, in containers as they come, and on the lists of those who try.
_PASSWORDS = (
    '123 1234 12345 123456 12345678 123456789 admin administrator changeit change-me change_me changeme '
    'colibris default demo dev development example guest letmein mariadb mysql only-for-development pass '
    'passw0rd password postgres postgresql qwerty rabbitmq redis root secret test toor user welcome xxx ...'
)
KNOWN_PASSWORDS = frozenset(_PASSWORDS.split())


def is_local(host: str) -> bool:
    """Tell whether *host* is this machine, or the path of a Unix socket."""
    if not host or host.startswith('/') or host == 'localhost':
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def is_private(host: str) -> bool:
    """Tell whether *host* is an address or a name of a network of one's own, such as a container's name."""
    address = _address(host)
    return address.is_private if address is not None else '.' not in host


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip('[]'))
    except ValueError:
        return None


def unencrypted(setting: str, host: str, hint: str) -> Iterator[Problem]:
    """Find fault with a connection without TLS; in a network of one's own it is only a warning."""
    if not is_local(host):
        level = Level.WARNING if is_private(host) else Level.ERROR
        yield Problem(f'{setting}: what goes to {host} and comes from there is not encrypted', hint, level)


def debug() -> Iterator[Problem]:
    """Details of errors are for developers."""
    if settings.DEBUG:
        yield Problem(
            f'DEBUG ({settings.source("DEBUG")}) is on: answers show the details of errors to everybody',
            'set DEBUG=false, and do not bring .env along',
        )


def secret_key() -> Iterator[Problem]:
    """Keys and tokens are as strong as what they are derived from."""
    key, source = settings.SECRET_KEY, settings.source('SECRET_KEY')
    hint = 'make one: python -c "import secrets; print(secrets.token_urlsafe(50))"'
    if key is None:
        yield Problem('SECRET_KEY is not set', f'{hint}, and give it by the environment', Level.WARNING)
        return
    if _is_known(key) or len(key) < SECRET_KEY_LENGTH or len(set(key)) < _DIFFERENT_CHARACTERS:
        yield Problem(f'SECRET_KEY ({source}) is weak: it needs {SECRET_KEY_LENGTH} random characters or more', hint)
    if source == 'settings.py':
        yield Problem(
            'SECRET_KEY stands in settings.py: whoever reads the code can forge tokens',
            'give it by the environment',
            Level.WARNING,
        )


def _is_known(password: str) -> bool:
    return password.lower() in KNOWN_PASSWORDS


def passwords() -> Iterator[Problem]:
    """Passwords that everybody knows are none."""
    for name, value, _ in settings.items():
        if name not in ('SECRET_KEY', 'TEST_DATABASE') and name.isupper():
            yield from _known_passwords(name, getattr(settings, name, value))


def _known_passwords(path: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            inner = f'{path}[{key!r}]'
            if isinstance(item, str) and isinstance(key, str) and is_secret(key):
                if _is_known(item) or item == value.get('username'):
                    yield _known_password(inner)
            else:
                yield from _known_passwords(inner, item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _known_passwords(f'{path}[{number}]', item)
    elif isinstance(value, str) and '://' in value:
        password = _password_in(value)
        if password is not None and _is_known(password):
            yield _known_password(path)


def _password_in(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def _known_password(path: str) -> Problem:
    return Problem(f'{path} is a password that everybody tries first', 'choose another one, where it is used, too')


def listen() -> Iterator[Problem]:
    """The server speaks plain HTTP: whoever reaches it without the proxy reads and writes along."""
    addresses = [settings.LISTEN] if isinstance(settings.LISTEN, str) else list(settings.LISTEN)
    everywhere = [address for address in addresses if address in _EVERYWHERE]
    if everywhere and not _in_container():
        yield Problem(
            f'LISTEN ({settings.source("LISTEN")}) is {everywhere[0]!r}: all networks reach the server, past the proxy '
            'that speaks TLS',
            'let it listen where only the proxy reaches it: LISTEN=127.0.0.1',
            Level.WARNING,
        )


#: Addresses that stand for all of a machine's own.
_EVERYWHERE = ('', '0.0.0.0', '::')


def _in_container() -> bool:
    files = ('/.dockerenv', '/run/.containerenv')
    return 'KUBERNETES_SERVICE_HOST' in os.environ or any(Path(file).exists() for file in files)


def authentication() -> Iterator[Problem]:
    """Without accounts everybody may do everything that the API offers."""
    if not settings.is_set('AUTHENTICATION'):
        yield Problem(
            'AUTHENTICATION is not set: the service does not know who asks, so that everybody may do what its views do',
            'set it, unless only those reach the service who may do everything (see the guide on authentication)',
            Level.WARNING,
        )


def health() -> Iterator[Problem]:
    """The details of the health are a map for attackers."""
    if settings.HEALTH.get('details') is True:
        yield Problem(
            "HEALTH['details'] is True: everybody is shown what the service is made of, and what fails",
            "name the networks that may see it, or set HEALTH['token']",
            Level.WARNING,
        )
    token = settings.HEALTH.get('token')
    if token is not None and len(token) < 16:
        yield Problem("HEALTH['token'] is short enough to be guessed", 'take 16 random characters or more')


def metrics() -> Iterator[Problem]:
    """Numbers tell how much is done by whom, and when."""
    given = getattr(settings, 'METRICS', None) or {}
    if given.get('public'):
        yield Problem(
            "METRICS['public'] is True: everybody who reaches the service is shown its numbers",
            "set METRICS['token'], or keep the path from the world by the proxy",
            Level.WARNING,
        )
    token, host = given.get('token'), given.get('host')
    if given.get('port') is not None and token is None and host in _EVERYWHERE and not _in_container():
        yield Problem(
            f"METRICS['host'] is {host!r}: all networks reach the numbers at port {given['port']}",
            "set METRICS['token'], or a host that only Prometheus reaches",
            Level.WARNING,
        )
    if isinstance(token, str) and len(token) < 16:
        yield Problem("METRICS['token'] is short enough to be guessed", 'take 16 random characters or more')


def browsers() -> Iterator[Problem]:
    """Pages of strangers run in the browsers of users."""
    cors = getattr(settings, 'CORS', None)
    if isinstance(cors, Mapping) and '*' in (cors.get('origins') or ()):
        yield Problem(
            "CORS['origins'] holds '*': pages of everybody may call the service",
            'name the origins whose pages may',
            Level.ERROR if cors.get('credentials') else Level.WARNING,
        )


def hosts() -> Iterator[Problem]:
    """A request names the host that it wants; what is made of that name goes where the client says."""
    allowed = getattr(settings, 'ALLOWED_HOSTS', ['-'])
    if not allowed or '*' in allowed:
        yield Problem(
            'ALLOWED_HOSTS does not say for which hosts the service answers: it believes the name that a client sends',
            "name them: ALLOWED_HOSTS = ['api.example.com']",
            Level.WARNING,
        )


def proxies() -> Iterator[Problem]:
    """Who is a trusted proxy says whose request it is."""
    for text in getattr(settings, 'TRUSTED_PROXIES', ()):
        with contextlib.suppress(ValueError):
            if ipaddress.ip_network(text).prefixlen == 0:
                yield Problem(
                    f'TRUSTED_PROXIES holds {text!r}: everybody may say that he is somebody else',
                    'name the addresses of the proxies that stand before the service',
                )


#: The checks by the names under which their results are shown.
CHECKS: Mapping[str, Check] = {
    'debugging': debug,
    'secret key': secret_key,
    'passwords': passwords,
    'network': listen,
    'accounts': authentication,
    'health': health,
    'metrics': metrics,
    'cross-origin requests': browsers,
    'hosts': hosts,
    'proxies': proxies,
}
