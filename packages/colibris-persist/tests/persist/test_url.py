"""Databases written as URLs."""

import pytest

from colibris.conf import ImproperlyConfigured
from colibris.persist import url


def parse(text: str) -> dict[str, object]:
    return url.parse(text, setting='DATABASE')


@pytest.mark.parametrize(
    ('text', 'options'),
    [
        ('sqlite:///app.db', {'backend': 'sqlite', 'name': 'app.db'}),
        ('sqlite:///data/app.db', {'backend': 'sqlite', 'name': 'data/app.db'}),
        ('sqlite:////var/lib/app.db', {'backend': 'sqlite', 'name': '/var/lib/app.db'}),
        ('sqlite:///my%20app.db', {'backend': 'sqlite', 'name': 'my app.db'}),
        ('sqlite://:memory:', {'backend': 'sqlite', 'name': ':memory:'}),
        ('sqlite:///:memory:', {'backend': 'sqlite', 'name': ':memory:'}),
        ('sqlite:///app.db?busy_timeout=3', {'backend': 'sqlite', 'name': 'app.db', 'busy_timeout': '3'}),
        ('postgresql:///name', {'backend': 'postgresql', 'name': 'name'}),
        (
            'postgres://user@db.example:5433/name',
            {'backend': 'postgresql', 'username': 'user', 'host': 'db.example', 'port': 5433, 'name': 'name'},
        ),
        ('mysql://[::1]:3307/name', {'backend': 'mysql', 'host': '::1', 'port': 3307, 'name': 'name'}),
        ('mariadb://h/name', {'backend': 'mysql', 'host': 'h', 'name': 'name'}),
        (
            'postgresql://us%40er:p%3A%2F%3F%23w%25@h/na%2Fme?max_connections=5&ssl=true',
            {
                'backend': 'postgresql',
                'username': 'us@er',
                'password': 'p:/?#w%',
                'host': 'h',
                'name': 'na/me',
                'max_connections': '5',
                'ssl': 'true',
            },
        ),
        (
            'postgresql:///name?host=/var/run/postgresql',
            {'backend': 'postgresql', 'name': 'name', 'host': '/var/run/postgresql'},
        ),
    ],
)
def test_parses(text: str, options: dict[str, object]) -> None:
    assert parse(text) == options


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('oracle://user:secret@h/name', ["'oracle'", 'postgresql', 'sqlite']),
        ('user:secret@h/name', ['no backend is known']),
        ('//user:secret@h/name', ['must begin with the backend']),
        ('postgresql://user:secret@h:port/name', ['port']),
        ('postgresql://user:secret@h:99999/name', ['port']),
        ('postgresql://user:sec/ret@h/name', ['port', 'percent']),
        ('postgresql://user:secret@[h/name', ['not well-formed']),
        ('postgresql://user:secret@h/name#x', ['%23']),
        ('postgresql://user:secret@h/name?username=b', ["'username' is given twice"]),
        ('sqlite://app.db', ['three slashes']),
        ('sqlite://', ['names no file']),
        ('sqlite:///', ['names no file']),
    ],
)
def test_refuses_without_telling_the_password(text: str, words: list[str]) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith('DATABASE ')
    assert 'sec' not in message
    for word in words:
        assert word in message
    assert caught.value.__cause__ is None
