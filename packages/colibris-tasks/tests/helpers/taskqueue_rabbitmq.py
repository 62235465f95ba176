"""A RabbitMQ server of the tests' own, which they may restart and kill; one a process, as it takes seconds to start."""

import atexit
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest

#: Debian's program in the path changes to another user; this one does not.
_PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server'
#: Each test has a virtual host of its own; they are made with the server, as making one takes seconds, too.
_HOSTS = 60


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


class RabbitmqNode:
    """One server with its own data, on ports of its own."""

    _shared = None

    @classmethod
    def shared(cls):
        """Return the server of this process, running; skip where RabbitMQ is not installed, but never in CI."""
        program = _PROGRAM if Path(_PROGRAM).exists() else shutil.which('rabbitmq-server')
        if program is None:
            if os.environ.get('CI'):
                pytest.fail('rabbitmq-server is not installed, which is required where CI is set')
            pytest.skip('rabbitmq-server is not installed')
        if cls._shared is None:
            cls._shared = cls(program)
            atexit.register(cls._shared.remove)
        cls._shared.start()
        return cls._shared

    def __init__(self, program):
        self._program = program
        self.folder = Path(tempfile.mkdtemp(prefix='colibris-rabbitmq-'))
        self.port = free_port()
        self._distribution_port = free_port()
        self._process = None
        self._hosts = itertools.count()
        self._write_files()

    def _write_files(self):
        names = [f'v{number}' for number in range(_HOSTS)]
        everything = {'configure': '.*', 'write': '.*', 'read': '.*'}
        definitions = {
            'users': [{'name': 'guest', 'password': 'guest', 'tags': 'administrator'}],
            'vhosts': [{'name': name} for name in names],
            'permissions': [{'user': 'guest', 'vhost': name, **everything} for name in names],
        }
        (self.folder / 'definitions.json').write_text(json.dumps(definitions))
        (self.folder / 'rabbitmq.conf').write_text(f'load_definitions = {self.folder}/definitions.json\n')
        (self.folder / 'plugins').write_text('[].')
        (self.folder / 'environment').write_text('')

    def new_host(self):
        """Return the name of a virtual host that nobody has used."""
        return f'v{next(self._hosts)}'

    def start(self):
        """Start the server unless it runs, and wait until it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        own = {
            'HOME': self.folder,
            'RABBITMQ_NODENAME': f'colibris{os.getpid()}@localhost',
            'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODE_PORT': self.port,
            'RABBITMQ_DIST_PORT': self._distribution_port,
            'RABBITMQ_CONFIG_FILE': self.folder / 'rabbitmq.conf',
            'RABBITMQ_CONF_ENV_FILE': self.folder / 'environment',
            'RABBITMQ_MNESIA_BASE': self.folder / 'data',
            'RABBITMQ_LOG_BASE': self.folder / 'log',
            'RABBITMQ_ENABLED_PLUGINS_FILE': self.folder / 'plugins',
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none',
            'ERL_EPMD_ADDRESS': '127.0.0.1',
        }
        with (self.folder / 'output').open('a') as output:
            self._process = subprocess.Popen(
                [self._program],
                env={**os.environ, **{name: str(value) for name, value in own.items()}},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 1) as sock:
                sock.sendall(b'AMQP\0\0\x09\x01')
                if sock.recv(1):
                    return
            time.sleep(0.1)
        raise RuntimeError(f'RabbitMQ does not start:\n{(self.folder / "output").read_text()}')

    def stop(self, *, kill=False):
        """End the server, in order or at once."""
        if self._process is None:
            return
        number = signal.SIGKILL if kill else signal.SIGTERM
        processes = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):  # one that RabbitMQ asked something, and has ended since
                if process.name().startswith('beam'):
                    process.send_signal(number)
        self._process.wait(60)
        self._process = None

    def remove(self):
        """End the server for good."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.stop(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)
