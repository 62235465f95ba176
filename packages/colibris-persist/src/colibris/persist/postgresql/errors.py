"""What PostgreSQL and asyncpg raise, as the exceptions of `colibris.persist.errors`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]

from colibris.persist.errors import (
    CheckViolation,
    InvalidValue,
    MissingReference,
    NotNullViolation,
    OperationalError,
    StillReferenced,
    TransactionConflict,
    TransactionManagementError,
    UniqueViolation,
    Violation,
)
from colibris.persist.pool import PoolClosed

if TYPE_CHECKING:
    from colibris.persist.postgresql.backend import PostgreSQLBackend

__all__ = ['translate']

_KEY = re.compile(r'^[^(]*\((?P<columns>.+?)\)=\(')

_CONSTRAINTS: dict[str, type[Violation]] = {
    '23001': StillReferenced,
    '23502': NotNullViolation,
    '23503': MissingReference,
    '23505': UniqueViolation,
    '23514': CheckViolation,
    '23P01': UniqueViolation,  # an exclusion constraint
}


def translate(error: BaseException, backend: PostgreSQLBackend) -> Exception | None:
    """Return the exception that stands for what PostgreSQL (by its SQLSTATE) or asyncpg raised."""
    if isinstance(error, asyncpg.PostgresError):
        return _from_server(error, error.sqlstate or '', backend)
    if isinstance(error, asyncpg.InterfaceError):
        if isinstance(error, ValueError):  # asyncpg's own check of arguments
            return InvalidValue(f'PostgreSQL cannot store the value: {error}')
        if any(word in str(error) for word in ('closed', 'closing', 'terminated', 'released')):
            return backend.lost(error)
        return OperationalError(error)
    if isinstance(error, UnicodeError):
        return InvalidValue(f'PostgreSQL cannot store the value: {error}')
    if isinstance(error, TimeoutError):
        return backend.slow()
    if isinstance(error, OSError):
        return backend.lost(error)
    if isinstance(error, PoolClosed):
        return backend.lost(error)
    if isinstance(error, asyncpg.InternalClientError):
        return OperationalError(error)
    return None


def _from_server(error: Any, state: str, backend: PostgreSQLBackend) -> Exception:
    if state.startswith('23'):
        return _violation(error, _CONSTRAINTS.get(state, Violation))
    if state.startswith('22'):
        columns = [error.column_name] if error.column_name else []
        return InvalidValue(str(error), table=error.table_name, columns=columns)
    if state == '3D000':
        return backend.missing()
    if state.startswith('28'):
        return backend.denied(error)
    if state in ('40001', '40P01', '55P03'):
        return TransactionConflict(str(error))
    if state.startswith(('25', '2D', '3B')):
        return TransactionManagementError(str(error))
    if state.startswith(('08', '53', '57', '58')):
        return backend.lost(error)
    return OperationalError(error)


def _violation(error: Any, violation: type[Violation]) -> Violation:
    """The database names one column itself, several only in the detail: ``Key (a, b)=(1, 2) already exists.``"""
    match = _KEY.match(error.detail or '')
    columns = [name.strip('"') for name in match['columns'].split(', ')] if match else []
    if error.column_name:
        columns = [error.column_name]
    if violation is MissingReference and _is_referenced(error):
        violation, columns = StillReferenced, []
    message = str(error.args[0])
    return violation(
        f'{message}: {error.detail}' if error.detail else message,
        table=error.table_name,
        columns=columns,
        constraint=error.constraint_name,
    )


def _is_referenced(error: Any) -> bool:
    """Both sides of a foreign key have one SQLSTATE; the text tells which one it is, where it is English."""
    text = f'{error.args[0]} {error.detail}'
    if 'update or delete on' in text or 'still referenced' in text:
        return True
    return 'insert or update on' not in text and (error.query or '').lstrip()[:6].upper() == 'DELETE'
