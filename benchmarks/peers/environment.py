"""The environments that the peers run in: made when they are needed, again after their requirements changed."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent
_ROOT = _FOLDER.parents[1]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment in ``.venv/`` of the checkout, by what its file of requirements says."""

    name: str
    requirements: str

    @property
    def folder(self) -> Path:
        return _ROOT / '.venv' / self.name

    @property
    def python(self) -> Path:
        return self.folder / 'bin' / 'python'

    def make(self) -> None:
        """Make it, unless it is there already. Raises CalledProcessError, with pip's output shown."""
        wanted = hashlib.sha256((_FOLDER / self.requirements).read_bytes()).hexdigest()
        stamp = self.folder / 'requirements.sha256'
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        print(f'Making {self.folder} by {self.requirements} …', flush=True)
        venv.create(self.folder, with_pip=True, clear=True)
        pip = [str(self.python), '-m', 'pip', 'install', '-q', '--disable-pip-version-check']
        subprocess.run([*pip, '-r', str(_FOLDER / self.requirements)], check=True)
        stamp.write_text(wanted)


PEERS = Environment('peers', 'requirements.txt')
SANIC = Environment('peers-sanic', 'requirements-sanic.txt')

_LIST = """
import json, platform
from importlib.metadata import distributions
found = {d.metadata['Name'].lower(): d.version for d in distributions()}
print(json.dumps({'python': platform.python_version(), **found}))
"""


def versions(python: Path) -> dict[str, str]:
    """Return the versions of Python, of Colibris and of what the requirements name, as far as *python* finds them."""
    output = subprocess.run([python, '-c', _LIST], check=True, capture_output=True, text=True).stdout
    found: dict[str, str] = json.loads(output)
    named = {'python', *(name for file in _FOLDER.glob('requirements*.txt') for name in _names(file))}
    return {name: found[name] for name in sorted(found) if name in named or name.startswith('colibris')}


def _names(file: Path) -> list[str]:
    return [name.lower() for name in re.findall(r'^([\w.-]+)', file.read_text(), re.MULTILINE)]


def own_python(checkout: Path | None = None) -> Path:
    """Return the interpreter with Colibris from *checkout*; of the one that runs this, if none is given."""
    if checkout is None:
        return Path(sys.executable)
    python = checkout.resolve() / '.venv' / 'hatch' / 'bin' / 'python'
    if not python.exists():
        sys.exit(f'{checkout} has no environment: run `hatch run true` there')
    return python
