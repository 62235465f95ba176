"""The machine: its two cores, who else uses them, and what it is."""

from __future__ import annotations

import fcntl
import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

#: The core that the server under test has for itself, and the one of the load generator and the database.
SERVER_CORE, LOAD_CORE = 0, 1

_IDLE = 0.04
_LOOK = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds that were used: of the two cores, and of the load generator and other children that have ended."""

    at: float
    server_core: float
    load_core: float
    children: float

    @classmethod
    def now(cls) -> Usage:
        cores = psutil.cpu_times(percpu=True)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(
            time.perf_counter(), _busy(cores[SERVER_CORE]), _busy(cores[LOAD_CORE]), spent.ru_utime + spent.ru_stime
        )

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(
            self.at - earlier.at,
            self.server_core - earlier.server_core,
            self.load_core - earlier.load_core,
            self.children - earlier.children,
        )


def _busy(times: object) -> float:
    return sum(getattr(times, name, 0.0) for name in ('user', 'system', 'nice', 'irq', 'softirq', 'steal'))


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that the process *pid* and those below it have used."""
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(OSError):  # it has ended
                tasks = Path(f'/proc/{one.pid}/task').glob('*/schedstat')
                total += sum(int(task.read_text().split()[0]) for task in tasks)
    return total / 1e9


def memory(pid: int) -> float:
    """Return the megabytes of memory that the process *pid* and those below it have for themselves (PSS)."""
    process = psutil.Process(pid)
    return sum(one.memory_full_info().pss for one in (process, *process.children(recursive=True))) / 2**20


def wait_until_quiet(limit: float) -> None:
    """Wait, at most *limit* seconds, for a moment in which nobody else uses the two cores."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < limit:
        before = Usage.now()
        time.sleep(_LOOK)
        used = Usage.now() - before
        if max(used.server_core, used.load_core) < _IDLE * used.at:
            return


@contextmanager
def lock(file: Path | None) -> Iterator[None]:
    """Hold the lock of *file*, for machines on which several people measure."""
    if file is None:
        yield
        return
    with file.open('a') as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def describe() -> dict[str, str | int]:
    """Say what this machine is."""
    model = next(
        (
            line.partition(':')[2].strip()
            for line in Path('/proc/cpuinfo').read_text().splitlines()
            if line.startswith('model name')
        ),
        platform.processor(),
    )
    gigabytes = round(psutil.virtual_memory().total / 2**30)
    version = '.'.join(platform.release().split('.')[:2])
    system = f'{platform.system()} {version} on {platform.machine()}'
    return {'processor': model, 'cores': os.cpu_count() or 0, 'memory_gb': gigabytes, 'system': system}
