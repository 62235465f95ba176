"""What the peers have in common: the database, the secret, the clock."""

import os
from datetime import UTC, datetime

HOST = '127.0.0.1'
DATABASE_PORT, USER, DATABASE = int(os.environ['PGPORT']), os.environ['PGUSER'], os.environ['PGDATABASE']
PORT = int(os.environ['BENCHMARK_PORT'])
POOL = 10
SECRET = os.environ['SECRET_KEY']
SQLITE_FILE = os.environ.get('BENCHMARK_SQLITE_FILE')
#: A connection's state is reset each time it goes back into asyncpg's pool, unless the peer says otherwise.
RESET = 'BENCHMARK_NO_RESET' not in os.environ

POSTGRESQL = {'host': HOST, 'port': DATABASE_PORT, 'user': USER, 'password': 'x', 'database': DATABASE}
SQLALCHEMY_URL = f'postgresql+asyncpg://{USER}:x@{HOST}:{DATABASE_PORT}/{DATABASE}'
EMAIL_PATTERN = r'^[^@\s]+@[^@\s]+\.[^@\s]+$'


def now() -> datetime:
    return datetime.now(UTC)


def pages(count: int, page_size: int) -> int:
    return (count + page_size - 1) // page_size
