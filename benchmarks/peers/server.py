"""A peer that runs: started on a core of its own, asked, weighed, stopped."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import psutil

from benchmarks.peers import machine
from benchmarks.peers.roster import APPS, MANAGE, Peer
from benchmarks.peers.workloads import ACCOUNT

SECRET = 'the-secret-of-the-benchmarks-which-is-long-enough'
_PATIENCE = 30  # seconds until a server answers
_TOKEN = f"""
from colibris.authentication import create_token
print(create_token(await User.get(id={ACCOUNT})))
"""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


def environment_of(peer: Peer, variables: Mapping[str, str], port: int = 0) -> dict[str, str]:
    """Return the environment of a process of *peer*."""
    own = {'SECRET_KEY': SECRET, 'BENCHMARK_PORT': str(port)}
    if not peer.is_colibris:
        own['PYTHONPATH'] = str(APPS)
    inherited = {name: value for name, value in os.environ.items() if name != 'PYTHONDONTWRITEBYTECODE'}
    return {**inherited, **variables, **own, **peer.variables}


def python_of(peer: Peer) -> Path:
    """Return the interpreter that runs *peer*."""
    if peer.python is not None:
        return peer.python
    assert peer.environment is not None
    return peer.environment.python


def manage(peer: Peer, variables: Mapping[str, str], *arguments: str) -> str:
    """Run a command of the service that is written with Colibris; return what it prints."""
    command = [str(python_of(peer)), str(MANAGE), *arguments]
    done = subprocess.run(
        command, env=environment_of(peer, variables), capture_output=True, text=True, check=False, cwd=MANAGE.parent
    )
    if done.returncode:
        sys.exit(f'{peer.name}: manage.py {arguments[0]} fails:\n{done.stdout}{done.stderr}')
    return done.stdout


def token_for(peer: Peer, variables: Mapping[str, str]) -> str:
    """Return a token of the account, as *peer* would have made it."""
    if peer.is_colibris:
        return manage(peer, variables, 'shell', '-c', _TOKEN).split()[-1]
    token: str = jwt.encode({'sub': str(ACCOUNT), 'exp': int(time.time()) + 24 * 3600}, SECRET, 'HS256')
    return token


class Server:
    """One peer, running. A context manager; *log* is where its output goes."""

    def __init__(self, peer: Peer, variables: Mapping[str, str], log: Path) -> None:
        self.peer = peer
        self.port = _free_port()
        self.start_seconds = 0.0
        self._variables = variables
        self._log = log

    def __enter__(self) -> Server:
        command = [part.format(port=self.port, python=python_of(self.peer)) for part in self.peer.command]
        begun = time.perf_counter()
        with self._log.open('ab') as output:
            self._process = subprocess.Popen(
                ['taskset', '-c', str(machine.SERVER_CORE), *command],
                cwd=MANAGE.parent.parent if self.peer.is_colibris else APPS,
                env=environment_of(self.peer, self._variables, self.port),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self._wait_for_answer(begun)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        processes = self._processes()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(processes, timeout=6)
        for process in left:
            process.kill()
        self._process.wait()

    def _wait_for_answer(self, begun: float) -> None:
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f'{self.peer.name} ended at once, see {self._log}')
            try:
                if self.ask('GET', '/hello').status == 200:
                    break
            except OSError:
                pass
            if time.perf_counter() - begun > _PATIENCE:
                raise RuntimeError(f'{self.peer.name} does not answer, see {self._log}')
            time.sleep(0.005)
        self.start_seconds = time.perf_counter() - begun

    def ask(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        """Send one request."""
        headers = {} if token is None else {'Authorization': f'Bearer {token}'}
        if body is not None:
            headers['Content-Type'] = 'application/json'
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def cpu(self) -> float:
        """Return the CPU seconds that its processes have used."""
        return machine.cpu_seconds(self._process.pid)

    def memory(self) -> float:
        """Return the megabytes of its processes (PSS)."""
        return machine.memory(self._process.pid)

    def _processes(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self._process.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port
