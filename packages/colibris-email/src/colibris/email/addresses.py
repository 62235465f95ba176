"""Addresses, with or without a name."""

from __future__ import annotations

from collections.abc import Iterable
from email.headerregistry import Address
from email.utils import getaddresses


def check_line(what: str, text: object) -> str:
    """Return *text* if it can stand in a header. Raises ValueError for newlines and the like."""
    if not isinstance(text, str):
        raise TypeError(f'{what} must be a string, not {type(text).__name__}')
    if any(character in text for character in '\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029'):
        raise ValueError(f'{what} must not contain newlines or null characters: {text!r}')
    return text


def parse_address(what: str, text: str) -> Address:
    """Return the address ``user@host`` or ``Name <user@host>``. Raises ValueError."""
    found = getaddresses([check_line(what, text)])
    name, spec = found[0] if len(found) == 1 else ('', '')
    user, at, domain = spec.rpartition('@')
    if not at or not user or not domain or any(character.isspace() or character in '<>,;' for character in spec):
        raise ValueError(f'{what}: {text!r} is not an email address; expected user@host or Name <user@host>')
    try:
        ascii_domain = domain if domain.isascii() else domain.encode('idna').decode('ascii')
        return Address(display_name=name, username=user, domain=ascii_domain)
    except (ValueError, IndexError) as exc:
        raise ValueError(f'{what}: {text!r} is not an email address: {exc}') from exc
    except Exception as exc:  # the parser of the standard library raises errors of its own
        raise ValueError(f'{what}: {text!r} is not an email address') from exc


def parse_addresses(what: str, addresses: Iterable[str]) -> tuple[Address, ...]:
    """Return the addresses. Raises TypeError for a single string, which would be taken letter by letter."""
    if isinstance(addresses, (str, bytes)):
        raise TypeError(f'{what} must be a list of addresses, not a string: {what}=[{addresses!r}]')
    return tuple(parse_address(what, address) for address in addresses)


def spec_of(address: Address) -> str:
    """Return the bare address, as it is spoken to a server."""
    return f'{address.username}@{address.domain}'
