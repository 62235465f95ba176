import sys

import pytest


@pytest.fixture
def tested(project_folder):
    project_folder.write(
        'shop/tests/test_one.py',
        """
        import os

        def test_good():
            pass

        def test_folder():
            assert os.path.exists('pyproject.toml')
    """,
    )
    project_folder.write('shop/tests/test_two.py', 'def test_bad():\n    assert False\n')
    project_folder.write('elsewhere/test_three.py', 'def test_elsewhere():\n    assert False\n')
    return project_folder


def test_the_tests_of_the_package_run_from_the_root(tested, tmp_path):
    result = tested.run('test', cwd=tmp_path)
    assert result.returncode == 1
    assert '1 failed, 2 passed' in result.stdout
    assert 'test_elsewhere' not in result.stdout


def test_arguments_and_exit_code_are_passed_on(tested):
    result = tested.run('test', '-k', 'good or folder', '-x', '--co', '-q')
    assert result.returncode == 0
    assert 'test_good' in result.stdout
    assert 'test_bad' not in result.stdout
    assert tested.run('test', '-k', 'nothing').returncode == 5
    assert 'pytest' in tested.run('test', '--help').stdout


def test_a_path_is_meant_as_seen_from_where_the_command_is_given(tested):
    result = tested.run('test', 'test_one.py::test_good', cwd=tested.root / 'shop/tests')
    assert result.returncode == 0, result.stdout
    assert '1 passed' in result.stdout


def test_what_the_project_configures_is_respected(tested):
    tested.write(
        'pyproject.toml',
        """
        [tool.colibris]
        package = "shop"
        [tool.pytest.ini_options]
        testpaths = ["elsewhere"]
    """,
    )
    assert 'test_elsewhere' in tested.run('test').stdout


def test_a_missing_pytest_names_the_extra(tested):
    script = (
        'import sys, importlib.util as u; real = u.find_spec\n'
        'u.find_spec = lambda name, *a: None if name == "pytest" else real(name, *a)\n'
        'sys.argv = ["manage.py", "test"]; sys.path.insert(0, ".")\n'
        'from colibris.commands import manage; manage("shop")'
    )
    result = tested.call([sys.executable, '-c', script])
    assert result.returncode == 1
    assert "pip install 'colibris-core[test]'" in result.stderr
