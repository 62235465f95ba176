"""The two commands of README.md, as somebody runs them who has nothing but a checkout."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from workspace import ROOT, clean_environment, run

README = (ROOT / 'README.md').read_text()
COMMANDS = re.findall(r'^```sh\n(.+)\n```$', README, re.MULTILINE)
(DEMO,) = (command for command in COMMANDS if 'runserver' in command)
(TEST,) = (command for command in COMMANDS if command.endswith('hatch run test'))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what git would check out, as it stands in the working tree."""
    if not (ROOT / '.git').exists():
        pytest.skip('this is no git repository')
    folder = tmp_path / 'checkout'
    listed = run('git', '-C', ROOT, 'ls-files', '-z', '--cached', '--others', '--exclude-standard').stdout
    for name in filter(None, listed.split('\0')):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            run('cp', '-p', ROOT / name, folder / name)
    return folder


def free_port() -> int:
    with socket.create_server(('127.0.0.1', 0)) as server:
        return server.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen[str]) -> str:
    """Return what *url* leads to, once it is served; fail if *process* ends before."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=10) as response:
                return f'{response.url}\n{response.read().decode()}'
        except URLError:
            if process.poll() is not None:
                break
            time.sleep(0.2)
    raise AssertionError(f'{url} is not served: {process.communicate()[0]}')


def read_key(process: subprocess.Popen[str]) -> str:
    """Return the API key that the demo prints on a line of its own."""
    assert process.stdout is not None
    return next(line.strip() for line in process.stdout if line.startswith('key_'))


def test_the_demo_is_served_once_and_again_and_its_tests_pass(checkout: Path) -> None:
    key = None  # printed by the first run alone
    for _ in range(2):
        port = free_port()
        process = subprocess.Popen(
            ['sh', '-c', DEMO],
            cwd=checkout,
            env=clean_environment() | {'PORT': str(port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            page = wait_for(f'http://127.0.0.1:{port}/', process)
            assert page.startswith(f'http://127.0.0.1:{port}/api/docs')
            request = Request(f'http://127.0.0.1:{port}/notes', headers={'X-API-Key': key or read_key(process)})
            key = request.get_header('X-api-key')
            with urlopen(request, timeout=10) as response:
                assert response.status == 200
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    assert ' passed' in run('sh', '-c', f'cd {checkout}/demo && ../.venv/demo/bin/python demo/manage.py test -q').stdout


def test_the_checks_run_the_very_command_of_the_readme() -> None:
    lines = (ROOT / '.ci' / 'run').read_text().splitlines()

    assert lines[-1] == TEST


def test_each_command_is_one_line_that_makes_an_environment_of_its_own() -> None:
    for command in (DEMO, TEST):
        assert '\n' not in command
        assert 'python3 -m venv .venv/' in command
