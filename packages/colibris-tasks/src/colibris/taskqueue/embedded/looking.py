"""What is read of the file: each function is run by the reader, or within a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from colibris.taskqueue.embedded.journal import Session
from colibris.taskqueue.embedded.tasks import STATUSES
from colibris.taskqueue.errors import InvalidMessage, TaskQueueUnavailable
from colibris.taskqueue.messages import Codec, Failure, Status
from colibris.taskqueue.policy import Policy
from colibris.taskqueue.stats import QueueStats, Stats, TaskInfo, WorkerInfo, with_empty

_MOST_PLACEHOLDERS = 500


def outcomes(session: Session, task_ids: Sequence[str]) -> dict[str, bytes | None]:
    """Return the encoded outcomes of tasks: None for those that have not ended; unknown ones are left out."""
    found: dict[str, bytes | None] = {}
    for wanted, marks in _portions(task_ids):
        found.update(session.execute(f'SELECT id, NULL FROM tasks WHERE id IN ({marks})', wanted))
        found.update(session.execute(f'SELECT id, outcome FROM finished WHERE id IN ({marks})', wanted))
    return found


def unheard(session: Session, task_ids: Sequence[str]) -> list[str]:
    """Return those of *task_ids* that have not ended and whose end nobody is to hear."""
    found: list[str] = []
    for wanted, marks in _portions(task_ids):
        query = f'SELECT id FROM tasks WHERE id IN ({marks}) AND channel IS NULL'
        found += [row[0] for row in session.execute(query, wanted)]
    return found


def _portions(task_ids: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    for start in range(0, len(task_ids), _MOST_PLACEHOLDERS):
        wanted = task_ids[start : start + _MOST_PLACEHOLDERS]
        yield wanted, ', '.join('?' * len(wanted))


def last_ending(session: Session) -> int:
    """Return the number of the last ending, 0 if there was none."""
    row = session.execute("SELECT seq FROM sqlite_sequence WHERE name = 'finished'").fetchone()
    return row[0] if row else 0


def endings(session: Session, since: int, channel: str) -> tuple[int, list[tuple[str, bytes | None]]]:
    """Return the number of the last ending, and the endings after number *since* that somebody is to hear.

    Each is an id and, for those that *channel* is to hear, the outcome.
    """
    last = last_ending(session)
    if last < since:
        raise TaskQueueUnavailable('the file of the task queue was replaced')
    query = (
        'SELECT id, CASE WHEN channel = ? THEN outcome END FROM finished'
        ' WHERE no > ? AND no <= ? AND channel IS NOT NULL ORDER BY no'
    )
    return last, session.execute(query, (channel, since, last)).fetchall()


def status(session: Session, task_id: str) -> Status:
    """Return where a task stands."""
    if row := session.execute('SELECT state FROM tasks WHERE id = ?', (task_id,)).fetchone():
        return STATUSES[row[0]]
    row = session.execute('SELECT status FROM finished WHERE id = ?', (task_id,)).fetchone()
    return Status(row[0]) if row else Status.UNKNOWN


def stats(session: Session, namespace: str, policy: Policy) -> Stats:
    """Return what is going on; workers that were not seen for some time are left out."""
    now = session.clock.now()
    waiting = session.execute(
        'SELECT queue, count(*), min(since) FROM tasks WHERE namespace = ? AND state = 0 GROUP BY queue', (namespace,)
    )
    return Stats(
        queues=with_empty(
            policy.queues, (QueueStats(name, length, max(0.0, now - since)) for name, length, since in waiting)
        ),
        delayed=_count(session, 'tasks WHERE state = 1 AND namespace = ?', namespace),
        running=_count(session, 'tasks WHERE state = 2 AND namespace = ?', namespace),
        dead=_count(session, "finished WHERE status = 'failed' AND namespace = ?", namespace),
        workers=tuple(_workers(session, namespace, now, policy.worker_timeout)),
    )


def _count(session: Session, source: str, namespace: str) -> int:
    number: int = session.execute(f'SELECT count(*) FROM {source}', (namespace,)).fetchone()[0]
    return number


def _workers(session: Session, namespace: str, now: float, timeout: float) -> Iterator[WorkerInfo]:
    query = 'SELECT id, host, pid, threads, queues, seen FROM workers WHERE namespace = ? AND seen > ? ORDER BY id'
    for id, host, pid, threads, queues, seen in session.execute(query, (namespace, now - timeout)):
        yield WorkerInfo(id, host, pid, threads, tuple(queues.split(',')), max(0.0, now - seen))


_COLUMNS = 'id, status, function, queue, attempt, created, finished, outcome'


def info(session: Session, codec: Codec, task_id: str) -> TaskInfo | None:
    """Return what is known of a task, None if nothing is."""
    query = 'SELECT id, state, function, queue, attempt, created FROM tasks WHERE id = ?'
    if row := session.execute(query, (task_id,)).fetchone():
        return TaskInfo(row[0], STATUSES[row[1]], *row[2:])
    row = session.execute(f'SELECT {_COLUMNS} FROM finished WHERE id = ?', (task_id,)).fetchone()
    return _ended(codec, row) if row else None


def dead_letters(session: Session, codec: Codec, namespace: str, limit: int, offset: int) -> list[TaskInfo]:
    """Return the tasks that failed for good, the newest first."""
    query = (
        f"SELECT {_COLUMNS} FROM finished WHERE namespace = ? AND status = 'failed' ORDER BY no DESC LIMIT ? OFFSET ?"
    )
    return [_ended(codec, row) for row in session.execute(query, (namespace, limit, offset))]


def dead_message(session: Session, namespace: str, task_id: str) -> bytes | None:
    """Return the message of a dead letter, None if there is no such one."""
    query = "SELECT data FROM finished WHERE id = ? AND namespace = ? AND status = 'failed'"
    row = session.execute(query, (task_id, namespace)).fetchone()
    return row[0] if row else None


def _ended(codec: Codec, row: tuple[Any, ...]) -> TaskInfo:
    task_id, status, function, queue, attempt, created, finished, outcome = row
    return TaskInfo(
        task_id, Status(status), function, queue, attempt, created, finished, _failure(codec, task_id, outcome)
    )


def _failure(codec: Codec, task_id: str, outcome: bytes) -> Failure | None:
    try:
        return codec.decode_outcome(task_id, outcome).failure
    except InvalidMessage as exc:
        return Failure('InvalidMessage', str(exc))
