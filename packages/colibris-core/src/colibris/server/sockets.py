"""The sockets on which a server listens."""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

#: Connections that wait in the kernel until they are accepted; the kernel has a limit of its own (net.core.somaxconn).
BACKLOG = 1024

# A classic BPF program: drop a segment whose SYN flag is set, pass all others. Byte 13 of a TCP header holds the flags.
_DROP_SYN = (
    struct.pack('HBBI', 0x30, 0, 0, 13),  # A = header[13]
    struct.pack('HBBI', 0x45, 0, 1, 0x02),  # if A & SYN: the next one, else the one after it
    struct.pack('HBBI', 0x06, 0, 0, 0),  # drop
    struct.pack('HBBI', 0x06, 0, 0, 0xFFFFFFFF),  # pass
)
_SO_ATTACH_FILTER = 26


class BindError(OSError):
    """Raised when an address cannot be listened on; the message says which, why, and what to do."""


def bind(listen: str | Sequence[str], port: int) -> list[socket.socket]:
    """Bind a socket to each address of each host in *listen*. They do not listen yet.

    An empty host stands for all interfaces. With *port* 0 the system chooses one, the same for all of them.
    Raises BindError.
    """
    hosts = [listen] if isinstance(listen, str) else list(listen)
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(hosts, port):
            if port == 0 and sockets:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            sockets.append(_bound(family, address))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _addresses(hosts: Iterable[str], port: int) -> Iterator[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    seen = set()
    for host in hosts:
        name = host.strip('[]')
        try:
            found = socket.getaddrinfo(name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (socket.gaierror, UnicodeError) as exc:
            raise BindError(
                f'cannot listen on {host!r}: it is no address or host name of this machine ({exc})'
            ) from exc
        for family, _, _, _, address in found:
            if (family, address) not in seen:
                seen.add((family, address))
                yield family, address


def _bound(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == 'posix':
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        with explained(address[0], address[1]):
            sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def explained(host: str, port: int) -> Iterator[None]:
    """Turn an error of binding or listening into one that says what to do."""
    try:
        yield
    except OSError as exc:
        where = f'port {port} of {host}'
        if exc.errno == errno.EADDRINUSE:
            message = f'{where} is in use by another process: end that one, or choose another port (--port or PORT)'
        elif exc.errno == errno.EACCES:
            message = f'{where} may not be used by this user: choose a port above 1023 (--port or PORT)'
        elif exc.errno == errno.EADDRNOTAVAIL:
            message = f'this machine has no address {host}: choose another one (--listen or LISTEN)'
        else:
            message = f'cannot listen on {where}: {exc.strerror or exc}'
        raise BindError(message) from exc


def listen(sock: socket.socket) -> None:
    """Begin to take connections on a bound socket; raises BindError, as another process may have been faster."""
    host, port, *_ = sock.getsockname()
    with explained(host, port):
        sock.listen(BACKLOG)


def listening_urls(sockets: Iterable[socket.socket]) -> list[str]:
    """Return the addresses at which a browser on this machine finds what the *sockets* serve."""
    urls = []
    for sock in sockets:
        host, port, *_ = sock.getsockname()
        name = 'localhost' if host in ('0.0.0.0', '::') else f'[{host}]' if ':' in host else host
        urls.append(f'http://{name}:{port}')
    return list(dict.fromkeys(urls))


def refuse_newcomers(sockets: Iterable[socket.socket]) -> None:
    """Have the kernel ignore new connections while those that are queued can still be accepted.

    Closing a socket resets the connections in its queue, on which a request may have been sent already. Their clients
    try again within a second, and find the socket closed or the next server. Only Linux can do it; elsewhere a
    connection made in the instant of closing is reset.
    """
    if sys.platform != 'linux':
        return
    import ctypes

    program = ctypes.create_string_buffer(b''.join(_DROP_SYN))
    option = struct.pack('HL', len(_DROP_SYN), ctypes.addressof(program))
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)


async def accept_queued(sock: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
    """Accept all connections that wait in the queue of *sock*."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, _ = sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        await loop.connect_accepted_socket(protocol, connection)
