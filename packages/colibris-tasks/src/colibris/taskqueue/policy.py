"""How tasks are treated unless they say otherwise: the options of TASK_QUEUE that all engines share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Defaults and limits; times in seconds, sizes in bytes."""

    #: Modules beside the project's package that may hold tasks, with what lies below them.
    modules: Sequence[str] = ()
    #: The queues there are; the first is that of tasks that name none. Workers serve all of them unless they are told.
    queues: Sequence[str] = ('default',)
    #: How long `execute` and `Handle.result` wait unless they are told.
    result_timeout: float = 60.0
    #: How often a task that failed is tried again after `enqueue`; `execute` does not try again by itself.
    retries: int = 3
    #: The pause before the first further try; it doubles with each, up to *longest_retry_pause*, and is jittered.
    retry_pause: float = 5.0
    longest_retry_pause: float = 3600.0
    #: How long a task may run; None for as long as it takes.
    time_limit: float | None = 600.0
    #: How much longer a task may take to react to the end of its time; its process is ended after that.
    grace: float = 5.0
    #: The largest message, and the largest result.
    max_message_size: int = 1024 * 1024
    #: How long the outcome of a task can be asked for.
    result_lifetime: float = 3600.0
    #: How long what failed for good stays in the list of dead letters.
    dead_lifetime: float = 30 * 86400.0
    #: After how long without a sign of life a worker counts as dead, and what it had taken is given to others.
    worker_timeout: float = 15.0
    #: How often a task may take its worker down with it before it is a dead letter.
    max_losses: int = 3
    #: How long a worker that is told to stop waits for what it runs.
    shutdown_timeout: float = 25.0
    #: Write what is enqueued to the database, in the transaction that is open, and deliver it from there.
    outbox: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.modules, str) or not all(isinstance(name, str) and name for name in self.modules):
            raise ValueError(f"modules must be a list of module names, such as ['tasks'], not {self.modules!r}")
        if isinstance(self.queues, str) or not self.queues or not all(map(_is_queue, self.queues)):
            raise ValueError(
                "queues must be a list of names of letters, digits, '_' and '-', such as ['default', 'mail'], not "
                f'{self.queues!r}'
            )
        for name in ('retries', 'max_losses', 'max_message_size'):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f'{name} must be an integer from 0 on, not {value!r}')
        for name in _SECONDS:
            value = getattr(self, name)
            if name == 'time_limit' and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float('inf'):
                raise ValueError(f'{name} must be a positive number of seconds, not {value!r}')
        if not isinstance(self.outbox, bool):
            raise ValueError(f'outbox must be True or False, not {self.outbox!r}')


def _is_queue(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r'[A-Za-z0-9_-]{1,64}', name) is not None


_SECONDS = (
    *(
        'result_timeout',
        'retry_pause',
        'longest_retry_pause',
        'time_limit',
        'grace',
        'result_lifetime',
        'dead_lifetime',
    ),
    *('worker_timeout', 'shutdown_timeout'),
)

#: The keys of TASK_QUEUE that are not the engine's own.
OPTIONS = frozenset(field.name for field in fields(Policy))
