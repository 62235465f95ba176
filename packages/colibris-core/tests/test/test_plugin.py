"""The plug-in is silent where there is no project, and needs no entry in the configuration of pytest where there is."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest_plugins = ('pytester',)

SETTINGS = """
    import json, sys

    def pytest_unconfigure(config):
        names = ('asyncio_mode', 'asyncio_default_fixture_loop_scope', 'asyncio_default_test_loop_scope')
        options = {name: config.getini(name) for name in (*names, 'python_functions', 'testpaths')}
        loaded = sorted(name for name in sys.modules if name.partition('.')[0] in ('colibris', 'marshmallow'))
        markers = [line for line in config.getini('markers') if line.startswith('isolated_database')]
        with open('seen.json', 'w') as file:
            json.dump({'options': options, 'loaded': loaded, 'markers': markers}, file)
"""


def test_without_a_project_nothing_changes(tested):
    tested.write('pyproject.toml', '[project]\nname = "other"\n')
    tested.write('conftest.py', SETTINGS)
    tested.write('test_other.py', 'def test_one(): pass\ndef one_test(): raise SystemExit\n')
    result = tested.run()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line('colibris*')
    seen = json.loads((tested.folder / 'seen.json').read_text())
    assert seen == {
        'options': {
            'asyncio_mode': 'strict',
            'asyncio_default_fixture_loop_scope': None,
            'asyncio_default_test_loop_scope': 'function',
            'python_functions': ['test'],
            'testpaths': [],
        },
        'loaded': ['colibris', 'colibris.test', 'colibris.test.plugin'],
        'markers': [],
    }


@pytest.mark.parametrize('content', ['not toml [', '[tool]\ncolibris = "x"\n', '[tool.colibris]\npackage = 3\n', ''])
def test_a_pyproject_that_names_no_package(tested, content):
    tested.write('pyproject.toml', content)
    tested.write('test_other.py', 'def test_one(): pass\n')
    result = tested.run('-c', '/dev/null', '--rootdir', str(tested.folder))
    if 'colibris' in content:
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(['ERROR: *pyproject.toml: [[]tool.colibris[]] must name the project*'])
    else:
        result.assert_outcomes(passed=1)


def test_a_project_above_the_root_folder_is_not_ours(tested):
    tested.write('vendor/lib/pytest.ini', '[pytest]\n')
    tested.write('vendor/lib/test_lib.py', 'def test_one(): pass\n')
    result = tested.pytester.run(sys.executable, '-m', 'pytest', 'vendor/lib')
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line('colibris*')


def test_importing_the_plugin_imports_nothing_heavy():
    code = (
        'import sys, pytest; before = set(sys.modules); import colibris.test.plugin; print(set(sys.modules) - before)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert eval(done.stdout) <= {'colibris', 'colibris.test', 'colibris.test.plugin', 'tomllib', *TOMLLIB}


TOMLLIB = ('tomllib._parser', 'tomllib._re', 'tomllib._types')

ALL_KINDS = """
    import asyncio
    import pytest
    from colibris.conf import settings

    loops = []

    async def test_async():
        loops.append(asyncio.get_running_loop())

    async def the_other_name_test(a_fixture):
        loops.append(asyncio.get_running_loop())
        assert a_fixture is loops[0] is loops[1]

    @pytest.fixture
    async def a_fixture():
        yield asyncio.get_running_loop()

    def test_sync():
        assert settings.PROJECT_PACKAGE_NAME == 'shop'
        assert settings.DEBUG is False

    class TestGroup:
        async def method_test(self):
            pass

    test_constant = 5
    tests_are_many = 3

    def tested():
        raise AssertionError('not a test')
