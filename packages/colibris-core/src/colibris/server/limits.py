"""What one connection, and all of them together, may take of the server: time, headers, places."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Any

from colibris.conf import Settings

#: How many bytes of a body must come in a second, on average, once `Limits.read_timeout` is over.
MIN_BODY_RATE = 1024

#: How long a client may take none of what is sent to it, in seconds.
WRITE_TIMEOUT = 60.0

#: File descriptors that are kept for all else than connections of clients.
_RESERVED_FILES = 256


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server; times are in seconds."""

    #: How long the head of a request may take, and its body beyond `MIN_BODY_RATE`.
    read_timeout: float = 30.0
    #: How long a connection is kept on which no request comes.
    keep_alive_timeout: float = 75.0
    #: How many headers a request may have.
    max_headers: int = 100
    #: How many connections there may be at a time.
    max_connections: int = 10_000

    @classmethod
    def configured(cls, settings: Settings) -> Limits:
        """Return what *settings* say, as far as this process may open so many files."""
        return cls(
            read_timeout=settings.READ_TIMEOUT,
            keep_alive_timeout=settings.KEEP_ALIVE_TIMEOUT,
            max_headers=settings.MAX_HEADERS,
            max_connections=min(settings.MAX_CONNECTIONS, _files(settings.MAX_CONNECTIONS)),
        )

    def handler_options(self) -> dict[str, Any]:
        """Return the arguments of aiohttp's request handler."""
        return {'keepalive_timeout': self.keep_alive_timeout, 'max_headers': self.max_headers}


def _files(wanted: int) -> int:
    """Return how many connections this process can have; it lets itself open as many files as it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(soft - _RESERVED_FILES, 1)
