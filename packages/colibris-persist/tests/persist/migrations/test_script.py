"""Splitting SQL into statements."""

from types import SimpleNamespace

import pytest

from colibris.persist.migrations import MigrationError, sql_for
from colibris.persist.migrations.script import SQLITE_AFTER, SQLITE_BEFORE, split, statements_of


def client(dialect: str) -> object:
    return SimpleNamespace(capabilities=SimpleNamespace(dialect=dialect))


@pytest.mark.parametrize('dialect', ['sqlite', 'postgres', 'mysql'])
@pytest.mark.parametrize(
    ('sql', 'statements'),
    [
        ('', []),
        (' ;; ; -- nothing;\n', []),
        ('SELECT 1', ['SELECT 1']),
        ("SELECT ';', 'it''s; so'; SELECT \"a;b\"", ["SELECT ';', 'it''s; so'", 'SELECT "a;b"']),
        ('/* a; b */ SELECT 1; -- c; d\nSELECT 2;', ['/* a; b */ SELECT 1', '-- c; d\nSELECT 2']),
    ],
)
def test_a_semicolon_within_quotes_or_comments_ends_nothing(dialect, sql, statements):
    assert split(sql, dialect) == statements


@pytest.mark.parametrize(
    ('dialect', 'sql', 'count'),
    [
        ('sqlite', 'CREATE TRIGGER t AFTER UPDATE ON a BEGIN DELETE FROM b; DELETE FROM c; END; SELECT 1', 2),
        ('postgres', 'CREATE FUNCTION f() RETURNS int AS $$ BEGIN; RETURN 1; END; $$ LANGUAGE plpgsql; SELECT 1', 2),
        ('postgres', "SELECT $a$ ';$$; $a$; SELECT E'\\';'", 2),
        ('mysql', "SELECT 'it\\'s; so'; # a; b\nSELECT `a;b`", 2),
        ('mysql', 'SELECT 1--1; SELECT 2', 2),
    ],
)
def test_each_dialect_has_its_quotes(dialect, sql, count):
    assert len(split(sql, dialect)) == count


def test_a_script_is_a_text_for_aerich_and_statements_for_us():
    script = sql_for(client('sqlite'), {'sqlite': [*SQLITE_BEFORE, "SELECT ';'", *SQLITE_AFTER]})
    assert script == "PRAGMA foreign_keys = OFF;\nBEGIN;\nSELECT ';';\nCOMMIT;\nPRAGMA foreign_keys = ON;\n"
    assert type(script) is str  # drivers take no other one
    assert statements_of(script, 'sqlite') == ["SELECT ';'"]


def test_a_script_without_the_database_s_statements_is_an_error():
    with pytest.raises(MigrationError, match="there are no statements for 'oracle', only for sqlite"):
        sql_for(client('oracle'), {'sqlite': []})
