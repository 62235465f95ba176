"""What the tests of core share: projects made of a few files, and clients for them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest

from colibris import conf


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Make a project: ``project(views='...', routes='...')`` writes its modules, sets it up and returns its name."""

    def make(name: str = 'shop', *, settings: str = '', **modules: str) -> str:
        package = tmp_path / name
        package.mkdir()
        for module, source in {'__init__': '', 'settings': settings, **modules}.items():
            (package / f'{module}.py').write_text(dedent(source))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.chdir(tmp_path)
        made.append(name)
        conf.setup(name)
        return name

    made: list[str] = []
    yield make
    conf.settings.reset()
    for module in [m for m in sys.modules if m.partition('.')[0] in made]:
        del sys.modules[module]


MANAGE = """\
#!/usr/bin/env python3
import sys
from pathlib import Path


def main() -> None:
    from colibris.commands import manage

    manage('shop')


if __name__ == '__main__':
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    main()
"""


@dataclass
class ProjectFolder:
    """A project named ``shop`` on the disk, whose commands run in processes of their own."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, source: str) -> Path:
        """Write a file of the project, such as ``'shop/views.py'``."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source))
        return file

    def install(self, name: str, source: str, entry_points: str) -> None:
        """Install a distribution that is one module."""
        self.write(f'installed/{name}.py', source)
        self.write(f'installed/{name}-1.0.dist-info/METADATA', f'Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n')
        self.write(f'installed/{name}-1.0.dist-info/entry_points.txt', entry_points)
        self.environment['PYTHONPATH'] = str(self.root / 'installed')

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(self.root / 'shop/manage.py'), *arguments]

    def run(self, *arguments: str, cwd: Path | None = None, stdin: str = '') -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` with *arguments* to its end."""
        return self.call(self.command(*arguments), cwd=cwd, stdin=stdin)

    def call(self, command: list[str], *, cwd: Path | None = None, stdin: str = '') -> subprocess.CompletedProcess[str]:
        """Run any *command* in the project's folder."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            command, cwd=cwd or self.root, env=environment, input=stdin, capture_output=True, text=True, timeout=60
        )


@pytest.fixture
def project_folder(tmp_path: Path) -> ProjectFolder:
    """Make a project named ``shop`` that answers nothing yet."""
    folder = ProjectFolder(tmp_path / 'my-project')
    folder.write('pyproject.toml', '[tool.colibris]\npackage = "shop"\n')
    folder.write('shop/__init__.py', '')
    folder.write('shop/settings.py', '')
    folder.write('shop/manage.py', MANAGE).chmod(0o755)
    return folder
