"""The options of backends."""

import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from colibris.persist.mysql import MySQLBackend
from colibris.persist.postgresql import PostgreSQLBackend
from colibris.persist.sqlite import SQLiteBackend


@pytest.mark.parametrize(
    ('options', 'word'),
    [
        ({'name': ''}, 'name'),
        ({'name': 5}, 'name'),
        ({'name': 'a\0b'}, 'NUL'),
        ({'name': 'x' * 64}, '63 bytes'),
        ({'port': 0}, 'port'),
        ({'port': 65536}, 'port'),
        ({'port': '54x2'}, 'port'),
        ({'port': 1.5}, 'port'),
        ({'port': True}, 'port'),
        ({'host': 5}, 'host'),
        ({'min_connections': -1}, 'min_connections'),
        ({'max_connections': 0}, 'max_connections'),
        ({'min_connections': 5, 'max_connections': 4}, 'max_connections (4)'),
        ({'connect_timeout': 0}, 'connect_timeout'),
        ({'command_timeout': 'long'}, 'command_timeout'),
        ({'pool_timeout': float('nan')}, 'pool_timeout'),
        ({'pool_timeout': float('inf')}, 'pool_timeout'),
        ({'ssl': 1}, 'ssl'),
        ({'ssl': '/no/such/file'}, '/no/such/file'),
        ({'statement_cache_size': -1}, 'statement_cache_size'),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=re.escape(word)):
        PostgreSQLBackend(**{'name': 'shop', **options})


def test_a_bad_password_is_not_repeated() -> None:
    with pytest.raises(ValueError, match='password') as caught:
        PostgreSQLBackend(name='shop', password='sec\0ret')
    assert 'sec' not in str(caught.value)


def test_options_from_a_url_are_numbers() -> None:
    text: Any = {'port': '5433', 'max_connections': '7', 'connect_timeout': '2.5'}
    backend = PostgreSQLBackend(name='shop', **text)
    assert (backend.port, backend.max_connections, backend.connect_timeout) == (5433, 7, 2.5)


def test_options_are_keywords_only() -> None:
    with pytest.raises(TypeError):
        PostgreSQLBackend('shop')  # type: ignore[misc]


@pytest.mark.parametrize(('value', 'verifies'), [(True, True), ('yes', True), (False, None), ('off', None)])
def test_tls_is_verified_where_it_is_asked_for(value: bool | str, verifies: bool | None) -> None:
    context = MySQLBackend(name='shop', ssl=value).ssl
    if verifies:
        assert isinstance(context, ssl.SSLContext)
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    else:
        assert context is False


@pytest.mark.parametrize('options', [{'journal_mode': 'fast'}, {'synchronous': 2}, {'busy_timeout': -1}])
def test_invalid_options_of_sqlite_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        SQLiteBackend(name='app.db', **options)


def test_relative_file_starts_at_the_base_directory(tmp_path: Path) -> None:
    backend = SQLiteBackend(name='data/app.db')
    backend.base_dir = tmp_path
    assert backend.path == tmp_path / 'data' / 'app.db'
    assert SQLiteBackend(name='/abs/app.db').path == Path('/abs/app.db')


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('app.db', 'test_app_gw1.db'),
        ('/var/lib/app.db', '/var/lib/test_app_gw1.db'),
        ('app', 'test_app_gw1'),
        (':memory:', ':memory:'),
    ],
)
def test_name_for_tests_of_sqlite(name: str, expected: str) -> None:
    assert SQLiteBackend.test_name(name, '_gw1') == expected


def test_name_for_tests_of_a_server() -> None:
    assert PostgreSQLBackend.test_name('shop', '_gw1') == 'test_shop_gw1'
