"""Child processes of a server: started with this process's own command line, they inherit its sockets.

Parent and child talk over a socket, the *line*. The parent sends orders, one byte each. The child sends a line of JSON
when it is loaded, and one when it serves. The end of either is the end of the line.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from colibris.server import notify
from colibris.server.serving import GRACEFUL, Shutdown

#: The environment variable by which a child learns what it inherits.
VARIABLE = 'COLIBRIS_SERVER'

#: What a parent orders: to serve (a spare process waits for it), to be unready, to stop.
SERVE, DRAIN, STOP = b'G', b'U', b'S'


@dataclass(frozen=True, slots=True)
class Terms:
    """What a child's settings say about its life: how it ends, and at which age and memory it is replaced."""

    shutdown: Shutdown = GRACEFUL
    #: Seconds.
    max_age: float | None = None
    #: Bytes.
    max_memory: int | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Return the terms that `asdict` made *told* of."""
        return cls(**{**told, 'shutdown': Shutdown(**told['shutdown'])})


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What a child process has from its parent: bound sockets, a line to the parent, and how it is to begin and end."""

    sockets: list[socket.socket]
    line: socket.socket
    #: None where the child's settings say it.
    shutdown: Shutdown | None
    #: Whether it waits, loaded, until it is told to serve.
    spare: bool

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
        line = socket.socket(fileno=given['line'])
        shutdown = Shutdown(**given['shutdown']) if given['shutdown'] is not None else None
        return cls(sockets, line, shutdown, given['spare'])

    def obey(self, orders: Mapping[bytes, Callable[[], None]], *, orphaned: Callable[[], None]) -> None:
        """Call what belongs to each order that the parent sends from now on; *orphaned* when the parent has ended."""
        loop = asyncio.get_running_loop()
        self.line.setblocking(False)

        def read() -> None:
            try:
                received = self.line.recv(100)
            except BlockingIOError:
                return
            except ConnectionError:
                received = b''
            if not received:
                loop.remove_reader(self.line)
                orphaned()
            for number in received:
                orders[bytes([number])]()

        loop.add_reader(self.line, read)

    def tell_loaded(self) -> None:
        """Tell the parent that this process could serve at once."""
        self._tell({'state': 'loaded'})

    def tell_ready(self, terms: Terms | None = None) -> None:
        """Tell the parent that this process is at work, and what its settings say about its life."""
        told = terms or Terms(self.shutdown or GRACEFUL)
        self._tell({'state': 'ready', 'terms': asdict(told)})

    def _tell(self, message: Mapping[str, object]) -> None:
        with contextlib.suppress(OSError):
            self.line.send(f'{json.dumps(message)}\n'.encode())


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
        self._loaded = asyncio.Event()
        self._up = asyncio.Event()
        #: Whether it is loaded, so that it serves at once when it is told to.
        self.loaded = False
        #: Whether it has come up; known once `ready` or `wait` has returned.
        self.came_up = line is None
        #: What it says about its life, once it has come up.
        self.terms = Terms()
        self._listening = asyncio.create_task(self._listen())
        self._ended = asyncio.create_task(self._end())

    @classmethod
    async def serving(cls, sockets: Sequence[socket.socket], shutdown: Shutdown | None, *, spare: bool = False) -> Self:
        """Start this program once more, to serve on *sockets*: at once, or as a *spare* when it is told to.

        Without *shutdown* its own settings say how it ends.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        numbers = [sock.fileno() for sock in sockets]
        given = {
            'sockets': numbers,
            'line': theirs.fileno(),
            'shutdown': asdict(shutdown) if shutdown is not None else None,
            'spare': spare,
        }
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *own_command(),
                env={**_environment(), VARIABLE: json.dumps(given)},
                pass_fds=[*numbers, theirs.fileno()],
            )
        return cls(process, ours)

    @classmethod
    async def running(cls, arguments: Sequence[str]) -> Self:
        """Start this program with other *arguments*, a companion of the server."""
        return cls(await asyncio.create_subprocess_exec(*program_command(arguments), env=_environment()))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def ready(self) -> bool:
        """Wait until it serves; False if it ends before. A companion counts as ready at once."""
        await self._up.wait()
        return self.came_up

    async def is_loaded(self) -> bool:
        """Wait until a spare process is loaded; False if it ends before."""
        await self._loaded.wait()
        return self.loaded

    async def _listen(self) -> None:
        """Note what the child tells, until nothing more can come."""
        heard = b''
        while self._line is not None:
            try:
                received = await asyncio.get_running_loop().sock_recv(self._line, 1000)
            except ConnectionError:
                break
            if not received:
                break
            *messages, heard = (heard + received).split(b'\n')
            for message in messages:
                self._note(json.loads(message))
        self._loaded.set()
        self._up.set()

    def _note(self, message: Mapping[str, Any]) -> None:
        self.loaded = True
        self._loaded.set()
        if message['state'] == 'ready':
            self.terms = Terms.of(message['terms'])
            self.came_up = True
            self._up.set()

    async def _end(self) -> int:
        code = await self._process.wait()
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)  # processes of its own may hold the other end
            await self._listening
            self._line.close()
        return code

    async def wait(self) -> int:
        """Wait until it ends; return its exit code, negative for a signal."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def order(self, order: bytes) -> None:
        """Send it an order, if there is a line to it."""
        if self._line is not None:
            with contextlib.suppress(OSError):
                self._line.send(order)

    def leave(self) -> None:
        """Have it end gracefully."""
        self.order(STOP)
        if self._line is None or not self.came_up:
            self.signal(signal.SIGTERM)

    async def stop(self, limit: float) -> int:
        """End it: gracefully, or by force after *limit* seconds. Return its exit code."""
        self.leave()
        try:
            return await asyncio.wait_for(self.wait(), limit)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return await self.wait()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != notify.VARIABLE}
