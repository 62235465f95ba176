"""What is done to tasks in the file: each function is run within a transaction, by the journal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from colibris.taskqueue.embedded.journal import Session
from colibris.taskqueue.messages import Message, Status

#: The bells that workers wait at, and those of processes that wait for results.
WORK = 'work'
WAIT = 'wait'

QUEUED, DELAYED, RUNNING = range(3)
STATUSES = (Status.QUEUED, Status.DELAYED, Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Taken:
    """A task that a worker has taken; *number* tells this taking from others of the same task.

    *losses* is how many workers have died of it before.
    """

    id: str
    number: int
    losses: int = field(compare=False)
    queue: str = field(compare=False)
    data: bytes = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ends; *lifetime* is how long that is known, in seconds."""

    status: Status
    outcome: bytes
    lifetime: float


def add(
    session: Session, namespace: str, message: Message, data: bytes, *, delay: float = 0, channel: str | None = None
) -> str:
    """Queue a task and return the id under which it is known: another's, if that one has the same unique key."""
    if message.unique_key is not None:
        query = 'SELECT id FROM tasks WHERE namespace = ? AND unique_key = ?'
        if holder := session.execute(query, (namespace, message.unique_key)).fetchone():
            return str(holder[0])
    if session.execute('SELECT 1 FROM finished WHERE id = ?', (message.id,)).fetchone():
        return message.id
    now = session.clock.now()
    session.execute(
        'INSERT INTO tasks (id, namespace, queue, state, since, due, attempt, unique_key, channel, function, created,'
        ' data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
        (
            *(message.id, namespace, message.queue),
            *((DELAYED, now, now + delay) if delay > 0 else (QUEUED, now, None)),
            *(message.attempt, message.unique_key, channel, message.function, message.created, data),
        ),
    )
    session.rings.add(WORK)
    return message.id


def is_waiting(session: Session, namespace: str, queue: str) -> tuple[bool, float | None]:
    """Tell whether there is something to take from a queue, and when the next delayed task of any queue is due."""
    query = (
        'SELECT EXISTS (SELECT 1 FROM tasks WHERE namespace = ? AND queue = ? AND state = 0),'
        ' (SELECT min(due) FROM tasks WHERE state = 1)'
    )
    queued, due = session.execute(query, (namespace, queue)).fetchone()
    return bool(queued), due


def queue_due(session: Session) -> None:
    """Queue what was delayed and is due: each at the place that its first sending gave it."""
    now = session.clock.now()
    moved = session.execute('UPDATE tasks SET state = 0, since = due, due = NULL WHERE state = 1 AND due <= ?', (now,))
    if moved.rowcount:
        session.rings.add(WORK)


def take(session: Session, namespace: str, queue: str, worker: str, most: int) -> list[Taken]:
    """Take up to *most* tasks of a queue for a worker: they are RUNNING."""
    rows = session.execute(
        'SELECT seq, id, takes, losses, data FROM tasks WHERE namespace = ? AND queue = ? AND state = 0'
        ' ORDER BY seq LIMIT ?',
        (namespace, queue, most),
    ).fetchall()
    session.executemany(
        'UPDATE tasks SET state = 2, worker = ?, takes = takes + 1 WHERE seq = ?', [(worker, row[0]) for row in rows]
    )
    return [Taken(id, takes + 1, losses, queue, data) for _, id, takes, losses, data in rows]


def end(session: Session, taken: Taken, ending: Ending) -> None:
    """Let a task that is taken end, unless it was given to another worker meanwhile."""
    _end(session, 'id = ? AND state = 2 AND takes = ?', (taken.id, taken.number), ending)


def put_off(session: Session, taken: Taken, data: bytes, delay: float) -> None:
    """Delay a task that is taken, to be tried again as *data*, unless it was given to another worker meanwhile."""
    session.execute(
        'UPDATE tasks SET state = 1, due = ?, worker = NULL, attempt = attempt + 1, data = ?'
        ' WHERE id = ? AND state = 2 AND takes = ?',
        (session.clock.now() + delay, data, taken.id, taken.number),
    )
    session.rings.add(WORK)


def put_back(session: Session, taken: Sequence[Taken]) -> None:
    """Queue again, each at its place, what was taken and has not ended."""
    session.executemany(
        'UPDATE tasks SET state = 0, worker = NULL WHERE id = ? AND state = 2 AND takes = ?',
        [(each.id, each.number) for each in taken],
    )
    session.rings.add(WORK)


