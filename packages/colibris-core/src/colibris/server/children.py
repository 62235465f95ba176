"""Child processes of a server: started with this process's own command line, they inherit its sockets."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from colibris.server.serving import Shutdown

#: The environment variable by which a child learns what it inherits.
VARIABLE = 'COLIBRIS_SERVER'

_READY = b'R'


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a child process has from its parent: bound sockets, a line to the parent, and how to shut down."""

    sockets: list[socket.socket]
    line: socket.socket
    shutdown: Shutdown

    @classmethod
    def take(cls) -> Self | None:
        """Return what this process inherits; None in a process that nobody supervises."""
        text = os.environ.pop(VARIABLE, None)
        if text is None:
            return None
        given = json.loads(text)
        sockets = [socket.socket(fileno=number) for number in given['sockets']]
        for sock in sockets:
            sock.setblocking(False)
        return cls(sockets, socket.socket(fileno=given['line']), Shutdown(**given['shutdown']))

    def tell_ready(self) -> None:
        """Tell the parent that this process accepts connections."""
        with contextlib.suppress(OSError):
            self.line.send(_READY)


def own_command() -> list[str]:
    """Return the command line of this process, to run it again."""
    return [sys.executable, *sys.orig_argv[1:]]


def program_command(arguments: Sequence[str]) -> list[str]:
    """Return the command line that runs the program of this process with other *arguments*."""
    return [*own_command()[: len(sys.orig_argv) - len(sys.argv[1:])], *arguments]


class Child:
    """One running child process."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket | None = None) -> None:
        self._process = process
        self._line = line
        #: Whether it has come up; known once `ready` or `wait` has returned.
        self.came_up = line is None

    @classmethod
    async def serving(cls, sockets: Sequence[socket.socket], shutdown: Shutdown) -> Self:
        """Start this program once more, to serve on *sockets*."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        numbers = [sock.fileno() for sock in sockets]
        given = {'sockets': numbers, 'line': theirs.fileno(), 'shutdown': asdict(shutdown)}
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *own_command(),
                env={**os.environ, VARIABLE: json.dumps(given)},
                pass_fds=[*numbers, theirs.fileno()],
            )
        return cls(process, ours)

    @classmethod
    async def running(cls, arguments: Sequence[str]) -> Self:
        """Start this program with other *arguments*, a companion of the server."""
        return cls(await asyncio.create_subprocess_exec(*program_command(arguments)))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> bool:
        """Wait until it serves; False if it ends before. A companion counts as ready at once."""
        if self._line is not None and not self.came_up:
            with contextlib.suppress(ConnectionError):
                self.came_up = await asyncio.get_running_loop().sock_recv(self._line, 1) == _READY
        return self.came_up

    async def wait(self) -> int:
        """Wait until it ends; return its exit code, negative for a signal."""
        code = await self._process.wait()
        if self._line is not None:
            with contextlib.suppress(OSError):
                self.came_up = self.came_up or self._line.recv(1) == _READY
            self._line.close()
        return code

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def stop(self, limit: float) -> int:
        """End it: gracefully, or by force after *limit* seconds. Return its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), limit)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.wait()
