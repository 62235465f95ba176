"""The contract suite on the backends that are shipped."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from colibris.persist import url
from colibris.persist.mysql import MySQLBackend
from colibris.persist.postgresql import PostgreSQLBackend
from colibris.persist.sqlite import SQLiteBackend
from colibris.persist.testing import DatabaseContract

POSTGRESQL = os.environ.get('COLIBRIS_TEST_POSTGRESQL') or 'postgresql://postgres@127.0.0.1:5432/postgres'
MYSQL = os.environ.get('COLIBRIS_TEST_MYSQL') or 'mysql://root@127.0.0.1:3306/mysql'


def server(address: str, name: str) -> dict[str, Any]:
    """Return the options of a database on the server at *address*; skip where none listens, but never in CI."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or '127.0.0.1', parts.port or 0), timeout=2).close()
    except OSError as exc:
        if os.environ.get('CI'):
            pytest.fail(f'no server at {parts.hostname}:{parts.port} ({exc}), which is required where CI is set')
        pytest.skip(f'no server at {parts.hostname}:{parts.port}')
    options = url.parse(address, setting='the address of the test server')
    del options['backend']
    return {**options, 'name': name}


class TestSQLite(DatabaseContract):
    backend_class = SQLiteBackend
    opening_creates = True
    strict_values = False
    names_references = False
    concurrent_transactions = False

    @pytest.fixture
    def options(self, tmp_path: Path) -> dict[str, Any]:
        return {'name': str(tmp_path / 'contract.db')}


class TestSQLiteInMemory(TestSQLite):
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {'name': ':memory:'}


class TestPostgreSQL(DatabaseContract):
    backend_class = PostgreSQLBackend

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return server(POSTGRESQL, 'col_persist_contract')


class TestMySQL(DatabaseContract):
    backend_class = MySQLBackend

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return server(MYSQL, 'col_persist_contract')