"""


def test_all_kinds_of_tests_are_collected_and_share_a_loop(tested):
    tested.write('shop/tests/test_all.py', ALL_KINDS)
    tested.write('elsewhere/test_not_ours.py', 'def test_one(): raise SystemExit\n')
    result = tested.run()
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([f'colibris: shop in {tested.folder}'])


def test_the_project_is_found_from_a_subfolder_and_from_outside(tested, tmp_path_factory, monkeypatch):
    tested.write('shop/tests/test_all.py', ALL_KINDS)
    for folder, arguments in (
        ('shop', ()),
        ('shop/tests', ()),
        ('..', (f'{tested.folder.name}/shop/tests/test_all.py::test_sync',)),
        ('..', (str(tested.folder),)),
    ):
        monkeypatch.chdir(tested.folder / folder)
        result = tested.run(*arguments)
        result.assert_outcomes(passed=1 if '::' in ''.join(arguments) else 4)


def test_a_project_within_a_larger_repository_is_found_by_the_path_of_its_tests(tested):
    tested.write('pytest.ini', '[pytest]\n')
    for path in ('pyproject.toml', 'shop'):
        (tested.folder / 'services').mkdir(exist_ok=True)
        (tested.folder / path).rename(tested.folder / 'services' / path)
    tested.write('services/shop/tests/test_all.py', ALL_KINDS)
    tested.run('services/shop/tests/test_all.py').assert_outcomes(passed=4)


def test_what_the_project_sets_itself_holds(tested):
    tested.write(
        'pyproject.toml',
        """
        [tool.colibris]
        package = "shop"

        [tool.pytest.ini_options]
        python_functions = ["check_*"]
        testpaths = ["checks"]
        asyncio_default_test_loop_scope = "session"
        asyncio_mode = "strict"
        """,
    )
    tested.write('conftest.py', SETTINGS)
    tested.write('checks/test_it.py', 'def check_one(): pass\ndef test_two(): raise SystemExit\n')
    tested.run().assert_outcomes(passed=1)
    options = json.loads((tested.folder / 'seen.json').read_text())['options']
    assert options['asyncio_mode'] == 'strict'
    assert options['asyncio_default_fixture_loop_scope'] == 'session'


@pytest.mark.parametrize('name', ['asyncio_default_fixture_loop_scope', 'asyncio_default_test_loop_scope'])
def test_a_loop_for_each_test_is_a_conflict_that_is_explained(tested, name):
    tested.write('pytest.ini', f'[pytest]\n{name} = function\n')
    result = tested.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*pytest.ini: {name} is 'function', but *: remove the entry, or set it to 'session'"])


@pytest.mark.parametrize('name', ['asyncio', 'aiohttp'])
def test_a_blocked_plugin_is_explained(tested, name):
    result = tested.run('-p', f'no:{name}')
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*need the plug-in '{name}': remove -p no:{name}"])


def test_plugins_are_loaded_when_autoloading_is_off(tested, monkeypatch):
    monkeypatch.setenv('PYTEST_DISABLE_PLUGIN_AUTOLOAD', '1')
    tested.write('shop/tests/test_all.py', ALL_KINDS)
    tested.run('-p', 'colibris.test.plugin').assert_outcomes(passed=4)


def test_wrong_settings_are_one_message(tested):
    tested.write('shop/settings.py', 'PORT = "many"\n')
    tested.write('shop/tests/test_all.py', ALL_KINDS)
    result = tested.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['ERROR: *PORT*'])
    assert 'Traceback' not in result.stderr.str()


def test_a_package_that_is_not_there_is_one_message(tested):
    tested.write('pyproject.toml', '[tool.colibris]\npackage = "shpo"\n')
    result = tested.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['ERROR: *shpo*'])


FIXTURES = """
    import pytest
    from shop import state

    TEST_NAME = 'a constant'

    @pytest.fixture
    async def test_user():
        yield {'name': TEST_NAME}

    @pytest.fixture(autouse=True)
    def counted():
        state.COUNT += 1

    def check_small(number):
        assert number == 1
"""

USE_FIXTURES = """
    import pytest
    from shop import state
    from shop.tests import fixtures
    from shop.tests.fixtures import TEST_NAME, test_user, check_small

    async def test_it(test_user):
        assert test_user['name'] == TEST_NAME
        assert state.COUNT == 1

    def test_assertions_of_fixtures_are_explained():
        with pytest.raises(AssertionError, match='assert 2 == 1'):
            check_small(2)
"""


def test_fixtures_of_the_project_are_loaded_by_themselves(tested):
    tested.write('shop/state.py', 'COUNT = 0\n')
    tested.write('shop/tests/fixtures.py', FIXTURES)
    tested.write('shop/tests/test_it.py', USE_FIXTURES)
    result = tested.run('-v')
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line('*::test_user*')


def test_fixtures_may_be_a_package(tested):
    tested.write('shop/state.py', 'COUNT = 0\n')
    tested.write('shop/tests/fixtures/__init__.py', FIXTURES)
    tested.write('shop/tests/test_it.py', USE_FIXTURES)
    tested.run().assert_outcomes(passed=2)


def test_settings_are_set_up_before_conftest_and_fixtures_are_imported(tested):
    code = 'from colibris.conf import settings\nassert settings.PROJECT_PACKAGE_NAME == "shop"\n'
    tested.write('shop/tests/conftest.py', code)
    tested.write('shop/tests/fixtures.py', code)
    tested.write('shop/tests/test_it.py', code + 'def test_it(): pass\n')
    tested.run().assert_outcomes(passed=1)


def test_broken_fixtures_show_their_own_error(tested):
    tested.write('shop/tests/fixtures.py', 'import shop.nothing_there\n')
    result = tested.run()
    assert result.ret != 0
    assert "No module named 'shop.nothing_there'" in result.stderr.str() + result.stdout.str()
