"""What is special about SQLite."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest

from colibris.persist import connectivity_check, errors, get_connection, get_database, transaction
from colibris.persist.database import opened
from colibris.persist.sqlite import SQLiteBackend
from colibris.persist.testing.models import ContractShelf, names

MODULES = ['colibris.persist.testing.models']


async def test_pragmas(tmp_path: Path) -> None:
    async with opened({'default': SQLiteBackend(name=str(tmp_path / 'a.db'), busy_timeout=2.5)}):
        found = {}
        for pragma in ('journal_mode', 'foreign_keys', 'busy_timeout', 'synchronous'):
            rows = await get_connection().execute_query_dict(f'PRAGMA {pragma}')
            found[pragma] = next(iter(rows[0].values()))
    assert found == {'journal_mode': 'wal', 'foreign_keys': 1, 'busy_timeout': 2500, 'synchronous': 1}


async def test_closing_leaves_one_file_and_no_thread(tmp_path: Path) -> None:
    async with opened({'default': SQLiteBackend(name=str(tmp_path / 'a.db'))}, MODULES) as databases:
        await databases.create_tables()
        await ContractShelf.create(name='a')
    assert [file.name for file in tmp_path.iterdir()] == ['a.db']
    assert not [thread for thread in threading.enumerate() if 'connection_worker' in thread.name]


async def test_file_names_may_hold_anything(tmp_path: Path) -> None:
    name = 'odd ?mode=ro&#%20é.db'
    async with opened({'default': SQLiteBackend(name=str(tmp_path / name))}):
        assert await connectivity_check()
    assert (tmp_path / name).exists()


@pytest.mark.parametrize('gone', ['dropped', 'unlinked', 'replaced'])
async def test_dropped_file_is_not_made_again(tmp_path: Path, gone: str) -> None:
    file = tmp_path / 'a.db'
    async with opened({'default': SQLiteBackend(name=str(file))}, MODULES) as databases:
        await databases.create_tables()
        if gone == 'dropped':
            await get_database().drop()
        else:
            file.unlink()
        if gone == 'replaced':
            file.touch()
        assert await connectivity_check() is False
        assert file.exists() is (gone == 'replaced')
        if gone == 'dropped':
            with pytest.raises(errors.MissingDatabase, match='does not exist'):
                await ContractShelf.create(name='a')
            assert not file.exists()


async def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.DatabaseUnavailable, match=r'directory .*missing does not exist'):
        async with opened({'default': SQLiteBackend(name=str(tmp_path / 'missing' / 'a.db'))}):
            pass


async def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / 'a.db').write_bytes(b'this is a letter, not a database' * 100)
    with pytest.raises(errors.DatabaseUnavailable, match='not a database'):
        async with opened({'default': SQLiteBackend(name=str(tmp_path / 'a.db'))}):
            pass


async def test_waits_for_another_process_that_writes(tmp_path: Path) -> None:
    backend = SQLiteBackend(name=str(tmp_path / 'a.db'), busy_timeout=0.2)
    async with opened({'default': backend}, MODULES) as databases:
        await databases.create_tables()
        other = sqlite3.connect(tmp_path / 'a.db', isolation_level=None)
        other.execute('BEGIN IMMEDIATE')
        with pytest.raises(errors.TransactionConflict) as caught:
            async with transaction():
                pass
        answer = errors.translate(caught.value)
        assert answer is not None
        assert answer.status == 503
        assert await names() == []  # readers do not wait
        other.execute('ROLLBACK')
        other.close()
        await ContractShelf.create(name='a')


async def test_waiting_for_the_connection_has_a_limit(tmp_path: Path) -> None:
    backend = SQLiteBackend(name=str(tmp_path / 'a.db'), pool_timeout=0.2)
    begun, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with transaction():
            begun.set()
            await done.wait()

    async with opened({'default': backend}, MODULES) as databases:
        await databases.create_tables()
        task = asyncio.create_task(hold())
        await begun.wait()
        with pytest.raises(errors.DatabaseUnavailable, match=r'within 0\.2 s'):
            await names()
        done.set()
        await task
        assert await names() == []


async def test_memory_is_empty_for_each_that_opens_it() -> None:
    for _ in range(2):
        async with opened({'default': SQLiteBackend(name=':memory:')}, MODULES) as databases:
            await databases.create_tables()
            assert await names() == []
            await ContractShelf.create(name='a')


async def test_event_loop_is_not_blocked(tmp_path: Path) -> None:
    slow = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n'
    async with opened({'default': SQLiteBackend(name=str(tmp_path / 'a.db'))}):
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(get_connection().execute_query(slow))
        longest = 0.0
        while not task.done():
            before = loop.time()
            await asyncio.sleep(0.001)
            longest = max(longest, loop.time() - before)
        await task
    assert longest < 0.2


MIGRATING = """
import asyncio, sys
from colibris.persist.sqlite import SQLiteBackend

async def main():
    async with SQLiteBackend(name=sys.argv[1]).lock():
        print('locked', flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


async def test_lock_is_held_against_other_processes_until_they_die(tmp_path: Path) -> None:
    backend = SQLiteBackend(name=str(tmp_path / 'a.db'))
    command = [sys.executable, '-c', dedent(MIGRATING), backend.name]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b'locked\n'
    with pytest.raises(errors.TransactionConflict, match='another process'):
        async with backend.lock(timeout=0.2):
            pass
    process.kill()
    await process.wait()
    async with backend.lock(timeout=5):
        pass
