"""What stands for the errors of MySQL and of asyncmy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from asyncmy import errors as driver

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

if TYPE_CHECKING:
    from colibris.persist.mysql.backend import MySQLBackend

_CONSTRAINTS: dict[int, type[Violation]] = {
    1048: NotNullViolation,
    1062: UniqueViolation,
    1169: UniqueViolation,
    1216: MissingReference,
    1217: StillReferenced,
    1364: NotNullViolation,
    1451: StillReferenced,
    1452: MissingReference,
    1557: UniqueViolation,
    1586: UniqueViolation,
    1761: UniqueViolation,
    1762: UniqueViolation,
    3819: CheckViolation,
    4025: CheckViolation,
}
_VALUES = frozenset(
    {1153, 1230, 1264, 1265, 1292, 1300, 1366, 1367, 1406, 1411, 1425, 1426, 1427, 1439, 1441, 1690, 3140, 3141, 3156}
)
_CONFLICTS = frozenset({1205, 1213, 3572, 3058})
_UNAVAILABLE = frozenset(
    {1021, 1023, 1037, 1038, 1040, 1041, 1042, 1043, 1053, 1077, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1290}
    | {1317, 1836, 1927, 1969, 2002, 2003, 2005, 2006, 2013, 2014, 2055, 3024, 4031}
)
_DENIED = frozenset({1044, 1045, 1129, 1130, 1251, 1698, 1820, 1862, 2054, 2059, 3118, 3159})

_KEY = re.compile(r"for key '(?:(?P<table>[^'.]+)\.)?(?P<key>[^']+)'$")
_COLUMN = re.compile(r"(?:[Cc]olumn|Field) (?:`[^`]*`\.`(?P<table>[^`]+)`\.`(?P<quoted>[^`]+)`|'(?P<column>[^']+)')")
_FOREIGN_KEY = re.compile(
    r'\(`[^`]*`\.`(?P<table>[^`]+)`, CONSTRAINT `(?P<constraint>[^`]+)` FOREIGN KEY \((?P<columns>[^)]+)\)'
)


def translate(error: BaseException, backend: MySQLBackend) -> Exception | None:
    """Return the exception that stands for what MySQL (by its number) or asyncmy raised."""
    if isinstance(error, driver.MySQLError):
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        return _from_server(error, code, str(error.args[1]) if len(error.args) > 1 else str(error), backend)
    if isinstance(error, UnicodeError):
        return InvalidValue(f'MySQL cannot store the value: {error}')
    if isinstance(error, TimeoutError):
        return backend.slow()
    if isinstance(error, OSError | EOFError):
        return backend.lost(error)
    if isinstance(error, RuntimeError) and 'closing pool' in str(error):
        return backend.lost(error)
    return None


def _from_server(error: Exception, code: int, message: str, backend: MySQLBackend) -> Exception:
    if code in _CONSTRAINTS:
        return _violation(_CONSTRAINTS[code], message)
    if code in _VALUES:
        match = _last(_COLUMN, message)
        column = (match['quoted'] or match['column']) if match else None
        return InvalidValue(message, table=match['table'] if match else None, columns=[column] if column else [])
    if code == 1049:
        return backend.missing()
    if code in _DENIED:
        return backend.denied(message)
    if code in _CONFLICTS:
        return TransactionConflict(message)
    if code in (2002, 2003, 2005):
        return backend.unreachable(message)
    if code in _UNAVAILABLE or (isinstance(error, driver.InterfaceError) and code == 0):
        return backend.lost(message)
    if code in (1305, 1568, 1613):
        return TransactionManagementError(message)
    if isinstance(error, driver.IntegrityError):
        return Violation(message)
    return OperationalError(error)


def _last(pattern: re.Pattern[str], message: str) -> re.Match[str] | None:
    """Find the last place, as what comes before may be a value that somebody has sent."""
    return next(reversed(list(pattern.finditer(message))), None)


def _violation(violation: type[Violation], message: str) -> Violation:
    if match := _FOREIGN_KEY.search(message):
        columns = [name.strip(' `') for name in match['columns'].split(',')]
        if violation is StillReferenced:
            columns = []  # of the table that refers
        return violation(message, table=match['table'], columns=columns, constraint=match['constraint'])
    if match := _KEY.search(message):
        return violation(message, table=match['table'], constraint=match['key'])
    if match := _last(_COLUMN, message):
        column = match['quoted'] or match['column']
        return violation(message, table=match['table'], columns=[column])
    return violation(message)
