"""What the tests of faults need of each engine: its settings, and its server, to be stopped and started."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from taskqueue_rabbitmq import RabbitmqNode, free_port

from colibris.persist import SQLiteBackend
from colibris.persist.database import opened

PROJECT = Path(__file__).parent / 'taskfaults'

#: Short times, so that what dies is noticed soon.
POLICY = {'worker_timeout': 1.5, 'grace': 0.5, 'retry_pause': 0.1, 'longest_retry_pause': 0.3, 'shutdown_timeout': 2.0}
POLICY |= {'max_losses': 1}


def wait_until(condition, limit=20.0):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f'it did not come true within {limit} s')


class Engine:
    """One engine; *folder* is for its files. `restart` and `away` are about its server, if it has one."""

    has_server = True

    def __init__(self, folder):
        self.folder = folder

    def settings(self):
        raise NotImplementedError

    def database(self):
        """Return the setting DATABASE, None if the engine does without."""

    def start(self):
        """Start the server, and wait for it."""

    def stop(self):
        """End the server as an orderly restart does."""

    def close(self):
        self.stop()


class Redis(Engine):
    """Redis, on a server of its own that keeps each command on disk."""

    def __init__(self, folder):
        super().__init__(folder)
        program = shutil.which('redis-server')
        if program is None:
            if os.environ.get('CI'):
                raise RuntimeError('redis-server is not installed')
            pytest.skip('redis-server is not installed')
        self.port = free_port()
        options = {'port': self.port, 'bind': '127.0.0.1', 'dir': folder, 'save': '', 'appendonly': 'yes'}
        options |= {'appendfsync': 'always'}
        self.command = [program, *(part for name, value in options.items() for part in (f'--{name}', str(value)))]
        self.process = None

    def settings(self):
        return {'backend': 'dramatiq', 'port': self.port, **POLICY}

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def _answers(self):
        with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 1) as sock:
            sock.sendall(b'PING\r\n')
            return sock.recv(16).startswith(b'+PONG')

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None


class Embedded(Engine):
    """The queue in a file: there is no server."""

    has_server = False

    def settings(self):
        return {'backend': 'embedded', 'path': str(self.folder / 'tasks.db'), **POLICY}


class Rabbitmq(Engine):
    """RabbitMQ, which is what is stopped; the state of tasks is on Redis."""

    def __init__(self, folder):
        super().__init__(folder)
        self.node = RabbitmqNode.shared()
        place = {'port': self.node.port, 'virtual_host': self.node.new_host(), 'timeout': 2.0}
        self.options = {'backend': 'dramatiq', 'broker': 'rabbitmq', **place, **POLICY}
        self.prepare()

    def prepare(self):
        self.redis = Redis(self.folder)
        self.redis.start()

    def settings(self):
        return {**self.options, 'store': f'redis://127.0.0.1:{self.redis.port}'}

    def start(self):
        self.node.start()

    def stop(self):
        self.node.stop()

    def close(self):
        self.redis.stop()


class RabbitmqWithDatabase(Rabbitmq):
    """RabbitMQ, with the state of tasks in a database."""

    def prepare(self):
        asyncio.run(make_tables(self.database(), ['colibris.taskqueue.models.state']))

    def settings(self):
        return {**self.options, 'store': 'database'}

    def database(self):
        return {'backend': 'sqlite', 'name': str(self.folder / 'app.db')}

    def close(self):
        """Leave the server to the next test."""


async def make_tables(setting, modules):
    """Make a database with the tables of *modules*."""
    options = {name: option for name, option in setting.items() if name != 'backend'}
    async with opened({'default': SQLiteBackend(**options)}, modules) as databases:
        await databases.create_tables()


ENGINES = {
    'embedded': Embedded,
    'redis': Redis,
    'rabbitmq': Rabbitmq,
    'rabbitmq-database': RabbitmqWithDatabase,
}


class Worker:
    """`manage.py runworker`, with the processes below it."""

    def __init__(self, engine, *, processes=1, threads=4, arguments=(), **environment):
        self.log = engine.folder / f'worker-{time.monotonic_ns()}.log'
        numbers = ['--processes', str(processes), '--threads', str(threads)]
        command = [sys.executable, 'manage.py', 'runworker', *numbers, *arguments]
        with self.log.open('w') as log:
            self.process = start(command, engine, stderr=log, stdout=log, **environment)
        wait_until(lambda: 'Working for' in self.log.read_text() or self.process.poll() is not None, 60.0)
        assert self.process.poll() is None, self.log.read_text()
        self.children = psutil.Process(self.process.pid).children()

    def kill_one(self):
        """Kill one of the worker processes."""
        self.children[0].kill()

    def kill(self):
        """Kill all of it at once."""
        processes = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def stop(self):
        """End it as a deployment does; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode


def start(command, engine, **options):
    """Start a process of the project."""
    streams = {name: options.pop(name) for name in ('stdout', 'stderr') if name in options}
    settings = {'TASKFAULTS_QUEUE': json.dumps(engine.settings()), 'TASKFAULTS_DATABASE': json.dumps(engine.database())}
    environment = {**os.environ, **settings, **options}
    return subprocess.Popen(command, cwd=PROJECT, env=environment, **streams)
