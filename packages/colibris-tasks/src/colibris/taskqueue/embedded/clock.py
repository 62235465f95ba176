"""The clock of a queue's file: one that all processes of the machine share and that nobody can set.

It runs like the machine's monotonic clock, whatever happens to the wall clock, and goes on after a reboot: the file
keeps what it showed last, and the time that the machine was down is taken from the wall clock, which can make it stand
but never go back. It starts at the wall clock's time, so that its values read like timestamps.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

TABLE = """
CREATE TABLE clock (
    boot TEXT NOT NULL,    -- which run of the machine `steady` belongs to
    steady REAL NOT NULL,  -- what the machine's monotonic clock showed when this was written
    wall REAL NOT NULL,    -- what its wall clock showed then
    shown REAL NOT NULL    -- what this clock showed then
)
"""

_BOOT_ID = Path('/proc/sys/kernel/random/boot_id')


def boot_id() -> str:
    """Return what tells this run of the machine from others; '' where the system does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ''


def steady() -> float:
    """Return the time of a clock that processes share and nobody sets; it runs on while the machine sleeps."""
    return time.clock_gettime(getattr(time, 'CLOCK_BOOTTIME', time.CLOCK_MONOTONIC))


class Clock:
    """The file's clock in this process; *went_on* tells whether the machine has run on since the file's was kept."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._boot = boot_id()
        kept = connection.execute('SELECT boot, steady, wall, shown FROM clock').fetchone()
        self._offset, self.went_on = self._continue(kept)

    def _continue(self, kept: tuple[str, float, float, float] | None) -> tuple[float, bool]:
        """Return the distance from the machine's monotonic clock, and whether that is the one of *kept*."""
        if kept is None:
            return time.time() - steady(), False
        boot, then, wall, shown = kept
        if boot == self._boot and steady() >= then:
            return shown - then, True
        return shown + max(0.0, time.time() - wall) - steady(), False

    def now(self) -> float:
        """Return the time, in seconds."""
        return steady() + self._offset

    def keep(self, connection: sqlite3.Connection) -> None:
        """Write what the clock shows, from which it goes on after a reboot."""
        here = steady()
        connection.execute('DELETE FROM clock')
        connection.execute(
            'INSERT INTO clock (boot, steady, wall, shown) VALUES (?, ?, ?, ?)',
            (self._boot, here, time.time(), here + self._offset),
        )
