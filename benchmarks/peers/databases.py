"""The databases of a run: a private PostgreSQL, or a file of SQLite, with the table that all peers use."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from benchmarks.peers.machine import LOAD_CORE, cpu_seconds
from benchmarks.peers.workloads import USERS

USER = DATABASE = 'benchmark'
_CONNECTIONS = '10'
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 60
shared_buffers = 256MB
synchronous_commit = off
autovacuum = off
max_wal_size = 4GB
jit = off
"""
_FILL = f"""
INSERT INTO users (name, email, role, is_active, created_at, score)
SELECT 'User Name ' || n, 'user' || n || '@example.com', (ARRAY['admin', 'editor', 'viewer'])[1 + n % 3], n % 5 <> 0,
       timestamptz '2025-01-01 10:00:00+00' + n * interval '61 seconds' + n * interval '123 microseconds',
       (n % 1000) / 7.0::float8
FROM generate_series(1, {USERS}) n
"""


class Database(Protocol):
    """What the measuring needs of a database."""

    def variables(self) -> Mapping[str, str]:
        """Return what tells the servers, by their environment, where it is."""

    def fill(self) -> None:
        """Put the rows into the table, which is empty."""

    def reset(self) -> None:
        """Remove what the last run has made."""

    def cpu(self) -> float:
        """Return the CPU seconds that the database's own processes have used."""


class PostgreSQL:
    """A server of its own, in a folder that goes away with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster and serve it, on the core of the load generator."""
        data, log = self.folder / 'data', self.folder / 'log'
        account = _unprivileged(self.folder)
        initdb = [_program('initdb'), '-D', str(data), '-A', 'trust', '-U', USER, '-E', 'UTF8', '--locale=C', '-N']
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **account)
        with (data / 'postgresql.conf').open('a') as file:
            file.write(_CONFIGURATION.format(port=self._port))
        command = ['taskset', '-c', str(LOAD_CORE), _program('postgres'), '-D', str(data)]
        with log.open('wb') as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, cwd=self.folder, start_new_session=True, **account
            )
        ready = [_program('pg_isready'), '-q', '-h', '127.0.0.1', '-p', str(self._port), '-t', '1']
        for _ in range(200):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            if self._process.poll() is not None:
                sys.exit(f'PostgreSQL does not start:\n{log.read_text()}')
            subprocess.run(['sleep', '0.05'], check=True)
        self._sql(f'CREATE DATABASE {DATABASE}', database='postgres')

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(2)  # fast shutdown
            self._process.wait(30)

    def variables(self) -> Mapping[str, str]:
        port = str(self._port)
        theirs = {'PGPORT': port, 'PGUSER': USER, 'PGDATABASE': DATABASE}
        ours = {'BACKEND': 'postgresql', 'HOST': '127.0.0.1', 'PORT': port, 'NAME': DATABASE, 'USERNAME': USER}
        ours |= {'MIN_CONNECTIONS': _CONNECTIONS, 'MAX_CONNECTIONS': _CONNECTIONS}
        return theirs | {f'DATABASE_{name}': value for name, value in ours.items()}

    def fill(self) -> None:
        self._sql(_FILL)
        self.reset()

    def reset(self) -> None:
        self._sql(f'DELETE FROM users WHERE id > {USERS}')
        self._sql('VACUUM ANALYZE users')
        self._sql(f"SELECT setval('users_id_seq', {USERS})")

    def cpu(self) -> float:
        return 0.0 if self._process is None else cpu_seconds(self._process.pid)

    def _sql(self, statement: str, database: str = DATABASE) -> None:
        command = [_program('psql'), '-h', '127.0.0.1', '-p', str(self._port), '-U', USER, '-qAtX', '-c', statement]
        subprocess.run([*command, database], check=True, stdout=subprocess.DEVNULL)


class SQLite:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / 'benchmark.db'

    def variables(self) -> Mapping[str, str]:
        theirs = {'PGPORT': '0', 'PGUSER': '', 'PGDATABASE': '', 'BENCHMARK_SQLITE_FILE': str(self._file)}
        return theirs | {'DATABASE_BACKEND': 'sqlite', 'DATABASE_NAME': str(self._file)}

    def fill(self) -> None:
        first = datetime(2025, 1, 1, 10, tzinfo=UTC)
        rows = [
            (
                f'User Name {number}',
                f'user{number}@example.com',
                ('admin', 'editor', 'viewer')[number % 3],
                number % 5 != 0,
                (first + number * timedelta(seconds=61, microseconds=123)).isoformat(' '),
                number % 1000 / 7,
            )
            for number in range(1, USERS + 1)
        ]
        with sqlite3.connect(self._file) as connection:
            connection.executemany(
                'INSERT INTO users (name, email, role, is_active, created_at, score) VALUES (?, ?, ?, ?, ?, ?)', rows
            )
        connection.close()

    def reset(self) -> None:
        with sqlite3.connect(self._file) as connection:
            connection.execute('DELETE FROM users WHERE id > ?', (USERS,))
        connection.close()

    def cpu(self) -> float:
        return 0.0


@contextmanager
def running(kind: str) -> Iterator[PostgreSQL | SQLite]:
    """Give a database of *kind*, empty, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix='colibris-benchmark-') as name:
        folder = Path(name)
        if kind == 'sqlite':
            yield SQLite(folder)
            return
        server = PostgreSQL(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, of the newest version that is installed."""
    folders: Sequence[Path] = sorted(Path('/usr/lib/postgresql').glob('*/bin'), key=lambda path: float(path.parts[-2]))
    found = next((str(path / name) for path in reversed(folders) if (path / name).exists()), shutil.which(name))
    if found is None:
        sys.exit(f'{name} is missing: install PostgreSQL (Debian: apt-get install postgresql)')
    return found


def _unprivileged(folder: Path) -> dict[str, Any]:
    """Return what makes a process of root's run as `postgres`, as PostgreSQL refuses root; *folder* becomes its own."""
    if os.getuid() != 0:
        return {}
    shutil.chown(folder, 'postgres', 'postgres')
    return {'user': 'postgres', 'group': 'postgres', 'extra_groups': []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port
