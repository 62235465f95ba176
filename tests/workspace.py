"""The workspace for the tests that cross packages: its packages, and environments to install them in."""

import json
import os
import signal
import socket
import subprocess
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob('packages/*/pyproject.toml'))


@dataclass(frozen=True, slots=True)
class Distributions:
    """The built files: wheels made from the source distributions, and wheels made from the tree."""

    sdists: Path
    wheels: Path
    wheels_from_tree: Path


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @property
    def scripts(self) -> Path:
        return self.folder / 'bin'

    def run(self, command: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a script of the environment, as somebody does who has activated it; fail if it fails."""
        return run(self.scripts / command, *arguments, env=self.variables, **options)

    @property
    def variables(self) -> dict[str, str]:
        return clean_environment() | {
            'PATH': f'{self.scripts}{os.pathsep}{os.environ["PATH"]}',
            'VIRTUAL_ENV': str(self.folder),
        }

    def install(self, *requirements: object) -> None:
        self.run('pip', 'install', '--quiet', *requirements)


def clean_environment() -> dict[str, str]:
    """Return the environment without what would lead a child process to this test run's own modules."""
    hidden = ('PYTHONPATH', 'PYTHONHOME', 'PYTEST_ADDOPTS', 'PYTEST_CURRENT_TEST')
    return {name: value for name, value in os.environ.items() if name not in hidden}


def run(command: object, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command; fail with all that it printed if it fails."""
    line = [str(command), *map(str, arguments)]
    settings = {'env': clean_environment(), 'timeout': 600, **options}
    result = subprocess.run(line, capture_output=True, text=True, **settings)
    if result.returncode:
        pytest.fail(f'{" ".join(line)} exited with {result.returncode}:\n{result.stdout}{result.stderr}', pytrace=False)
    return result


def make_environment(folder: Path) -> Environment:
    venv.create(folder, with_pip=True, symlinks=True)
    return Environment(folder)


@contextmanager
def served(command: Path, folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """Run a server in a process of its own and give its address; SIGTERM must end it with the exit code 0."""
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    log = folder / 'server.log'
    with log.open('w') as output:
        environment = {**variables, 'LISTEN': '127.0.0.1', 'PORT': str(port)}
        process = subprocess.Popen([command, 'runserver'], cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        wait_for_health(f'http://127.0.0.1:{port}/health', process, log)
        yield f'http://127.0.0.1:{port}'
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def wait_for_health(url: str, process: 'subprocess.Popen[bytes]', log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urlopen(url, timeout=5) as response:
            assert json.load(response) == 'healthy'
            return
        time.sleep(0.05)
    raise AssertionError(f'the server does not answer:\n{log.read_text()}')
