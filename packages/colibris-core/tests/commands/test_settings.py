"""``manage.py settings``: name, source and value of each, secrets hidden."""

import json
import os
import subprocess
import sys

import pytest

SETTINGS = """
from colibris.conf.schemas import SettingsSchema, fields

SECRET_KEY = 'hush'
DATABASE = {'backend': 'sqlite', 'name': 'x.db'}
PAGE_SIZE = 50
ODD = {(1, 2): {print}}

class DatabaseSettingsSchema(SettingsSchema):
    PASSWORD = fields.String()
    HOST = fields.String()

    class Meta:
        prefix = 'DATABASE_'

class GeneralSettingsSchema(SettingsSchema):
    PORT = fields.Integer()

DatabaseSettingsSchema().load_from_env(globals())
GeneralSettingsSchema().load_from_env(globals())
"""


@pytest.fixture
def run(tmp_path):
    """Run the command on a project, in a process of its own."""
    package = tmp_path / 'shop'
    package.mkdir()
    (package / '__init__.py').touch()
    (package / 'settings.py').write_text(SETTINGS)
    (tmp_path / 'pyproject.toml').write_text('[tool.colibris]\npackage = "shop"\n')
    (tmp_path / '.env').write_text('DATABASE_PASSWORD=hush\n')

    def run(*arguments, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(('PORT', 'DATABASE'))}
        return subprocess.run(
            [sys.executable, '-c', 'from colibris.commands import main; main()', 'settings', *arguments],
            cwd=package,
            env={**clean, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_each_setting_has_its_source_and_value(run):
    result = run(PORT='8080')
    assert result.returncode == 0, result.stderr
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
    assert lines['SETTING'] == ['SOURCE', 'VALUE']
    assert lines['PORT'] == ['environment', '8080']
    assert lines['PAGE_SIZE'] == ['settings.py', '50']
    assert lines['DEBUG'] == ['default', 'False']
    assert lines['SECRET_KEY'] == ['settings.py', "'********'"]
    assert lines['DATABASE'] == ['settings.py', "{'backend': 'sqlite', 'name': 'x.db', 'password': '********'}"]
    assert lines['DATABASE.password'] == ['.env', "'********'"]
    assert 'DATABASE.name' not in lines


def test_no_secret_is_shown(run):
    for result in (run(), run('--json')):
        assert 'hush' not in result.stdout + result.stderr


def test_json_is_for_programs(run):
    entries = {entry['name']: entry for entry in json.loads(run('--json', PORT='8080').stdout)}
    assert entries['PORT'] == {'name': 'PORT', 'value': 8080, 'source': 'environment', 'keys': {}}
    assert entries['ODD']['value'] == {'(1, 2)': ['<built-in function print>']}
    assert entries['DATABASE']['keys'] == {'password': '.env'}


def test_a_wrong_setting_is_one_line_and_a_failure(run):
    result = run(PORT='hush')
    assert result.returncode == 1
    assert result.stderr.strip() == 'Error: PORT (environment): expected an integer'


def test_an_error_in_the_module_is_told_with_file_and_line(run, tmp_path):
    (tmp_path / 'shop' / 'settings.py').write_text('PORT = 1\nimport nowhere_to_be_found\n')
    result = run()
    assert result.returncode == 1
    assert 'shop/settings.py, line 2: ModuleNotFoundError' in result.stderr
    assert 'Traceback' not in result.stderr
