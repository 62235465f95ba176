"""What the tests have run: tasks that leave lines in a file, and tasks that behave badly."""

import asyncio
import ctypes
import os
import sys
import time

from colibris import taskqueue


def note(file, value):
    """Add a line to *file*."""
    with open(file, 'a') as stream:
        stream.write(f'{value}\n')
    return value


def note_slowly(file, value, seconds):
    """Add a line at the start and one at the end."""
    note(file, f'begin {value}')
    time.sleep(seconds)
    return note(file, f'end {value}')


def nothing():
    """Do nothing."""


def fail(file):
    """Raise."""
    note(file, 'failed')
    raise ValueError('it failed')


def leave():
    """Call sys.exit."""
    sys.exit(3)


def return_object():
    """Return what cannot travel."""
    return object()


@taskqueue.task(time_limit=0.5)
def hang(file):
    """Hang in C code, where no exception comes up."""
    note(file, 'hung')
    ctypes.PyDLL(None).usleep(60_000_000)  # 60 s, holding the interpreter's lock


@taskqueue.task(time_limit=0.5)
def hang_alone(file):
    """Hang in C code that lets other threads run."""
    note(file, 'hung')
    ctypes.CDLL(None).usleep(60_000_000)


@taskqueue.task(time_limit=0.5)
async def hang_loop(file):
    """Hang in C code, in the event loop."""
    note(file, 'hung')
    ctypes.CDLL(None).usleep(60_000_000)


def die(file):
    """End the process as a crash does."""
    note(file, 'died')
    os.kill(os.getpid(), 9)


async def note_in_loop(file, value):
    """Add a line, in the event loop."""
    await asyncio.sleep(0)
    return note(file, value)


if 'TASKFAULTS_SCHEDULE' in os.environ:

    @taskqueue.schedule('* * * * * *')
    def tick():
        """Note each second."""
        note(os.environ['TASKFAULTS_SCHEDULE'], taskqueue.current_task_id())
