"""The user's guide: each page is one scenario, whose files are written and whose code and commands are run in order.

What a block of a page is:

- ``python``, ``toml``, ``ini``, ``html`` and the like, beginning with ``# path/of/a/file``: a file of the project; with
  ``(at the end)`` after the path it is added to the file, with a name it takes the place of that function or class.
- ``python`` without a path: code that runs in the project, its settings set up and its subsystems open.
- ``console``: commands after ``$``; the lines below one are what it prints, where ``...`` stands for anything.
- ``text``, ``json``: shown only.

``<!-- not run: reason -->`` before a block keeps it from being run; ``<!-- fails -->`` says that its command fails.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from colibris import api
from colibris.conf.known import KNOWN
from colibris.plugins import found

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / 'docs'
PAGES = sorted(DOCS.glob('*.md'))
FENCE = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
MARK = re.compile(r'<!-- (not run: .+|fails) -->\n\Z')
FILE = re.compile(r'\A(?:#|//|<!--) (?P<path>[\w./-]*\w*\.\w[\w.]*)(?: \((?P<where>at the end|\w+)\))?(?: -->)?\n')
SHOWN = {'text', 'json'}
TIME_LIMIT = 120


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    mark: str

    @property
    def place(self) -> str:
        return f'{self.page.relative_to(ROOT)}:{self.line}'


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in FENCE.finditer(text):
        mark = MARK.search(text[: match.start()])
        line = text.count('\n', 0, match.start()) + 1
        yield Block(page, line, match[1], match[2], mark[1] if mark else '')


class Scenario:
    """A page while it is run: its folder, its shell, its server."""

    def __init__(self, folder: Path, environment: Path, state: Path) -> None:
        self.folder = folder
        self.state = state
        self.server: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        paths = [environment / 'bin', Path(sys.executable).parent, os.environ['PATH']]
        kept = {name: value for name, value in os.environ.items() if name in ('HOME', 'LANG', 'TERM') or 'PIP' in name}
        self.environment = {
            **kept,
            'PATH': os.pathsep.join(map(str, paths)),
            'VIRTUAL_ENV': str(environment),
            'PORT': str(self.port),
            'PYTHONWARNINGS': 'default',
            'PIP_DISABLE_PIP_VERSION_CHECK': '1',
        }
        (state / 'env').write_text('')
        (state / 'cwd').write_text(str(folder))

    @property
    def here(self) -> Path:
        return Path((self.state / 'cwd').read_text().strip())

    def play(self, block: Block) -> None:
        if block.mark.startswith('not run') or block.language in SHOWN:
            return
        if (file := FILE.match(block.text)) is not None:
            self._write(file, block.text)
        elif block.language == 'python':
            self._run_snippet(block)
        elif block.language == 'console':
            for command, expected in _commands(block.text):
                self._run(command, expected, fails=block.mark == 'fails', place=block.place)
        else:
            pytest.fail(f'{block.place}: a block of {block.language or "no"} language is neither a file nor shown only')

    def _write(self, file: re.Match[str], text: str) -> None:
        path = self.here / file['path']
        path.parent.mkdir(parents=True, exist_ok=True)
        content = text[file.end() :].lstrip('\n')
        if file['where'] == 'at the end':
            content = f'{path.read_text().rstrip()}\n\n{"" if path.suffix == ".toml" else chr(10)}{content}'
        elif file['where']:
            content = _replaced(path.read_text(), file['where'], content)
        path.write_text(content)

    def _run_snippet(self, block: Block) -> None:
        done = self._shell('colibris shell', block.text)
        assert done.returncode == 0, f'{block.place}:\n{done.stdout}'

    def _run(self, command: str, expected: str, *, fails: bool, place: str) -> None:
        command = command.replace('8888', str(self.port))
        if re.search(r'\brunserver\b(?!.*--help)', command):
            self._serve(command, expected, place)
            return
        done = self._shell(command)
        assert (done.returncode != 0) == fails, f'{place}: {command} exits with {done.returncode}:\n{done.stdout}'
        if expected and not _matches(expected, done.stdout.replace(str(self.port), '8888')):
            pytest.fail(f'{place}: {command}\nprints\n{textwrap.indent(done.stdout, "    ")}\nnot\n{expected}')

    def _shell(self, command: str, stdin: str = '') -> subprocess.CompletedProcess[str]:
        keep = f'status=$?; export -p > {self.state}/env; pwd > {self.state}/cwd; exit $status'
        return subprocess.run(
            ['bash', '-c', f'. {self.state}/env; {command}\n{keep}'],
            cwd=self.here,
            env=self.environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIME_LIMIT,
            check=False,
        )

    def _serve(self, command: str, expected: str, place: str) -> None:
        self.stop()
        log = self.state / 'server.log'
        with log.open('w') as output:
            options = {'cwd': self.here, 'env': self.environment, 'stdout': output, 'stderr': output}
            line = f'. {self.state}/env; exec env {command}'
            self.server = subprocess.Popen(['bash', '-c', line], start_new_session=True, **options)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', self.port), 1):
                if _matches(f'{expected}...', log.read_text().replace(str(self.port), '8888')):
                    return
            time.sleep(0.05)
        pytest.fail(f'{place}: the server does not come up:\n{log.read_text()}\nnot\n{expected}')

    def stop(self) -> None:
        if self.server is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGTERM)
            self.server.wait(20)
            self.server = None


def _replaced(module: str, name: str, definition: str) -> str:
    pattern = re.compile(rf'^(?:class|(?:async )?def) {name}\b.*?(?=^\S|\Z)', re.MULTILINE | re.DOTALL)
    found, number = pattern.subn(lambda _: f'{definition.rstrip()}\n\n\n', module)
    assert number == 1, f'there are {number} definitions of {name}'
    return found


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Split a console block into its commands, which may go on in lines that end in a backslash, and their output."""
    for part in re.split(r'^\$ ', text, flags=re.MULTILINE)[1:]:
        command = re.match(r'(?:.*\\\n)*.*\n?', part)
        assert command is not None
        yield command[0].strip(), part[command.end() :].strip()


