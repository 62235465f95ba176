"""When a process is old or big enough to be replaced."""

import asyncio
import os
import sys
from pathlib import Path

from colibris.server.children import Terms

#: A younger process is not replaced for its memory: its successor would be as big, in seconds.
GROWN_UP = 5.0


async def reason_to_replace(pid: int, *, age: float, jitter: float, terms: Terms) -> str | None:
    """Return why the process *pid* is to be replaced, or None.

    *jitter*, a number a little below 1, makes it sooner than the *terms* say, so that not all go at once.
    """
    if terms.max_age is not None and age >= terms.max_age * jitter:
        return f'it is {age:.0f} seconds old (WORKER_MAX_AGE is {terms.max_age:g})'
    if terms.max_memory is not None and age >= GROWN_UP:
        memory = await resident_memory(pid)
        if memory is not None and memory >= terms.max_memory * jitter:
            return f'it takes {memory} bytes of memory (WORKER_MAX_MEMORY is {terms.max_memory})'
    return None


async def resident_memory(pid: int) -> int | None:
    """Return the resident memory of the process *pid*, in bytes; None if it has ended."""
    if sys.platform == 'linux':
        return _told_by_linux(pid)
    command = ('ps', '-o', 'rss=', '-p', str(pid))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return int(output) * 1024 if output.strip().isdigit() else None


def _told_by_linux(pid: int) -> int | None:
    try:
        pages = Path(f'/proc/{pid}/statm').read_text().split()[1]  # the kernel makes it; no disk is asked
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf('SC_PAGE_SIZE')
