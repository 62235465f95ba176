"""The statements of each database for a plan."""

from __future__ import annotations

from colibris.persist.migrations.ddl.base import Ddl
from colibris.persist.migrations.ddl.mysql import MySQLDdl
from colibris.persist.migrations.ddl.postgres import PostgresDdl
from colibris.persist.migrations.ddl.sqlite import SqliteDdl
from colibris.persist.migrations.plan import Plan

_CLASSES: tuple[type[Ddl], ...] = (SqliteDdl, PostgresDdl, MySQLDdl)


def statements(plan: Plan) -> dict[str, list[str]]:
    """Return the statements that carry *plan* out, by dialect."""
    return {ddl.dialect: ddl(plan).statements() for ddl in _CLASSES}
