"""What an engine tells of itself: for ``manage.py tasks``, and for metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from colibris.measures import Kind, Measure
from colibris.taskqueue.messages import Failure, Status


@dataclass(frozen=True, slots=True)
class QueueStats:
    """One queue: how many tasks wait in it, and the age of the oldest of them in seconds (None if none waits)."""

    name: str
    length: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker process that is alive; *seen* is how many seconds ago it last gave a sign of life."""

    id: str
    host: str
    pid: int
    threads: int
    queues: tuple[str, ...]
    seen: float


@dataclass(frozen=True, slots=True)
class Stats:
    """The whole: queues, what waits for its time, what runs, what failed for good, and the workers alive."""

    queues: tuple[QueueStats, ...]
    delayed: int
    running: int
    dead: int
    workers: tuple[WorkerInfo, ...]

    @property
    def length(self) -> int:
        """How many tasks wait in all queues."""
        return sum(queue.length for queue in self.queues)

    @property
    def oldest(self) -> float | None:
        """The age of the task that has waited longest, in seconds; None if none waits."""
        return max((queue.oldest for queue in self.queues if queue.oldest is not None), default=None)


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """What is known of one task. *finished* is in seconds since the epoch; *function* is '' if it cannot be read."""

    id: str
    status: Status
    function: str
    queue: str
    attempt: int
    created: float
    finished: float | None = None
    failure: Failure | None = None


def with_empty(names: Sequence[str], found: Iterable[QueueStats]) -> tuple[QueueStats, ...]:
    """Return *found* with those of *names*, the queues of the policy, in which nothing waits; they come first."""
    known = {queue.name: queue for queue in found}
    return tuple(known.get(name) or QueueStats(name, 0, None) for name in dict.fromkeys((*names, *known)))


def measures(stats: Stats) -> Iterator[Measure]:
    """Yield *stats* as numbers for metrics; all processes see the same queues."""
    kind = Kind.SHARED_GAUGE
    for queue in stats.queues:
        labels = (('queue', queue.name),)
        yield Measure('tasks_waiting', queue.length, kind, 'Tasks that wait to be run.', labels)
        yield Measure('tasks_oldest_seconds', queue.oldest or 0.0, kind, 'Age of the oldest task that waits.', labels)
    yield Measure('tasks_delayed', stats.delayed, kind, 'Tasks that wait for their time.')
    yield Measure('tasks_running', stats.running, kind, 'Tasks that are being run.')
    yield Measure('tasks_dead', stats.dead, kind, 'Tasks that failed for good and are kept.')
    yield Measure('tasks_workers', len(stats.workers), kind, 'Worker processes that are alive.')
