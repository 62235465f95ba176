"""Projects made for a test, and a subsystem that writes down what happens to it."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

RECORDER = '''
"""A subsystem of a third party; `journal` is its file, `case` and `session` are what its blocks set."""

import os
from contextlib import asynccontextmanager
from contextvars import ContextVar

from colibris.subsystems import Backend, Subsystem

session = ContextVar('session', default=None)
case = ContextVar('case', default=None)


def note(line):
    with open(os.environ['JOURNAL'], 'a') as file:
        file.write(line + '\\n')


class RecorderBackend(Backend):
    pass


class Recorder(Subsystem):
    name = 'recorder'
    setting = 'RECORDER'
    group = 'recorder.backends'
    base = RecorderBackend
    package = 'recorder'
    sessions = 0
    cases = 0

    @asynccontextmanager
    async def test_session(self):
        type(self).sessions += 1
        number = self.sessions
        token = session.set(number)
        note(f'open {number}')
        await self.open()
        yield
        await self.close()
        session.reset(token)
        note(f'close {number}')

    @asynccontextmanager
    async def test_case(self, *, isolated=False):
        type(self).cases += 1
        token = case.set(self.cases)
        word = ' isolated' if isolated else ''
        note(f'begin {self.cases}{word}')
        yield
        case.reset(token)
        note(f'end {self.cases}{word}')


subsystem = Recorder()
'''

ENTRY_POINTS = """
[colibris.subsystems]
RECORDER = recorder:subsystem

[recorder.backends]
plain = recorder:RecorderBackend

[colibris.test]
RECORDER = recorder_fixtures
"""

FIXTURES = """
import pytest


@pytest.fixture
def recorded():
    return 'recorded'
"""


class Project:
    """A project in a temporary folder, whose tests run in a process of their own."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.folder: Path = pytester.path
        self.journal = self.folder / 'journal.txt'
        monkeypatch.setenv('JOURNAL', str(self.journal))
        monkeypatch.delenv('PYTEST_ADDOPTS', raising=False)
        self.write('pyproject.toml', '[tool.colibris]\npackage = "shop"\n')
        self.write('shop/__init__.py', '')
        self.write('shop/settings.py', '')
        self.write('shop/tests/__init__.py', '')

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))

    def use_recorder(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Install the subsystem for the project's tests, and set it."""
        site = self.folder / 'site'
        self.write('site/recorder.py', RECORDER)
        self.write('site/recorder_fixtures.py', FIXTURES)
        self.write('site/recorder-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\nName: recorder\nVersion: 1.0\n')
        self.write('site/recorder-1.0.dist-info/entry_points.txt', ENTRY_POINTS)
        monkeypatch.setenv('PYTHONPATH', str(site), prepend=os.pathsep)
        self.write('shop/settings.py', "RECORDER = {'backend': 'plain'}\n")

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_subprocess('-p', 'no:cacheprovider', *arguments)

    def notes(self) -> list[str]:
        return self.journal.read_text().splitlines()


@pytest.fixture
def tested(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)
