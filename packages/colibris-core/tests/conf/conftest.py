"""Projects of settings only."""

import itertools
import os
import sys
from textwrap import dedent

import pytest

from colibris import conf

numbers = itertools.count()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Hide the variables that the tests use from the environment they run in."""
    for name in list(os.environ):
        if name.startswith(('DATABASE', 'DEBUG', 'LISTEN', 'PORT', 'SECRET', 'TASK', 'TEMPLATE', 'CACHE', 'EMAIL')):
            monkeypatch.delenv(name)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a project: ``package('DEBUG = True', env='PORT=1', default_env='…', schemas='…')`` returns its name."""
    root = tmp_path / 'root'
    root.mkdir()
    made = []

    def make(settings='', *, env=None, default_env=None, **modules):
        name = f'shop{next(numbers)}'
        made.append(name)
        folder = root / name
        folder.mkdir()
        for module, source in {'__init__': '', 'settings': settings, **modules}.items():
            (folder / f'{module}.py').write_text(dedent(source))
        if env is not None:
            (root / '.env').write_text(env)
        if default_env is not None:
            (folder / '.env.default').write_text(default_env)
        return name

    monkeypatch.syspath_prepend(root)
    monkeypatch.chdir(tmp_path)
    yield make
    conf.settings.reset()
    for module in [module for module in sys.modules if module.partition('.')[0] in made]:
        del sys.modules[module]


@pytest.fixture
def load(package):
    """Write a project and set up its settings."""

    def make(settings='', **keywords):
        return conf.setup(package(settings, **keywords))

    return make


@pytest.fixture
def refused(package):
    """Write a project whose settings are refused, and return the error."""

    def make(settings='', **keywords):
        with pytest.raises(conf.ImproperlyConfigured) as caught:
            conf.setup(package(settings, **keywords))
        return caught.value

    return make
