"""The names by which the service may be called: a forged ``Host`` ends in no link and no cache."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiohttp import web

from colibris import api
from colibris.conf import settings
from colibris.edge.layer import Handle, invalid, refuse

_NAME = re.compile(r'(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\Z|\[[0-9a-f:.]+\]\Z')
#: What a ``Host`` may be: a name or an address, and a port; what links are made of must hold nothing else.
_HOST = re.compile(r'([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?\Z')
_LOCAL = ('localhost', '*.localhost', '127.0.0.1', '[::1]')

#: Where balancers, orchestrators and Prometheus ask by address; what is answered does not depend on the name.
PROBES = frozenset({'/health', '/health/live', '/health/ready'})


class UnknownHost(api.InvalidRequest):
    """Raised when a request calls the service by a name that ALLOWED_HOSTS does not list."""

    default_code = 'unknown_host'
    default_message = 'the service is not known by this name'


def layer(handle: Handle) -> Handle:
    """Answer only to the names in ALLOWED_HOSTS."""
    if settings.ALLOWED_HOSTS is None:
        return handle
    probes = PROBES | {(settings.METRICS or {}).get('path')}
    exact, parents = _sorted([*settings.ALLOWED_HOSTS, *(_LOCAL if settings.DEBUG else ())])

    async def check(request: web.Request) -> web.StreamResponse:
        name = _bare(request.host)
        if (name is not None and (name in exact or name.endswith(parents))) or request.path in probes:
            return await handle(request)
        return refuse(request, UnknownHost())

    return check


def _sorted(names: Sequence[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the *names* that stand for themselves, and the ends of those that begin with ``*``."""
    for name in names:
        if not _NAME.match(name.lower()):
            raise invalid(
                'ALLOWED_HOSTS',
                f"{name!r} is no host; name hosts without scheme and port, such as 'example.com' or '*.example.com'",
            )
    wild = tuple(name.lower()[1:] for name in names if name.startswith('*.'))
    return frozenset(name.lower() for name in names if not name.startswith('*.')), wild


def _bare(host: str) -> str | None:
    """Return *host* in lower case, without its port and the dot of a full name; None if it is no host."""
    found = _HOST.match(host.lower())
    return None if found is None else found[1].removesuffix('.')
