"""What the setting ``TRACING`` says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from colibris.conf import ImproperlyConfigured, settings

#: What must be installed, all by the extra ``tracing``.
MODULES = (
    *('opentelemetry.sdk', 'opentelemetry.exporter.otlp.proto.http', 'opentelemetry.instrumentation.aiohttp_server'),
    *('opentelemetry.instrumentation.asyncpg', 'opentelemetry.instrumentation.redis'),
    'opentelemetry.instrumentation.sqlite3',
)

#: Where a collector takes traces, below its address.
_PATH = '/v1/traces'

_PROTOCOLS = ('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL')


@dataclass(frozen=True, slots=True)
class Options:
    """How traces are made and where they are sent; None leaves it to the ``OTEL_*`` variables of the environment.

    - *endpoint*: the URL of a collector, such as ``http://collector:4318``, that speaks OTLP over HTTP.
    - *service_name*: what the service is called in traces; by itself, the name of the project's package.
    - *sample*: which part of the requests is traced, from 0 to 1; of those that belong to a trace already, the trace
      says whether.
    - *headers*: what is sent with the spans, such as a key. *timeout*: of each sending, in seconds.
    """

    endpoint: str | None = None
    service_name: str | None = None
    sample: float | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    timeout: float | None = None

    @property
    def url(self) -> str | None:
        """Where the spans are sent: *endpoint*, with the usual path if it has none."""
        if self.endpoint is None or urlsplit(self.endpoint).path not in ('', '/'):
            return self.endpoint
        return self.endpoint.rstrip('/') + _PATH


def options() -> Options | None:
    """Return what TRACING says; None if it is off. Raises ImproperlyConfigured."""
    value = settings.TRACING
    if value is None or value is False:
        return None
    found = Options() if value is True else _read(value)
    for name in MODULES:
        if not _is_installed(name):
            raise _wrong(f"needs the module {name!r}: pip install 'colibris[tracing]'")
    for name in _PROTOCOLS:
        if (protocol := os.environ.get(name)) not in (None, '', 'http/protobuf'):
            raise _wrong(f"{name} is {protocol!r}, but spans are sent by 'http/protobuf' (to port 4318, by custom)")
    return found


def _read(value: Mapping[str, Any]) -> Options:
    known = tuple(Options.__dataclass_fields__)
    for key in value:
        if key not in known:
            raise _wrong(f'has no key {key!r}; there are {", ".join(known)}')
    found = Options(**value)
    if found.endpoint is not None and not _is_url(found.endpoint):
        raise _wrong("endpoint must be the URL of a collector, such as 'http://localhost:4318'")
    if found.service_name is not None and not (isinstance(found.service_name, str) and found.service_name):
        raise _wrong(f'service_name must be a name, not {found.service_name!r}')
    if found.sample is not None and not (_is_number(found.sample) and 0 <= found.sample <= 1):
        raise _wrong(f'sample must be a number from 0 to 1, not {found.sample!r}')
    if found.headers is not None and not _are_headers(found.headers):
        raise _wrong('headers must be a dictionary of names and values that headers can hold')
    if found.timeout is not None and not (_is_number(found.timeout) and found.timeout > 0):
        raise _wrong(f'timeout must be a number of seconds above 0, not {found.timeout!r}')
    return found


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what it lies in is not there
        return False


def _is_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ('http', 'https') and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_headers(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(text, str) and text.isascii() and text.isprintable() and text
        for text in (*value.keys(), *value.values())
    )


def _wrong(problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f'TRACING ({settings.source("TRACING")}): {problem}', setting='TRACING')
