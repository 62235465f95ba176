"""How many rows a list has: counted, estimated from the database's statistics, or not at all."""

from __future__ import annotations

from typing import Any, Literal

from tortoise.expressions import RawSQL
from tortoise.models import Model
from tortoise.queryset import QuerySet

__all__ = ['MODES', 'Mode', 'estimate', 'estimate_term']

Mode = Literal['exact', 'estimated'] | None
MODES: tuple[Mode, ...] = ('exact', 'estimated', None)


def estimate_term(query: QuerySet[Any], dialect: str) -> RawSQL | None:
    """Return what the database's statistics say of the number of rows of *query*; None if they say nothing of it."""
    if query._q_objects or query._limit is not None or query._offset is not None or query._distinct:
        return None
    meta = query.model._meta
    if dialect == 'postgres':
        return RawSQL(f'(SELECT reltuples::bigint FROM pg_class WHERE oid={_text(_quoted(query.model))}::regclass)')
    if dialect == 'mysql':
        schema = 'DATABASE()' if meta.schema is None else _text(meta.schema)
        return RawSQL(
            '(SELECT table_rows FROM information_schema.tables '
            f'WHERE table_schema={schema} AND table_name={_text(meta.db_table)})'
        )
    return None


async def estimate(query: QuerySet[Any]) -> int | None:
    """Return about how many rows *query* selects; None if the statistics do not tell."""
    client: Any = query._db or query.model._choose_db()
    term = estimate_term(query, client.capabilities.dialect)
    if term is None:
        return None
    rows = await client.fetch(f'SELECT {term.sql}', [])
    return known(rows[0][0])


def known(estimated: Any) -> int | None:
    """Return what was *estimated*; None if the table has no statistics yet."""
    return None if estimated is None or estimated < 0 else int(estimated)


def _quoted(model: type[Model]) -> str:
    names = [name for name in (model._meta.schema, model._meta.db_table) if name is not None]
    return '.'.join('"' + name.replace('"', '""') + '"' for name in names)


def _text(value: str) -> str:
    return "'" + value.replace('\\', '\\\\').replace("'", "''") + "'"
