"""The command ``openapi``."""

import json

import pytest
from click.testing import CliRunner
from openapi_spec_validator import validate

from colibris.commands.openapi import openapi

ROUTES = """
    async def hello(request):
        '''Say hello, здравствуй.'''

    ROUTES = [('/hello', hello)]
"""


@pytest.fixture
def run(project, tmp_path):
    project(routes=ROUTES, settings='API_DOCS_PATH = None')
    (tmp_path / 'pyproject.toml').write_text('[tool.colibris]\npackage = "shop"\n')
    return lambda *args: CliRunner().invoke(openapi, args, catch_exceptions=False)


def test_it_writes_the_document_to_standard_output(run):
    result = run()
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    validate(document)
    assert document['paths']['/hello']['get']['summary'] == 'Say hello, здравствуй'


def test_it_writes_the_document_to_a_file(run, tmp_path):
    result = run('openapi.json')
    assert (result.exit_code, result.stdout) == (0, '')
    text = (tmp_path / 'openapi.json').read_text('utf-8')
    assert text.endswith('}\n')
    assert '/hello' in json.loads(text)['paths']


def test_it_writes_one_line_without_indent(run):
    assert run('--indent', '0').stdout.count('\n') == 1


def test_a_file_that_cannot_be_written_is_named(run):
    result = run('nowhere/openapi.json')
    assert result.exit_code != 0
    assert 'nowhere/openapi.json' in result.stderr