def cancel(session: Session, task_id: str, ending: Ending) -> bool:
    """End a task that nobody has taken; return whether it is cancelled now."""
    if _end(session, 'id = ? AND state IN (0, 1)', (task_id,), ending):
        return True
    known = session.execute('SELECT status FROM finished WHERE id = ?', (task_id,)).fetchone()
    return known is not None and known[0] == Status.CANCELLED


def give_back_orphans(session: Session, namespace: str) -> None:
    """Queue again what workers had that are not known any more, each with one more loss."""
    given = session.execute(
        'UPDATE tasks SET state = 0, worker = NULL, losses = losses + 1'
        ' WHERE state = 2 AND namespace = ? AND worker NOT IN (SELECT id FROM workers)',
        (namespace,),
    )
    if given.rowcount:
        session.rings.add(WORK)


def lose(session: Session, taken: Taken) -> None:
    """Queue again, with one more loss, a task of which this worker cannot say what came of it."""
    session.execute(
        'UPDATE tasks SET state = 0, worker = NULL, losses = losses + 1 WHERE id = ? AND takes = ? AND state = 2',
        (taken.id, taken.number),
    )
    session.rings.add(WORK)


def listen(session: Session, task_ids: Sequence[str], channel: str) -> None:
    """Let *channel* hear how tasks end that nobody listens to."""
    session.executemany(
        'UPDATE tasks SET channel = ? WHERE id = ? AND channel IS NULL', [(channel, task_id) for task_id in task_ids]
    )


def revive(session: Session, namespace: str, task_id: str, data: bytes) -> bool:
    """Queue a dead letter again, with the message *data*; return False if there is no such one.

    Its unique key is not taken again: another task may hold it.
    """
    now = session.clock.now()
    revived = session.execute(
        'INSERT INTO tasks (id, namespace, queue, state, since, attempt, channel, function, created, data)'
        ' SELECT id, namespace, queue, 0, ?, 0, channel, function, created, ? FROM finished'
        " WHERE id = ? AND namespace = ? AND status = 'failed'",
        (now, data, task_id, namespace),
    ).rowcount
    if not revived:
        return False
    session.execute('DELETE FROM finished WHERE id = ?', (task_id,))
    session.rings.add(WORK)
    return True


def purge_dead(session: Session, namespace: str, task_ids: Sequence[str] | None) -> int:
    """Forget dead letters, all of them or those of *task_ids*; return how many there were."""
    statement = "DELETE FROM finished WHERE namespace = ? AND status = 'failed'"
    if task_ids is None:
        return session.execute(statement, (namespace,)).rowcount
    return session.executemany(f'{statement} AND id = ?', [(namespace, task_id) for task_id in task_ids]).rowcount


def clear(session: Session, namespace: str) -> None:
    """Forget all tasks of *namespace*."""
    session.execute('DELETE FROM tasks WHERE namespace = ?', (namespace,))
    session.execute('DELETE FROM finished WHERE namespace = ?', (namespace,))


def forget_expired(session: Session, most: int) -> int:
    """Forget up to *most* tasks that ended long ago; return how many there were."""
    query = 'DELETE FROM finished WHERE no IN (SELECT no FROM finished WHERE expires <= ? ORDER BY expires LIMIT ?)'
    return session.execute(query, (session.clock.now(), most)).rowcount


def _end(session: Session, condition: str, values: tuple[object, ...], ending: Ending) -> bool:
    """Move the task that meets *condition* to those that have ended; return whether there was one."""
    kept = 'data' if ending.status is Status.FAILED else 'NULL'
    ended = session.execute(
        'INSERT INTO finished (id, namespace, queue, status, attempt, channel, function, created, finished, expires,'
        f' outcome, data) SELECT id, namespace, queue, ?, attempt, channel, function, created, ?, ?, ?, {kept}'
        f' FROM tasks WHERE {condition}',
        (ending.status, time.time(), session.clock.now() + ending.lifetime, ending.outcome, *values),
    ).rowcount
    if not ended:
        return False
    if not session.execute(f'DELETE FROM tasks WHERE {condition} AND channel IS NULL', values).rowcount:
        session.execute(f'DELETE FROM tasks WHERE {condition}', values)
        session.rings.add(WAIT)
    return True
