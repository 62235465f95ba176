"""Tell systemd, if it started this process, what the service does: the protocol of sd_notify(3)."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

#: The variable that names the socket of the service manager; no other process of the service is to use it.
VARIABLE = 'NOTIFY_SOCKET'


def _send(*lines: str) -> None:
    address = os.environ.get(VARIABLE, '')
    if not address.startswith(('/', '@')):
        return
    if address.startswith('@'):  # not a file: a name in the kernel's own space
        address = f'\0{address[1:]}'
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        sock.send('\n'.join(lines).encode())


def ready(status: str) -> None:
    """Tell that the service serves; *status* is what ``systemctl status`` shows."""
    _send('READY=1', f'STATUS={status}', f'MAINPID={os.getpid()}')


def reloading() -> None:
    """Tell that the service loads its code and settings anew; `ready` ends it."""
    _send('RELOADING=1', f'MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}')


def stopping() -> None:
    """Tell that the service ends."""
    _send('STOPPING=1', 'STATUS=finishing requests')


@asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """Tell within the block, as often as systemd asks for it (``WatchdogSec=``), that the event loop turns."""
    interval = _watchdog_interval()
    if interval is None:
        yield
        return
    feeding = asyncio.create_task(_feed(interval))
    try:
        yield
    finally:
        feeding.cancel()


def _watchdog_interval() -> float | None:
    """Return the seconds between two signs of life, half of what is allowed; None if nobody asks for them."""
    mine = os.environ.get('WATCHDOG_PID', str(os.getpid())) == str(os.getpid())
    allowed = os.environ.get('WATCHDOG_USEC', '')
    return int(allowed) / 2_000_000 if mine and allowed.isdigit() and int(allowed) else None


async def _feed(interval: float) -> None:
    while True:
        _send('WATCHDOG=1')
        await asyncio.sleep(interval)
