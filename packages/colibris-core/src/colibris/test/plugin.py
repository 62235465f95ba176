"""The plug-in for pytest: at work in the projects of Colibris, silent everywhere else.

A project is recognised by ``[tool.colibris] package = "..."`` in its ``pyproject.toml``. Every run of pytest in the
environment imports this module, so it imports nothing that such a run would not have anyway.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_LOOP_SCOPES = ('asyncio_default_fixture_loop_scope', 'asyncio_default_test_loop_scope')


@dataclass(frozen=True, slots=True)
class Project:
    """A project's folder and the name of its package."""

    folder: Path
    package: str


_project = pytest.StashKey[Project]()


@pytest.hookimpl(specname='pytest_load_initial_conftests')
def pytest_colibris_set_up(early_config: pytest.Config, parser: pytest.Parser) -> None:
    """Set up the project's settings before any of its modules is imported."""
    project = _find_project(early_config)
    if project is None:
        return
    early_config.stash[_project] = project
    _need_asyncio(early_config.pluginmanager)
    _change_defaults(parser, project)
    if str(project.folder) not in sys.path:
        sys.path.insert(0, str(project.folder))
    tests = _set_up(project.package) / 'tests'
    early_config.pluginmanager.import_plugin('colibris.test.fixtures')
    _load_fixtures_of_subsystems(early_config.pluginmanager)
    if (tests / 'fixtures.py').is_file() or (tests / 'fixtures' / '__init__.py').is_file():
        early_config.pluginmanager.import_plugin(f'{project.package}.tests.fixtures')


def pytest_configure(config: pytest.Config) -> None:
    if _project not in config.stash:
        return
    config.addinivalue_line(
        'markers',
        'isolated_database: the test commits to, or drops, the test database, which is made anew after it.',
    )
    for name in _LOOP_SCOPES:
        if (scope := config.getini(name)) != 'session':
            raise pytest.UsageError(
                f'{config.inipath}: {name} is {scope!r}, but the connections of a Colibris project stay open from test '
                f"to test and need one event loop: remove the entry, or set it to 'session'"
            )


def pytest_report_header(config: pytest.Config) -> str | None:
    project = config.stash.get(_project, None)
    return None if project is None else f'colibris: {project.package} in {project.folder}'


def _find_project(config: pytest.Config) -> Project | None:
    """Look for the project from where the tests are, up to pytest's root folder but not beyond it."""
    for folder in _folders(config):
        file = folder / 'pyproject.toml'
        if file.is_file() and (package := _package(file)) is not None:
            return Project(folder, package)
    return None


def _folders(config: pytest.Config) -> Iterator[Path]:
    here = config.invocation_params.dir
    arguments = (here / argument.partition('::')[0] for argument in config.known_args_namespace.file_or_dir)
    places = [str(path.resolve()) for path in arguments if path.exists()]
    start = Path(os.path.commonpath(places or [str(here)]))
    if start.is_relative_to(config.rootpath):
        yield from (folder for folder in (start, *start.parents) if folder.is_relative_to(config.rootpath))
    else:
        yield config.rootpath


def _package(file: Path) -> str | None:
    try:
        table = tomllib.loads(file.read_text(encoding='utf-8')).get('tool', {}).get('colibris')
    except (OSError, ValueError):
        return None  # not ours to complain about: the file may belong to anyone
    if table is None:
        return None
    package = table.get('package') if isinstance(table, dict) else None
    if not isinstance(package, str) or not package:
        raise pytest.UsageError(f'{file}: [tool.colibris] must name the project\'s package: package = "..."')
    return package


def _need_asyncio(plugins: pytest.PytestPluginManager) -> None:
    for name, module in (('asyncio', 'pytest_asyncio.plugin'), ('aiohttp', 'pytest_aiohttp.plugin')):
        if plugins.is_blocked(name):
            raise pytest.UsageError(f'the tests of a Colibris project need the plug-in {name!r}: remove -p no:{name}')
        if plugins.has_plugin(name) or plugins.has_plugin(module):
            continue
        try:
            plugins.import_plugin(module)
        except (pytest.UsageError, ImportError) as exc:
            raise pytest.UsageError(
                f"the tests of a Colibris project need {module.partition('.')[0]}: pip install 'colibris-core[test]'"
            ) from exc


def _change_defaults(parser: pytest.Parser, project: Project) -> None:
    """Change the defaults of pytest's options, so that a value which the project gives itself still holds."""
    parser.addini('python_functions', 'Patterns of the names of test functions', 'args', ['test_*', '*_test'])
    parser.addini('asyncio_mode', 'default value for --asyncio-mode', default='auto')
    for name in _LOOP_SCOPES:
        parser.addini(name, 'scope of the event loop', default='session')
    tests = Path(*project.package.split('.'), 'tests')
    if (project.folder / tests).is_dir():
        parser.addini('testpaths', 'Folders to search when none is given', 'args', [str(tests)])


def _load_fixtures_of_subsystems(plugins: pytest.PytestPluginManager) -> None:
    """Load what subsystems bring for tests: entry points of the group ``colibris.test``, named after a setting.

    Theirs are no plug-ins of pytest's own, as these would be imported by every run in the environment.
    """
    from colibris.conf import settings
    from colibris.plugins import found

    for setting, entry_points in found('colibris.test').items():
        if settings.is_set(setting):
            for entry_point in entry_points:
                plugins.import_plugin(entry_point.module)


def _set_up(package: str) -> Path:
    """Set up the settings of *package* and return its folder."""
    from colibris import conf

    try:
        settings = conf.setup(package)
    except conf.ImproperlyConfigured as exc:
        raise pytest.UsageError(str(exc)) from exc
    return Path(settings.PROJECT_PACKAGE_DIR)
