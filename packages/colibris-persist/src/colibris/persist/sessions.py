"""Which statements may change the session of the connection that they run on, so that it is reset before its next use.

A statement counts as harmless only if that can be seen: one SELECT, INSERT, UPDATE or DELETE that calls nothing but the
functions of standard SQL which the ORM writes. All others may set a variable, take an advisory lock, make a temporary
table or listen, be it in a function that somebody has defined.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ['may_change_session']

_KINDS = ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
_QUOTED = re.compile(r"""'(?:[^'\\]|'')*'|"(?:[^"]|"")*\"""")
_SUSPECT = re.compile(r"""['"\\;`]|--|/\*|\$(?![0-9])""")
_TABLE = re.compile(r'\bINTO\s+(?:\w+\.)?\w+\s*\(')
_CALL = re.compile(r'([\w$]+|")\s*\(')
_HARMLESS = frozenset(
    {
        *('AND', 'OR', 'NOT', 'IN', 'EXISTS', 'VALUES', 'ON', 'AS', 'BY', 'WHERE', 'FROM', 'SELECT', 'HAVING', 'THEN'),
        *('ALL', 'ANY', 'BETWEEN', 'CASE', 'CONFLICT', 'DISTINCT', 'ELSE', 'LIKE', 'ILIKE', 'OVER', 'USING', 'WHEN'),
        *('AVG', 'CAST', 'COALESCE', 'CONCAT', 'COUNT', 'EXTRACT', 'LENGTH', 'LOWER', 'MAX', 'MIN', 'SUM', 'TRIM'),
        *('UPPER', 'VARCHAR', 'NUMERIC', 'DECIMAL', 'CHAR'),
    }
)


@lru_cache(maxsize=2048)
def may_change_session(statement: str) -> bool:
    """Tell whether *statement*, of PostgreSQL, may leave behind more than rows."""
    text = _QUOTED.sub('q', statement.lstrip())
    kind = text[:6].upper()
    if kind not in _KINDS or not text[6:7].isspace() or _SUSPECT.search(text):
        return True
    text = text.upper()
    if kind == 'SELECT' and re.search(r'\bINTO\b', text):
        return True
    return any(name not in _HARMLESS for name in _CALL.findall(_TABLE.sub('', text)))
