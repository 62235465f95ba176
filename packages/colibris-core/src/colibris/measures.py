"""What a subsystem can tell of itself in numbers, for whoever watches the service."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A counter only grows, as long as the process lives; a gauge goes up and down. Those of several processes add up.

    A shared gauge is of something that all processes see, such as a queue on a server: the largest is told.
    """

    COUNTER = 'counter'
    GAUGE = 'gauge'
    SHARED_GAUGE = 'shared gauge'


@dataclass(frozen=True, slots=True)
class Measure:
    """One number: *name* in snake case, with its unit (``cache_hits``, ``queue_age_seconds``), and what it is about.

    *labels* are pairs of a name and a value; there must be few different values.
    """

    name: str
    value: float
    kind: Kind
    help: str
    labels: tuple[tuple[str, str], ...] = ()
