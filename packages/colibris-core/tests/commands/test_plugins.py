"""``colibris plugins``, with a distribution of a stranger on the path."""

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def run(tmp_path):
    """Run the command in a process of its own, outside any project."""
    folder = tmp_path / 'toys-1.5.dist-info'
    folder.mkdir()
    (folder / 'METADATA').write_text('Metadata-Version: 2.1\nName: toys\nVersion: 1.5\nProvides-Extra: far\n')
    (folder / 'entry_points.txt').write_text(
        '[colibris.toys]\ncar = toy_car:Car\nfar = toy_far:Far\nbad = toy_bad:Bad\n'
    )
    (tmp_path / 'toy_car.py').write_text('class Car: pass')
    (tmp_path / 'toy_far.py').write_text('import a_missing_driver')
    (tmp_path / 'toy_bad.py').write_text('1 / 0')

    def run(*arguments):
        code = 'from colibris.commands import main; main()'
        environment = {**os.environ, 'PYTHONPATH': str(tmp_path)}
        return subprocess.run(
            [sys.executable, '-c', code, 'plugins', *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_table_has_a_line_for_each_with_its_state(run):
    result = run()
    assert result.returncode == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ['GROUP', 'ALIAS', 'DISTRIBUTION', 'TARGET', 'STATE']
    assert ['colibris.toys', 'car', 'toys', '1.5', 'toy_car:Car', 'ok'] in lines
    assert ['colibris.toys', 'far', 'toys', '1.5', 'toy_far:Far', 'missing', 'requirement'] in lines
    assert ['colibris.toys', 'bad', 'toys', '1.5', 'toy_bad:Bad', 'broken'] in lines
    assert any(line[:2] == ['colibris.commands', 'plugins'] and line[-1] == 'ok' for line in lines)


def test_what_is_wrong_is_explained_below(run):
    output = run().stdout
    assert "pip install 'toys[far]'" in output
    assert 'ZeroDivisionError' in output


def test_json_is_for_programs(run):
    rows = {(row['group'], row['alias']): row for row in json.loads(run('--json').stdout)}
    assert rows['colibris.toys', 'car'] == {
        'group': 'colibris.toys',
        'alias': 'car',
        'distribution': 'toys 1.5',
        'target': 'toy_car:Car',
        'state': 'ok',
        'detail': '',
    }
    assert rows['colibris.toys', 'far']['state'] == 'missing requirement'
