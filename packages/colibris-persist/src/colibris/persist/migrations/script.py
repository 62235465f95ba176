"""The statements of a migration, as our own runner and as aerich take them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from colibris.persist.migrations.errors import MigrationError

if TYPE_CHECKING:
    from tortoise.backends.base.client import BaseDBAsyncClient

#: What stands around the statements for SQLite that rebuild or drop tables. aerich runs it as it stands; our runner
#: does the same by itself, with a check of the references before the commit.
SQLITE_BEFORE = ('PRAGMA foreign_keys = OFF', 'BEGIN')
SQLITE_AFTER = ('COMMIT', 'PRAGMA foreign_keys = ON')


def sql_for(db: BaseDBAsyncClient, statements: Mapping[str, Iterable[str]]) -> str:
    """Return the script for the database that *db* is connected to, out of *statements* by dialect."""
    dialect = db.capabilities.dialect
    if dialect not in statements:
        raise MigrationError(f'there are no statements for {dialect!r}, only for {", ".join(statements)}')
    return ''.join(f'{statement};\n' for statement in statements[dialect])


def statements_of(script: str, dialect: str) -> list[str]:
    """Return the statements of what a migration's ``upgrade`` or ``downgrade`` returned, as our runner runs them."""
    found = split(script, dialect)
    if dialect == 'sqlite' and tuple(found[: len(SQLITE_BEFORE)]) == SQLITE_BEFORE:
        return found[len(SQLITE_BEFORE) : -len(SQLITE_AFTER)]
    return found


#: Quoted texts and names, comments, and PostgreSQL's dollar quotes: a semicolon in them ends nothing.
_TOKENS = {
    'sqlite': r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/",
    'postgres': r"(?i:\be)'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1",
    'mysql': r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|`(?:[^`]|``)*`|(?:--\s|\#)[^\n]*|/\*.*?\*/",
}


def split(sql: str, dialect: str) -> list[str]:
    """Split *sql* into its statements, without the semicolons between them."""
    pattern = re.compile(f'(?:{_TOKENS[dialect]})|;', re.DOTALL)
    found: list[str] = []
    start = 0
    for match in pattern.finditer(sql):
        if match.group() != ';':
            continue
        if dialect == 'sqlite' and not sqlite3.complete_statement(sql[start : match.end()]):
            continue  # within a trigger
        found.append(sql[start : match.start()])
        start = match.end()
    found.append(sql[start:])
    return [statement.strip() for statement in found if _is_statement(statement, dialect)]


def _is_statement(text: str, dialect: str) -> bool:
    """Whether there is more than comments in *text*."""
    comments = r'--[^\n]*|/\*.*?\*/' if dialect != 'mysql' else r'(?:--\s|\#)[^\n]*|/\*.*?\*/'
    return bool(re.sub(comments, '', text, flags=re.DOTALL).strip())
