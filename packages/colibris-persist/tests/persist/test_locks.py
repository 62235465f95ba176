"""The lock of migrations, between processes."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from colibris.persist import errors
from colibris.persist.base import DatabaseBackend
from colibris.persist.mysql import MySQLBackend
from colibris.persist.postgresql import PostgreSQLBackend

HOLD = """
import asyncio, sys
from colibris.persist import MySQLBackend, PostgreSQLBackend

async def main():
    async with {backend}(**{options!r}).lock():
        print('locked', flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.mark.parametrize('kind', ['postgresql', 'mysql'])
async def test_lock_is_held_against_other_processes_until_they_die(
    server: Callable[[str, str], dict[str, Any]], kind: str
) -> None:
    backend_class: type[Any] = {'postgresql': PostgreSQLBackend, 'mysql': MySQLBackend}[kind]
    options = server(kind, 'locks')
    backend: DatabaseBackend = backend_class(**options)
    await backend.drop()
    await backend.create()
    try:
        code = HOLD.format(backend=backend_class.__name__, options=options)
        process = await asyncio.create_subprocess_exec(
            sys.executable, '-c', code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b'locked\n'
        with pytest.raises(errors.TransactionConflict, match='another process'):
            async with backend.lock(timeout=0.3):
                pass
        process.kill()
        await process.wait()
        async with backend.lock(timeout=5):
            pass
    finally:
        await backend.drop()


async def test_databases_of_one_server_have_locks_of_their_own(server: Callable[[str, str], dict[str, Any]]) -> None:
    options = server('mysql', 'locks')
    one, other = MySQLBackend(**options), MySQLBackend(**{**options, 'name': 'col_persist_other'})
    async with one.lock(timeout=1), other.lock(timeout=1):
        pass
