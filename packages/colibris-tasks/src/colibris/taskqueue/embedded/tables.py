"""The tables of the queue's file."""

from colibris.taskqueue.embedded import clock

#: What waits or runs. `seq` is the place in the queue; times are the file's own clock, `created` the wall clock.
_TASKS = """
CREATE TABLE tasks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    queue TEXT NOT NULL,
    state INTEGER NOT NULL,             -- 0 queued, 1 delayed, 2 running
    since REAL NOT NULL,                -- when it came to be in its queue
    due REAL,                           -- when it is to be queued, if it is delayed
    worker TEXT,                        -- who runs it
    takes INTEGER NOT NULL DEFAULT 0,   -- how often it was taken: the last one who did may settle it
    losses INTEGER NOT NULL DEFAULT 0,  -- how many workers died of it
    attempt INTEGER NOT NULL,
    unique_key TEXT,
    channel TEXT,                       -- who is to hear how it ends
    function TEXT NOT NULL,
    created REAL NOT NULL,
    data BLOB NOT NULL
)
"""

#: What has ended, in the order of the ends.
_FINISHED = """
CREATE TABLE finished (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    queue TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    channel TEXT,
    function TEXT NOT NULL,
    created REAL NOT NULL,
    finished REAL NOT NULL,             -- by the wall clock, for people
    expires REAL NOT NULL,
    outcome BLOB NOT NULL,
    data BLOB                           -- the message of a dead letter
)
"""

#: The workers; `beat` goes up with every sign of life.
_WORKERS = """
CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    queues TEXT NOT NULL,
    beat INTEGER NOT NULL,
    seen REAL NOT NULL,
    bell TEXT
)
"""

STATEMENTS = (
    clock.TABLE,
    _TASKS,
    'CREATE INDEX tasks_queued ON tasks (namespace, queue, seq, since) WHERE state = 0',
    'CREATE INDEX tasks_delayed ON tasks (due, namespace) WHERE state = 1',
    'CREATE INDEX tasks_running ON tasks (worker, namespace) WHERE state = 2',
    'CREATE UNIQUE INDEX tasks_unique ON tasks (namespace, unique_key) WHERE unique_key IS NOT NULL',
    _FINISHED,
    'CREATE INDEX finished_expire ON finished (expires)',
    "CREATE INDEX finished_dead ON finished (namespace, no) WHERE status = 'failed'",
    _WORKERS,
)
