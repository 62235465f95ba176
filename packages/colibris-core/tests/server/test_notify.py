"""The notifications of systemd, read as systemd reads them."""

import asyncio
import os
import signal
import socket
import time

import pytest

from colibris.server import notify


class Manager:
    """What stands in for systemd: the socket, and what came on it."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f'\0{address[1:]}' if address.startswith('@') else address)
        self.socket.settimeout(15)
        self.address = address

    def next(self):
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split('=', 1) for line in lines)

    async def until(self, name):
        while True:
            message = await asyncio.to_thread(self.next)
            if name in message:
                return message


@pytest.fixture(params=['file', 'abstract'])
def manager(request, tmp_path):
    manager = Manager(str(tmp_path / 'notify') if request.param == 'file' else f'@colibris-{os.getpid()}')
    yield manager
    manager.socket.close()


def test_messages_go_to_the_socket(manager, monkeypatch):
    monkeypatch.setenv('NOTIFY_SOCKET', manager.address)
    notify.ready('serving')
    assert manager.next() == {'READY': '1', 'STATUS': 'serving', 'MAINPID': str(os.getpid())}
    notify.reloading()
    message = manager.next()
    assert message['RELOADING'] == '1'
    assert abs(int(message['MONOTONIC_USEC']) / 1e6 - time.clock_gettime(time.CLOCK_MONOTONIC)) < 10
    notify.stopping()
    assert manager.next()['STOPPING'] == '1'


@pytest.mark.parametrize('address', ['', '/nowhere/at/all', 'vsock:1:2'])
def test_without_a_manager_nothing_happens(monkeypatch, address):
    monkeypatch.setenv('NOTIFY_SOCKET', address)
    notify.ready('serving')


async def test_the_watchdog_is_fed_twice_as_often_as_it_asks(manager, monkeypatch):
    monkeypatch.setenv('NOTIFY_SOCKET', manager.address)
    monkeypatch.setenv('WATCHDOG_USEC', '200000')
    monkeypatch.setenv('WATCHDOG_PID', str(os.getpid()))
    began = time.monotonic()
    async with notify.watched():
        for _ in range(4):
            assert await asyncio.to_thread(manager.next) == {'WATCHDOG': '1'}
    assert 0.28 <= time.monotonic() - began < 1


async def test_the_watchdog_of_another_process_is_not_fed(manager, monkeypatch):
    monkeypatch.setenv('NOTIFY_SOCKET', manager.address)
    monkeypatch.setenv('WATCHDOG_USEC', '20000')
    monkeypatch.setenv('WATCHDOG_PID', '1')
    async with notify.watched():
        await asyncio.sleep(0.1)
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.next()


@pytest.mark.parametrize('arguments', [(), ('--workers', '1')])
async def test_runserver_tells_when_it_serves_and_when_it_stops(shop, manager, arguments):
    shop.start(*arguments, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC='1000000')
    message = await manager.until('READY')
    assert message['MAINPID'] == str(shop.process.pid)
    assert f'http://127.0.0.1:{shop.port}' in message['STATUS']
    await manager.until('WATCHDOG')
    shop.process.send_signal(signal.SIGTERM)
    assert await manager.until('STOPPING')
    assert await shop.exit_code() == 0


async def test_a_reload_is_told_from_its_beginning_to_its_end(shop, manager):
    shop.start('--workers', '1', NOTIFY_SOCKET=manager.address)
    await manager.until('READY')
    shop.process.send_signal(signal.SIGHUP)
    assert 'MONOTONIC_USEC' in await manager.until('RELOADING')
    assert (await manager.until('READY'))['STATUS'] == 'serving, reloaded'
