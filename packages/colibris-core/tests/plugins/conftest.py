"""Distributions made of a few files, installed for one test."""

import sys
from textwrap import dedent

import pytest

from colibris import plugins


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution: ``install('toy-cache', {'colibris.cache': {'toy': 'toy:Toy'}}, toy='...source...')``."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(name, offers, *, version='1.0', extras=(), requires=(), files=None, **modules):
        folder = tmp_path / f'{name.replace("-", "_")}-{version}.dist-info'
        folder.mkdir()
        lines = ['Metadata-Version: 2.1', f'Name: {name}', f'Version: {version}']
        lines += [f'Provides-Extra: {extra}' for extra in extras]
        lines += [f'Requires-Dist: {requirement}' for requirement in requires]
        (folder / 'METADATA').write_text('\n'.join(lines) + '\n')
        text = ''.join(
            f'[{group}]\n' + ''.join(f'{alias} = {target}\n' for alias, target in aliases.items())
            for group, aliases in offers.items()
        )
        (folder / 'entry_points.txt').write_text(text)
        (folder / 'top_level.txt').write_text('\n'.join(modules))
        for file, source in {**{f'{module}.py': modules[module] for module in modules}, **(files or {})}.items():
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(source))
        plugins.found.cache_clear()

    yield make
    for module in set(sys.modules) - before:
        del sys.modules[module]
    plugins.found.cache_clear()
