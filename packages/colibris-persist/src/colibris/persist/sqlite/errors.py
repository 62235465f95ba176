"""What SQLite and its driver raise, as the exceptions of `colibris.persist.errors`."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from colibris.persist.errors import (
    CheckViolation,
    DatabaseUnavailable,
    InvalidValue,
    MissingDatabase,
    MissingReference,
    NotNullViolation,
    OperationalError,
    StillReferenced,
    TransactionConflict,
    UniqueViolation,
    Violation,
)

if TYPE_CHECKING:
    from colibris.persist.sqlite.backend import SQLiteBackend

__all__ = ['is_busy', 'translate']


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether *error* says that another process has the database."""
    return getattr(error, 'sqlite_errorname', '').startswith(('SQLITE_BUSY', 'SQLITE_LOCKED'))


_CONSTRAINTS: dict[str, type[Violation]] = {
    'SQLITE_CONSTRAINT_UNIQUE': UniqueViolation,
    'SQLITE_CONSTRAINT_PRIMARYKEY': UniqueViolation,
    'SQLITE_CONSTRAINT_ROWID': UniqueViolation,
    'SQLITE_CONSTRAINT_FOREIGNKEY': MissingReference,
    'SQLITE_CONSTRAINT_TRIGGER': StillReferenced,  # ON DELETE RESTRICT
    'SQLITE_CONSTRAINT_NOTNULL': NotNullViolation,
    'SQLITE_CONSTRAINT_CHECK': CheckViolation,
    'SQLITE_CONSTRAINT_DATATYPE': CheckViolation,
}
_COLUMNS = re.compile(r'constraint failed: (?!index )(?P<columns>[^.,\s]+\.[^,]+(?:, [^.,\s]+\.[^,]+)*)$')
_INDEX = re.compile(r"constraint failed: index '(?P<index>[^']+)'$")


def translate(error: BaseException, backend: SQLiteBackend) -> Exception | None:
    """Return the exception that stands for what SQLite or its driver raised."""
    message = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        return _violation(error, message)
    if isinstance(error, OverflowError | UnicodeEncodeError | sqlite3.DataError | sqlite3.InterfaceError):
        return InvalidValue(f'SQLite cannot store the value: {message}')
    if isinstance(error, sqlite3.Error) and is_busy(error):
        return TransactionConflict(f'{backend.describe()} is locked by another process: {message}')
    if isinstance(error, sqlite3.DatabaseError):
        return _unavailable(error, backend) or OperationalError(error)
    if isinstance(error, sqlite3.ProgrammingError) or (isinstance(error, ValueError) and 'onnection' in message):
        return DatabaseUnavailable(f'{backend.describe()} is closed: {message}')
    return None


def _unavailable(error: sqlite3.DatabaseError, backend: SQLiteBackend) -> Exception | None:
    name = getattr(error, 'sqlite_errorname', '')
    if name.startswith('SQLITE_CANTOPEN'):
        if backend.file_id() is None and backend.path.parent.is_dir():
            return MissingDatabase(
                f'{backend.describe()} does not exist: it has been removed, or migrate has not made it'
            )
        return DatabaseUnavailable(f'cannot open {backend.describe()}: {backend.reason(error)}')
    if name.startswith(('SQLITE_IOERR', 'SQLITE_FULL', 'SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_READONLY')):
        return DatabaseUnavailable(f'{backend.describe()} cannot be used: {error}')
    return None


def _violation(error: sqlite3.IntegrityError, message: str) -> Exception:
    violation = _CONSTRAINTS.get(getattr(error, 'sqlite_errorname', ''), Violation)
    if match := _COLUMNS.search(message):
        pairs = [name.split('.', 1) for name in match['columns'].split(', ')]
        return violation(message, table=pairs[0][0], columns=[column for _, column in pairs])
    index = _INDEX.search(message)
    return violation(message, constraint=index['index'] if index else None)
