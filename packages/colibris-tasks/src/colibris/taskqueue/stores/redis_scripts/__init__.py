"""What is done on a Redis server in one step each: Lua scripts, which run whole or not at all.

Below the prefix, the only key that they are given, lie:

``t:ID``       a task, a hash: ``m`` its message, ``s`` its status, ``q`` its queue, ``a`` and ``f`` when it was added
               and finished, ``o`` its outcome, ``u`` its unique key, ``c`` the channels that are to hear how it ends,
               ``w`` the worker that runs it, ``l`` how often a worker died of it
``q:QUEUE``    ids that wait, a list
``z:QUEUE``    ids that wait in a broker apart from Redis, by the time they were added
``h:W:QUEUE``  ids that the worker W has taken, a list
``d``          ids that wait for their time, by that time
``x``          ids of dead letters, by the time they failed
``r``          ids that run
``u:KEY``      the id of the unfinished task that holds a unique key
``w``          workers, by their last sign of life
``i``          what the workers say of themselves, JSON
``g``          workers that have gone, by when: one that was ending, or seemed dead, may have taken something since
``n``          the latest time that was seen: where it lies ahead, the server's clock was set back
``c:CHANNEL``  a channel: an id of 32 characters, followed by the outcome unless that is long

Times are in milliseconds, by the server's clock.
"""

from __future__ import annotations

from colibris.taskqueue.stores.redis_scripts.services import (
    ADD,
    CANCEL,
    CONFIRM,
    FORGET,
    OUTCOMES,
    PURGE,
    REVIVE,
    STATS,
)
from colibris.taskqueue.stores.redis_scripts.workers import BEAT, BEGIN, HELD, LEAVE, LEAVE_APART, RETURN, SETTLE, TAKE

__all__ = [
    'ADD',
    'BEAT',
    'BEGIN',
    'CANCEL',
    'CONFIRM',
    'FORGET',
    'HELD',
    'LEAVE',
    'LEAVE_APART',
    'OUTCOMES',
    'PURGE',
    'RETURN',
    'REVIVE',
    'SETTLE',
    'STATS',
    'TAKE',
]
