"""What the tests of core share: projects made of a few files, and clients for them."""

import sys
from collections.abc import Callable, Iterator
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
