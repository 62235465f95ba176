"""The table by SQL, over asyncpg's pool."""

from typing import Any

import asyncpg
import common

COLUMNS = 'id, name, email, role, is_active, created_at, score'
_LIST = f'SELECT {COLUMNS} FROM users ORDER BY id LIMIT $1 OFFSET $2'
_GET = f'SELECT {COLUMNS} FROM users WHERE id = $1'
_CREATE = (
    'INSERT INTO users (name, email, role, is_active, score, created_at) '
    f'VALUES ($1, $2, $3, $4, $5, now()) RETURNING {COLUMNS}'
)


class _WithoutReset(asyncpg.Connection):
    def get_reset_query(self) -> str:
        return ''


async def open(*_: object) -> None:
    global _pool
    connection_class = asyncpg.Connection if common.RESET else _WithoutReset
    _pool = await asyncpg.create_pool(
        **common.POSTGRESQL, min_size=common.POOL, max_size=common.POOL, connection_class=connection_class
    )


async def close(*_: object) -> None:
    await _pool.close()


async def list_users(limit: int, offset: int) -> tuple[list[Any], int]:
    async with _pool.acquire() as connection:
        count = await connection.fetchval('SELECT count(*) FROM users')
        return await connection.fetch(_LIST, limit, offset), count


async def get_user(number: int) -> Any:
    return await _pool.fetchrow(_GET, number)


async def create_user(data: dict[str, Any]) -> Any:
    return await _pool.fetchrow(_CREATE, data['name'], data['email'], data['role'], data['is_active'], data['score'])