def _matches(expected: str, printed: str) -> bool:
    """Compare but for the amount of white space, where ``...`` stands for anything, also for nothing."""
    parts = (re.escape(' '.join(part.split())) for part in expected.split('...'))
    return re.fullmatch(' ?.* ?'.join(parts), ' '.join(printed.split())) is not None


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port: int = sock.getsockname()[1]
        return port


def make_environment(folder: Path) -> Path:
    """Make a virtual environment that sees what this one has; what is installed into it stays in it."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob('lib/python*/site-packages')
    seen = [path for path in sys.path if path.endswith('-packages')]
    (site / 'seen.pth').write_text(''.join(f'import site; site.addsitedir({path!r})\n' for path in seen))
    scripts = [
        entry for entry in entry_points(group='console_scripts') if entry.name.startswith(('colibris', 'pytest'))
    ]
    scripts += [entry for entry in entry_points(group='console_scripts') if entry.name in ('pip', 'pyproject-build')]
    for script in scripts:
        file = folder / 'bin' / script.name
        file.write_text(
            f'#!{folder}/bin/python\nimport sys\nfrom {script.module} import {script.attr}\nsys.exit({script.attr}())\n'
        )
        file.chmod(0o755)
    return folder


@pytest.fixture(scope='session')
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as the starter makes it."""
    folder = tmp_path_factory.mktemp('skeleton')
    starter = Path(sys.executable).parent / 'colibris-start-project'
    subprocess.run([starter, 'shop'], cwd=folder, check=True, capture_output=True, timeout=TIME_LIMIT)
    return folder / 'shop'


@pytest.fixture
def scenario(tmp_path: Path, skeleton: Path) -> Iterator[Scenario]:
    state = tmp_path / 'state'
    state.mkdir()
    shutil.copytree(skeleton, tmp_path / 'projects' / 'shop')
    scenario = Scenario(tmp_path / 'projects' / 'shop', make_environment(tmp_path / 'venv'), state)
    yield scenario
    scenario.stop()


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_page_works_as_it_stands(page: Path, scenario: Scenario) -> None:
    if page.stem == 'starting':  # begins with nothing
        shutil.rmtree(scenario.folder)
        (scenario.state / 'cwd').write_text(str(scenario.folder.parent))
    for block in blocks_of(page):
        scenario.play(block)


def _table(page: str, heading: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of the table that begins with *heading*, by their first cell."""
    _, found, rest = (DOCS / page).read_text().partition(f'| {heading} |')
    assert found, f'{page} has no table of {heading}'
    lines = [line for line in rest.splitlines()[2:] if line.startswith('|') or not line]
    rows = [[cell.strip() for cell in line.strip('|').split(' | ')] for line in lines[: lines.index('')]]
    return {row[0].strip(' `'): tuple(row[1:]) for row in rows}


def test_all_settings_are_listed_with_their_defaults() -> None:
    listed = _table('settings.md', 'Setting')
    assert listed.keys() == KNOWN.keys()
    for name, (default, _) in listed.items():
        if default.startswith('`'):
            assert ast.literal_eval(default.strip('`')) == KNOWN[name].make_default(), name


def test_all_commands_are_listed() -> None:
    assert _table('commands.md', 'Command').keys() == found('colibris.commands').keys()


def test_all_exceptions_are_listed() -> None:
    classes = [value for value in vars(api).values() if isinstance(value, type) and issubclass(value, api.APIException)]
    listed = {name.strip('`'): row for name, row in _table('views.md', 'Exception').items()}
    assert listed == {
        cls.__name__: (str(cls.status), f'`{cls.default_code}`') for cls in classes if cls is not api.APIException
    }


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r'\]\(([^)]+)\)', page.read_text()):
        if target.startswith('https://'):
            continue
        file, _, anchor = target.partition('#')
        other = DOCS / file if file else page
        assert other.is_file(), target
        headings = re.findall(r'^#+ (.+)$', FENCE.sub('', other.read_text()), re.MULTILINE)
        anchors = {re.sub(r'[^\w -]', '', heading).lower().replace(' ', '-') for heading in headings}
        assert not anchor or anchor in anchors, target


def test_pages_are_all_reached_from_the_index() -> None:
    listed = set(re.findall(r'\]\((\w+\.md)\)', (DOCS / 'index.md').read_text()))
    assert listed == {page.name for page in PAGES} - {'index.md'}


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    marked = [block for page in PAGES for block in blocks_of(page) if block.mark.startswith('not run')]
    assert len(marked) <= 6
