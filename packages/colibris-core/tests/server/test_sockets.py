import asyncio
import contextlib
import socket
import sys

import pytest

from colibris.server.sockets import BindError, accept_queued, bind, listen, listening_urls, refuse_newcomers


def close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_several_addresses_share_a_port_the_system_chose():
    sockets = bind(['127.0.0.1', '127.0.0.2'], 0)
    try:
        names = [sock.getsockname() for sock in sockets]
        assert [host for host, _ in names] == ['127.0.0.1', '127.0.0.2']
        assert names[0][1] == names[1][1] != 0
    finally:
        close(sockets)


@pytest.mark.parametrize('listen_on', ['::1', '[::1]'])
def test_an_ipv6_address_is_shown_in_brackets(listen_on):
    sockets = bind(listen_on, 0)
    try:
        port = sockets[0].getsockname()[1]
        assert listening_urls(sockets) == [f'http://[::1]:{port}']
    finally:
        close(sockets)


def test_all_interfaces_of_both_families_can_be_listened_on_together():
    sockets = bind(['0.0.0.0', '::'], 0)
    try:
        assert {sock.family for sock in sockets} == {socket.AF_INET, socket.AF_INET6}
        port = sockets[0].getsockname()[1]
        assert listening_urls(sockets) == [f'http://localhost:{port}']
        for sock in sockets:
            listen(sock)
    finally:
        close(sockets)


def test_an_address_named_twice_is_bound_once():
    sockets = bind(['127.0.0.1', '127.0.0.1'], 0)
    close(sockets)
    assert len(sockets) == 1


def test_a_port_in_use_is_named():
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BindError, match=f'port {port} of 127.0.0.1 is in use by another process.*--port'):
            bind('127.0.0.1', port)


def test_a_port_that_another_process_took_since_it_was_bound_is_named():
    (first,), port = bind('127.0.0.1', 0), None
    port = first.getsockname()[1]
    (second,) = bind('127.0.0.1', port)
    try:
        listen(first)
        with pytest.raises(BindError, match='in use'):
            listen(second)
    finally:
        close([first, second])


@pytest.mark.parametrize('host', ['no-such-host.invalid', '300.1.1.1'])
def test_a_host_that_does_not_exist_is_named(host):
    with pytest.raises(BindError, match=f"cannot listen on '{host}'"):
        bind(host, 0)


def test_an_address_of_another_machine_is_named():
    with pytest.raises(BindError, match=r'no address 192\.0\.2\.1'):
        bind('192.0.2.1', 0)


def test_nothing_stays_bound_if_one_address_fails():
    (probe,) = bind('127.0.0.1', 0)
    port = probe.getsockname()[1]
    probe.close()
    with pytest.raises(BindError):
        bind(['127.0.0.1', '192.0.2.1'], port)
    close(bind('127.0.0.1', port))


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel of Linux does it')
@pytest.mark.parametrize('host', ['127.0.0.1', '::1'])
def test_newcomers_are_ignored_while_queued_connections_can_be_accepted(host):
    (sock,) = bind(host, 0)
    listen(sock)
    with socket.create_connection(sock.getsockname()[:2], timeout=5) as queued:
        refuse_newcomers([sock])
        with pytest.raises(TimeoutError):
            socket.create_connection(sock.getsockname()[:2], timeout=0.3)
        sock.setblocking(True)
        sock.settimeout(5)
        accepted, _ = sock.accept()
        queued.sendall(b'still here')
        assert accepted.recv(100) == b'still here'
        accepted.close()
    sock.close()


async def test_all_queued_connections_are_accepted():
    made = []

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport):
            made.append(transport)

    (sock,) = bind('127.0.0.1', 0)
    listen(sock)
    with contextlib.ExitStack() as stack:
        stack.callback(sock.close)
        for _ in range(20):
            stack.enter_context(socket.create_connection(sock.getsockname()))
        await accept_queued(sock, Protocol)
        assert len(made) == 20
        for transport in made:
            transport.close()
