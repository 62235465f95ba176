"""Bells: Unix datagram sockets beside the queue's file, by which processes wake one another at once.

Whoever waits hangs up a bell of a kind; whoever changes the file rings all bells of that kind after the commit. A ring
says nothing but "look". Bells that cannot be had, on file systems without sockets for instance, or rings that get lost,
cost time alone: those who wait also look at the file now and then.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import select
import socket
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

#: The longest address of a socket, in bytes, on all systems that have them.
_LONGEST_ADDRESS = 100
_RING = b'\x07'


class Bell:
    """A bell that this process waits at; `name` tells others which it is."""

    def __init__(self, name: str, path: Path, listener: socket.socket) -> None:
        self.name = name
        self._path = path
        self._listener = listener
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)

    def fileno(self) -> int:
        return self._listener.fileno()

    def wait(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds for a ring; tell whether there was one. All rings until now count as one."""
        if not self._poll.poll(timeout * 1000):
            return False
        with suppress(BlockingIOError):
            while True:
                self._listener.recv(1)
        return True

    def close(self) -> None:
        with suppress(OSError):
            self._path.unlink()
        self._listener.close()


class Bells:
    """The bells in *directory*, which is made for the owner of this process alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._link: int | None = None
        self._sender: socket.socket | None = None

    def hang(self, kind: str) -> Bell | None:
        """Return a new bell of *kind*; None where there can be none."""
        name = f'{kind}-{secrets.token_hex(8)}'
        listener: socket.socket | None = None
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            listener.setblocking(False)
            listener.bind(self._address(name))
        except (OSError, AttributeError) as exc:
            if listener is not None:
                listener.close()
            logger.info(
                'no socket can be made in %s (%s); the queue is looked at regularly instead', self.directory, exc
            )
            return None
        return Bell(name, self.directory / name, listener)

    def ring(self, kind: str) -> None:
        """Wake whoever waits at a bell of *kind*."""
        try:
            names = os.listdir(self.directory)  # faster than Path.iterdir, and done for each commit
        except OSError:
            return
        for name in names:
            if name.startswith(kind):
                self._ring(name)

    def ring_one(self, name: str) -> None:
        """Wake whoever waits at the bell *name*."""
        self._ring(name)

    def is_dead(self, name: str) -> bool:
        """Tell whether the process that hung up the bell *name* has certainly ended."""
        return self._ring(name) == errno.ECONNREFUSED

    def take_down(self, name: str) -> None:
        """Remove the bell *name* of a process that has ended."""
        with suppress(OSError):
            (self.directory / name).unlink()

    def sweep(self, kind: str) -> None:
        """Take down the bells of *kind* whose processes have ended without doing so."""
        with suppress(OSError):
            for name in os.listdir(self.directory):
                if name.startswith(kind) and self.is_dead(name):
                    self.take_down(name)

    def _ring(self, name: str) -> int:
        """Ring one bell; return the error's number, 0 if it could be rung."""
        try:
            if self._sender is None:
                self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._sender.setblocking(False)
            self._sender.sendto(_RING, self._address(name))
        except BlockingIOError:
            return 0  # it has more rings than it can take: it will look
        except (OSError, AttributeError) as exc:
            return getattr(exc, 'errno', None) or errno.ENOENT
        return 0

    def _address(self, name: str) -> str:
        """Return a path for the socket *name* that is short enough for an address."""
        path = str(self.directory / name)
        if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
            return path
        if self._link is None:
            self._link = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f'/proc/self/fd/{self._link}/{name}'

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        if self._link is not None:
            os.close(self._link)
            self._link = None
