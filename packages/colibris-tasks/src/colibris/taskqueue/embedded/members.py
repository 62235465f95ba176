"""The workers of a queue: their signs of life, and what becomes of the tasks of those that died.

A worker counts its beats up in the file; another one that has seen the same number at several of its own beats in turn
takes it for dead. No clock is compared, so that nothing happens when clocks are set, or when the machine slept. The end
of a process is seen sooner, as nobody listens at its bell any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from colibris.taskqueue.embedded import tasks
from colibris.taskqueue.embedded.journal import Session
from colibris.taskqueue.stats import WorkerInfo

#: How many beats of ours without one of the other's mean that it is dead.
BEATS = 3


@dataclass(frozen=True, slots=True)
class Member:
    """A worker, as the file tells of it."""

    id: str
    beat: int
    bell: str | None


def others(session: Session, namespace: str, worker_id: str) -> list[Member]:
    """Return the workers beside this one."""
    query = 'SELECT id, beat, bell FROM workers WHERE namespace = ? AND id <> ?'
    return [Member(*row) for row in session.execute(query, (namespace, worker_id))]


def beat(session: Session, namespace: str, me: WorkerInfo, bell: str | None) -> None:
    """Give a sign of life; a worker that is not known, as it is new or was taken for dead, becomes so."""
    now = session.clock.now()
    if session.execute('UPDATE workers SET beat = beat + 1, seen = ? WHERE id = ?', (now, me.id)).rowcount:
        return
    session.execute(
        'INSERT INTO workers (id, namespace, host, pid, threads, queues, beat, seen, bell)'
        ' VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)',
        (me.id, namespace, me.host, me.pid, me.threads, ','.join(me.queues), now, bell),
    )


def leave(session: Session, worker_id: str) -> None:
    """Forget a worker that has put back what it had."""
    session.execute('DELETE FROM workers WHERE id = ?', (worker_id,))


def bury(session: Session, namespace: str, dead: Member) -> bool:
    """Give back what a worker had, unless it has given a sign of life meanwhile; return whether it was dead."""
    gone = session.execute('DELETE FROM workers WHERE id = ? AND beat = ?', (dead.id, dead.beat)).rowcount
    if gone:
        tasks.give_back_orphans(session, namespace)
    return bool(gone)


class Watch:
    """Knows which of the other workers are silent, from looking at them at each of one's own beats."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def silent(self, members: Sequence[Member]) -> list[Member]:
        """Return those of *members* that have given no sign of life during the last beats."""
        before, self._seen = self._seen, {}
        for member in members:
            beat, times = before.get(member.id, (None, 0))
            self._seen[member.id] = (member.beat, times + 1 if beat == member.beat else 0)
        return [member for member in members if self._seen[member.id][1] >= BEATS]
