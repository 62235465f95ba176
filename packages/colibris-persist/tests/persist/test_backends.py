"""The contract suite on the backends that are shipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colibris.persist.mysql import MySQLBackend
from colibris.persist.postgresql import PostgreSQLBackend
from colibris.persist.sqlite import SQLiteBackend
from colibris.persist.testing import DatabaseContract


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
    def options(self, server: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
        return server('postgresql', 'contract')


class TestMySQL(DatabaseContract):
    backend_class = MySQLBackend

    @pytest.fixture
    def options(self, server: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
        return server('mysql', 'contract')
