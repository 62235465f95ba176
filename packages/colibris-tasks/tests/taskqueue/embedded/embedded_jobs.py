"""Functions that the tests of the embedded engine run."""

import asyncio
import threading
import time

ran = []
gate = threading.Event()


def work(value=None):
    ran.append(value)
    return value


def wait_at_gate(value=None):
    ran.append(value)
    gate.wait(20)
    return value


def fail():
    raise ValueError('no')


def sleep(seconds):
    time.sleep(seconds)


async def work_async(value):
    await asyncio.sleep(0)
    return value
