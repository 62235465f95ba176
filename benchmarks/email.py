"""Many messages through ``email.send`` to an SMTP server in a process of its own."""

import sys

if not __package__:  # run as a file: its folder must not hide the standard library's `email`
    sys.path.pop(0)

import argparse
import asyncio
import resource
import subprocess
import time
from asyncio.events import Handle
from typing import Any

from colibris import email, subsystems
from colibris.conf import settings
from colibris.email.subsystem import subsystem

SERVER = """
import socket
import sys
from aiosmtpd.controller import Controller

class Handler:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        Handler.count += 1
        return '250 OK'

with socket.create_server(('127.0.0.1', 0)) as free:
    port = free.getsockname()[1]
controller = Controller(Handler(), hostname='127.0.0.1', port=port, data_size_limit=0)
controller.start()
print(port, flush=True)
sys.stdin.read()
print(Handler.count)
"""


class Holds:
    """Measures every step of the event loop by the time that its thread runs."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._run = Handle._run

    def __enter__(self) -> 'Holds':
        run = self._run

        def measured(handle: Handle) -> None:
            begun = time.thread_time()
            run(handle)
            self.longest = max(self.longest, time.thread_time() - begun)

        Handle._run = measured  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc_info: Any) -> None:
        Handle._run = self._run  # type: ignore[method-assign]


def message(number: int, size: int) -> email.EmailMessage:
    made = email.EmailMessage(
        f'Message {number}',
        'A line of text.\n' * 20,
        html='<p>A line of text.</p>\n' * 20,
        to=[f'u{number}@example.com'],
    )
    if size:
        made.attach('file.bin', bytes(size))
    return made


async def send(port: int, number: int, size: int) -> None:
    setting = {'backend': 'smtp', 'host': '127.0.0.1', 'port': port, 'default_from': 'benchmark@example.com'}
    with settings.override(EMAIL={**setting, 'shutdown_timeout': 3600}):
        async with subsystems.running():
            memory, most, begun = _memory(), 0, time.perf_counter()
            with Holds() as holds:
                for count in range(number):
                    email.send(message(count, size))
                    most = max(most, subsystem.mailer.queued_bytes)
                    while size and subsystem.mailer.queued_bytes + 2 * size > 64 * 1024 * 1024:
                        await asyncio.sleep(0.01)
                    if count % 10 == 9:
                        await asyncio.sleep(0)
                while len(subsystem.mailer):
                    await asyncio.sleep(0.05)
            took = time.perf_counter() - begun
    print(f'{number} messages in {took:.1f} s: {number / took:.0f} a second')
    print(
        f'the queue held at most {most / 1024**2:.1f} MiB; memory grew by {(_memory() - memory) / 1024:.1f} MiB at most'
    )
    print(f'the event loop was held for at most {holds.longest * 1000:.1f} ms')


def _memory() -> float:
    """Return the most memory that the process ever had, in KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--messages', type=int, default=10_000)
    parser.add_argument('--attachment', type=int, default=0, metavar='BYTES', help='attach so much to each')
    arguments = parser.parse_args()
    command = [sys.executable, '-P', '-c', SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        asyncio.run(send(int(server.stdout.readline()), arguments.messages, arguments.attachment))
        server.stdin.close()
        print(f'{server.stdout.read().strip()} messages arrived')


if __name__ == '__main__':
    main()
