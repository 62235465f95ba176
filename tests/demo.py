"""The demo service: a project as the starter makes it, on SQLite, served in a process of its own."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

from workspace import Environment

CURRENT = Environment(Path(sys.prefix))


def make_demo(parent: Path, name: str = 'demo') -> Path:
    """Make a project with the starter, migrate its database, and return its folder."""
    CURRENT.run('colibris-start-project', name, cwd=parent)
    folder = parent / name
    CURRENT.run(folder / name / 'manage.py', 'migrate', cwd=folder)
    return folder


@contextmanager
def serve_demo(folder: Path, **variables: str) -> Iterator[str]:
    """Serve the project in *folder* and give its address; SIGTERM must end the server with the exit code 0."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    log = folder / 'server.log'
    environment = {**CURRENT.variables, **variables, 'LISTEN': '127.0.0.1', 'PORT': str(port)}
    with log.open('w') as output:
        process = subprocess.Popen(
            [folder / folder.name / 'manage.py', 'runserver'],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for_health(f'http://127.0.0.1:{port}/health', process, log)
        yield f'http://127.0.0.1:{port}'
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _wait_for_health(url: str, process: 'subprocess.Popen[bytes]', log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urlopen(url, timeout=5) as response:
            assert json.load(response) == 'healthy'
            return
        time.sleep(0.05)
    raise AssertionError(f'the server does not answer:\n{log.read_text()}')
