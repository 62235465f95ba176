import click
import pytest
from click.testing import CliRunner

from colibris.commands import CommandError, current_project, project_command
from colibris.commands.context import project_of
from colibris.conf import ImproperlyConfigured, settings


def test_a_command_runs_with_the_settings_of_the_project_of_the_folder(project_folder, monkeypatch):
    @click.command()
    @project_command
    def show():
        click.echo(settings.PROJECT_PACKAGE_NAME)

    monkeypatch.chdir(project_folder.root)
    monkeypatch.setattr('sys.path', [*__import__('sys').path])
    try:
        result = CliRunner().invoke(show)
        assert result.output == 'shop\n'
    finally:
        settings.reset()
        __import__('sys').modules.pop('shop', None)


def test_there_is_no_project_in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImproperlyConfigured, match='not in a project'):
        current_project()


def test_a_package_that_cannot_be_imported_is_named():
    with pytest.raises(CommandError, match="'no_such_shop' cannot be imported"):
        project_of('no_such_shop')
