"""Addresses, with or without a name."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from email.headerregistry import Address
from email.utils import getaddresses

import idna


def check_text(what: str, text: object) -> str:
    """Return *text* if it is one that can be encoded. Raises TypeError, and ValueError for half surrogate pairs."""
    if not isinstance(text, str):
        raise TypeError(f'{what} must be a string, not {type(text).__name__}')
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise ValueError(f'{what} has half of a surrogate pair, which is not valid Unicode: {text!r}') from exc
    return text


def check_line(what: str, text: object) -> str:
    """Return *text* if it can stand in a header. Raises ValueError for newlines and the like."""
    line = check_text(what, text)
    if any(character in line for character in '\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029'):
        raise ValueError(f'{what} must not contain newlines or null characters: {line!r}')
    return line


def parse_address(what: str, text: str) -> Address:
    """Return the address ``user@host`` or ``Name <user@host>``. Raises ValueError."""
    line = check_line(what, text)
    try:
        return _parse(line)
    except ValueError as exc:
        raise ValueError(f'{what}: {exc}') from exc.__cause__


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> Address:
    found = getaddresses([text])
    name, spec = found[0] if len(found) == 1 else ('', '')
    user, at, domain = spec.rpartition('@')
    if not at or not user or not domain or any(not char.isprintable() or char in ' <>,;@' for char in user + domain):
        raise ValueError(f'{text!r} is not an email address; expected user@host or Name <user@host>')
    try:
        return Address(display_name=name, username=user, domain=ascii_domain(domain))
    except ValueError as exc:
        raise ValueError(f'{text!r} is not an email address: {exc}') from exc
    except Exception as exc:  # the parser of the standard library raises errors of its own
        raise ValueError(f'{text!r} is not an email address') from exc


def ascii_domain(domain: str) -> str:
    """Return *domain* as it is spoken to servers: what is beyond ASCII by IDNA 2008 (RFC 5891). Raises ValueError."""
    return domain if domain.isascii() else idna.encode(domain, uts46=True).decode('ascii')


def parse_addresses(what: str, addresses: Iterable[str]) -> tuple[Address, ...]:
    """Return the addresses. Raises TypeError for a single string, which would be taken letter by letter."""
    return tuple(parse_address(what, address) for address in listed(what, addresses))


def listed(what: str, addresses: Iterable[str]) -> list[str]:
    """Return *addresses* as a list. Raises TypeError for a single string."""
    if isinstance(addresses, (str, bytes)) or not isinstance(addresses, Iterable):
        raise TypeError(f'{what} must be a list of addresses, not {type(addresses).__name__}: {what}=[{addresses!r}]')
    return list(addresses)


def spec_of(address: Address) -> str:
    """Return the bare address, as it is spoken to a server."""
    return f'{address.username}@{address.domain}'
