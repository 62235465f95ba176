"""Which migrations a database has: aerich's own table ``aerich``, so that aerich can take over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from colibris.persist.migrations.schema import Sql

if TYPE_CHECKING:
    from tortoise.backends.base.client import BaseDBAsyncClient

#: Tortoise's label of the one app that all models of a project belong to.
APP = 'models'

CREATE: Sql = {
    'sqlite': """CREATE TABLE IF NOT EXISTS "aerich" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "version" VARCHAR(255) NOT NULL,
    "app" VARCHAR(100) NOT NULL,
    "content" JSON NOT NULL
)""",
    'postgres': """CREATE TABLE IF NOT EXISTS "aerich" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "version" VARCHAR(255) NOT NULL,
    "app" VARCHAR(100) NOT NULL,
    "content" JSONB NOT NULL
)""",
    'mysql': """CREATE TABLE IF NOT EXISTS `aerich` (
    `id` INT NOT NULL PRIMARY KEY AUTO_INCREMENT,
    `version` VARCHAR(255) NOT NULL,
    `app` VARCHAR(100) NOT NULL,
    `content` JSON NOT NULL
) CHARACTER SET utf8mb4""",
}

_EXISTS: Sql = {
    'sqlite': "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = 'aerich'",
    'postgres': "SELECT 1 AS found WHERE to_regclass('aerich') IS NOT NULL",
    'mysql': (
        "SELECT 1 AS found FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'aerich'"
    ),
}
_PLACEHOLDERS = {'sqlite': ('?', '?', '?'), 'postgres': ('$1', '$2', '$3::jsonb'), 'mysql': ('%s', '%s', '%s')}


async def applied(db: BaseDBAsyncClient) -> list[str]:
    """Return the files that are applied, in the order in which they were; nothing is created."""
    if not await db.execute_query_dict(_EXISTS[db.capabilities.dialect]):
        return []
    (place, *_) = _PLACEHOLDERS[db.capabilities.dialect]
    rows: list[dict[str, Any]] = await db.execute_query_dict(
        f'SELECT version FROM aerich WHERE app = {place} ORDER BY id', [APP]
    )
    return [row['version'] for row in rows]


async def ensure_table(db: BaseDBAsyncClient) -> None:
    """Create the table if it is missing."""
    if not await db.execute_query_dict(_EXISTS[db.capabilities.dialect]):
        await db.execute_query(CREATE[db.capabilities.dialect])


async def record(db: BaseDBAsyncClient, file: str, state: str) -> None:
    """Note that *file* is applied; *state* is the JSON of its models."""
    places = ', '.join(_PLACEHOLDERS[db.capabilities.dialect])
    await db.execute_query(f'INSERT INTO aerich (version, app, content) VALUES ({places})', [file, APP, state])


async def forget(db: BaseDBAsyncClient, file: str) -> None:
    """Note that *file* is not applied any more."""
    version, app, _ = _PLACEHOLDERS[db.capabilities.dialect]
    await db.execute_query(f'DELETE FROM aerich WHERE version = {version} AND app = {app}', [file, APP])
