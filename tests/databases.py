"""New databases on each kind of server, for services that run in processes of their own."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

import asyncmy
import asyncpg
import pytest
from servers import SERVERS

KINDS = ('sqlite', 'postgresql', 'mysql')
DATABASE = f'col_of_tests_{os.getpid()}'


@asynccontextmanager
async def new_database(kind: str, folder: Path) -> AsyncIterator[dict[str, str]]:
    """Make an empty database, in *folder* or on a server; give the variables that choose it, and drop it at the end."""
    if kind == 'sqlite':
        yield {'DATABASE_NAME': str(folder / 'black-box.db')}
        return
    server = urlsplit(SERVERS[kind])
    try:
        await execute(server, f'DROP DATABASE IF EXISTS {DATABASE}', f'CREATE DATABASE {DATABASE}')
    except OSError as exc:
        unreachable(f'no {kind} at {server.hostname}:{server.port}: {exc}')
    yield {
        'DATABASE_BACKEND': kind,
        'DATABASE_NAME': DATABASE,
        'DATABASE_HOST': server.hostname or '',
        'DATABASE_PORT': str(server.port),
        'DATABASE_USERNAME': server.username or '',
        'DATABASE_PASSWORD': server.password or '',
    }
    await execute(server, f'DROP DATABASE {DATABASE}')


async def execute(server: SplitResult, *statements: str) -> None:
    """Run *statements* with the bare driver, not with what is tested."""
    place = {'host': server.hostname, 'port': server.port, 'user': server.username, 'password': server.password or ''}
    if server.scheme == 'postgresql':
        connection = await asyncpg.connect(**place, database='postgres')
        for statement in statements:
            await connection.execute(statement)
        await connection.close()
        return
    async with asyncmy.connect(**place) as connection, connection.cursor() as cursor:
        for statement in statements:
            await cursor.execute(statement)


def unreachable(message: str) -> NoReturn:
    if os.environ.get('CI'):
        pytest.fail(message)
    pytest.skip(message)
