"""The database servers that tests use, and what to do where one is missing."""

import os
import socket
from typing import Any

import pytest

from colibris.persist import url

SERVERS = {
    'postgresql': os.environ.get('COLIBRIS_TEST_POSTGRESQL') or 'postgresql://postgres@127.0.0.1:5432',
    'mysql': os.environ.get('COLIBRIS_TEST_MYSQL') or 'mysql://root@127.0.0.1:3306',
}
PORTS = {'postgresql': 5432, 'mysql': 3306}


def database_server(kind: str) -> dict[str, Any]:
    """Return the options of a database server, without a database; skip where none listens, but never in CI."""
    options = url.parse(SERVERS[kind], setting='the address of the test server')
    del options['backend']
    options.pop('name', None)
    address = (options.get('host', '127.0.0.1'), options.get('port', PORTS[kind]))
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError as exc:
        if os.environ.get('CI'):
            pytest.fail(f'no {kind} server at {address} ({exc}), which is required where CI is set')
        pytest.skip(f'no {kind} server at {address}')
    return options
