"""Who made a request, where a proxy stands before the service: what it says is believed only of trusted proxies.

Each proxy adds to ``X-Forwarded-For``, or to ``Forwarded`` (RFC 7239), whom its request came from, so these are read
from their ends, as far as trusted proxies have written them. ``request.remote``, ``request.scheme`` and
``request.host`` then tell of the client.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import hdrs, web

from colibris import api, responses
from colibris.conf import settings
from colibris.edge.headers import strict_transport
from colibris.edge.layer import Handle, invalid, refuse

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MAX_HOPS = 32
_PORT = re.compile(r':[0-9]{1,5}\Z')
_SCHEMES = frozenset({'http', 'https'})
_HOST = re.compile(r'(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?\Z')


class Contradiction(api.InvalidRequest):
    """Raised when a request says by two headers that it comes from two clients."""

    default_code = 'contradictory_headers'
    default_message = 'Forwarded and X-Forwarded-For name different clients'


@dataclass(frozen=True, slots=True)
class Hop:
    """What one proxy says of the request that it got; None is what it does not say."""

    address: str | None = None
    scheme: str | None = None
    host: str | None = None


def layer(handle: Handle) -> Handle:
    """Believe the proxies in TRUSTED_PROXIES."""
    trusted = networks(settings.TRUSTED_PROXIES)
    if not trusted:
        return handle
    hsts = strict_transport()

    async def believe(request: web.Request) -> web.StreamResponse:
        try:
            client = client_of(request, trusted)
        except Contradiction as exc:
            return refuse(request, exc)
        if client is not None:
            _tell(request, client)
            if hsts is not None and client.scheme == 'https':
                responses.add_header(request, hdrs.STRICT_TRANSPORT_SECURITY, hsts)
        return await handle(request)

    return believe


def networks(given: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks that *given*, the setting, names. Raises ImproperlyConfigured."""
    found = []
    for text in given:
        try:
            found.append(ip_network(text))
        except ValueError as exc:
            raise invalid(
                'TRUSTED_PROXIES', f"{exc}; name addresses or networks, such as '10.0.0.5' or '10.0.0.0/8'"
            ) from exc
    return tuple(found)


def _tell(request: web.Request, client: Hop) -> None:
    """Let the properties of *request* tell of the client; aiohttp keeps their values once they are known."""
    known = {'remote': client.address, 'scheme': client.scheme, 'host': client.host}
    request._cache.pop('url', None)  # there for a request that gives its whole URL
    request._cache.update({name: value for name, value in known.items() if value is not None})


def client_of(request: web.Request, trusted: Sequence[Network]) -> Hop | None:
    """Return the client of *request* as *trusted* proxies tell it; None if it came from no such proxy.

    Raises Contradiction where ``Forwarded`` and ``X-Forwarded-For`` name different clients: a proxy writes one of them,
    and hands on the other one as the client sent it. Where both name the same, only that is believed which both say.
    """
    if not _is_trusted(parse(request.remote or ''), trusted):
        return None
    by_standard = _walk(_forwarded(request), trusted)
    by_custom = _walk(_x_forwarded(request), trusted)
    if by_standard.address is None:
        return by_custom
    if by_custom.address is None:
        return by_standard
    if by_standard.address != by_custom.address:
        raise Contradiction
    return Hop(
        by_custom.address, _agreed(by_standard.scheme, by_custom.scheme), _agreed(by_standard.host, by_custom.host)
    )


def _agreed(one: str | None, other: str | None) -> str | None:
    """Return what both headers say: one of them may be the client's own, and nobody knows which."""
    return one if one == other else None


def _walk(hops: Sequence[Hop], trusted: Sequence[Network]) -> Hop:
    """Return what the outermost trusted proxy says; *hops* are in the order in which the request went."""
    found = Hop()
    for hop in reversed(hops[-_MAX_HOPS:]):
        address = parse(hop.address or '')
        scheme = (hop.scheme or '').lower()
        found = Hop(
            address=found.address if address is None else str(address),
            scheme=scheme if scheme in _SCHEMES else found.scheme,
            host=hop.host if hop.host and _HOST.match(hop.host) else found.host,
        )
        if not _is_trusted(address, trusted):
            break
    return found


def _x_forwarded(request: web.Request) -> list[Hop]:
    addresses = _listed(request, 'X-Forwarded-For')
    schemes = _aligned(_listed(request, 'X-Forwarded-Proto'), len(addresses))
    hosts = _aligned(_listed(request, 'X-Forwarded-Host'), len(addresses))
    return [Hop(*said) for said in zip(addresses, schemes, hosts, strict=True)]


def _listed(request: web.Request, header: str) -> list[str]:
    values = request.headers.getall(header, ())
    return [text.strip() for value in values for text in value.split(',')]


def _aligned(values: Sequence[str], count: int) -> Sequence[str | None]:
    """Return *values* for *count* hops: many proxies write one value for the whole way, the last of them then."""
    if not values:
        return [None] * count
    if len(values) < count:
        return [values[0]] * (count - len(values)) + list(values)
    return values[len(values) - count :]


def _forwarded(request: web.Request) -> list[Hop]:
    return [
        Hop(said.get('for'), said.get('proto'), said.get('host'))
        for said in (request.forwarded if hdrs.FORWARDED in request.headers else ())
    ]


def parse(text: str) -> Address | None:
    """Return the address that *text* is, with or without a port; None if it is none, such as ``unknown``."""
    bare = text.strip()
    if bare.startswith('['):
        bare = bare[1:].partition(']')[0]
    elif bare.count(':') == 1:
        bare = _PORT.sub('', bare)
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = getattr(address, 'ipv4_mapped', None)
    return mapped if isinstance(mapped, IPv4Address) else address


def _is_trusted(address: Address | None, trusted: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in trusted)
