import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from colibris import plugins
from colibris.commands.program import Program

COLIBRIS = [sys.executable, '-c', 'from colibris.commands import main; main()']


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def test_help_lists_the_commands_of_core_with_their_help(project_folder):
    result = project_folder.run('--help')
    assert result.returncode == 0
    for name in ('check', 'plugins', 'routes', 'runserver', 'settings', 'shell', 'startproject', 'test'):
        assert f'\n  {name} ' in result.stdout
    assert 'Serve the project over HTTP.' in result.stdout


def test_a_command_that_is_not_run_is_not_imported(project_folder):
    project_folder.install('strange', "raise RuntimeError('imported')", '[colibris.commands]\nother = strange:other\n')
    script = (
        'import sys; from colibris.commands import manage\n'
        "sys.argv = ['manage.py', 'settings']\n"
        'try: manage("shop")\n'
        'finally: print("LOADED", *sorted(m for m in sys.modules if m in'
        ' ("strange", "aiohttp", "watchfiles", "colibris.commands.runserver", "colibris.commands.startproject")))'
    )
    result = project_folder.call([sys.executable, '-c', script])
    assert result.returncode == 0, result.stderr
    assert lines(result.stdout)[-1] == 'LOADED'


def test_manage_py_is_run_directly_from_any_folder(project_folder, tmp_path):
    project_folder.write(
        'shop/commands.py',
        """
        import sys
        import click

        @click.command()
        def path():
            click.echo(sys.path[0])
    """,
    )
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.mkdir()
    result = project_folder.call([str(project_folder.root / 'shop/manage.py'), 'path'], cwd=elsewhere)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(project_folder.root.resolve())


def test_colibris_acts_on_the_project_of_the_folder_it_is_in(project_folder):
    result = project_folder.call([*COLIBRIS, 'settings'], cwd=project_folder.root / 'shop')
    assert result.returncode == 0, result.stderr
    assert 'PROJECT_PACKAGE_NAME' in result.stdout
    assert 'shop' in result.stdout


def test_a_command_that_needs_a_project_says_so_outside_of_one(tmp_path):
    result = subprocess.run([*COLIBRIS, 'routes'], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    (line,) = lines(result.stderr)
    assert line.startswith('Error: ')
    assert 'not in a project' in line
    assert '[tool.colibris]' in line


def test_commands_that_need_no_project_run_outside_of_one(tmp_path):
    result = subprocess.run([*COLIBRIS, 'plugins'], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert 'colibris.commands' in result.stdout


def test_help_works_beside_a_pyproject_that_cannot_be_read(tmp_path):
    (tmp_path / 'pyproject.toml').write_text('[tool')
    result = subprocess.run([*COLIBRIS, '--help'], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    result = subprocess.run([*COLIBRIS, 'routes'], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert 'pyproject.toml' in result.stderr


@pytest.mark.parametrize(('wrong', 'right'), [('runsever', 'runserver'), ('setings', 'settings')])
def test_an_unknown_command_gets_the_closest_name(project_folder, wrong, right):
    result = project_folder.run(wrong)
    assert result.returncode == 2
    assert lines(result.stderr)[-1] == f"Error: there is no command '{wrong}'; did you mean '{right}'?"


def test_a_command_of_a_package_that_is_not_installed_names_the_package(monkeypatch):
    found = plugins.found
    monkeypatch.setattr(plugins, 'found', lambda group: {k: v for k, v in found(group).items() if k != 'runworker'})
    program = Program('manage.py')
    with pytest.raises(click.UsageError, match='pip install colibris-tasks'):
        program.resolve_command(click.Context(program, info_name='manage.py'), ['runworker'])


def test_a_usage_error_exits_with_2(project_folder):
    assert project_folder.run('routes', '--no-such-option').returncode == 2


class TestPlugins:
    def test_a_distribution_adds_a_command(self, project_folder):
        project_folder.install(
            'extra',
            """
            import click
            from colibris.commands import project_command
            from colibris.conf import settings

            @click.command()
            @click.argument('name')
            @project_command
            async def greet(name):
                '''Greet somebody.'''
                click.echo(f'hello {name} from {settings.PROJECT_PACKAGE_NAME}')
            """,
            '[colibris.commands]\ngreet = extra:greet\n',
        )
        assert 'Greet somebody.' in project_folder.run('--help').stdout
        assert project_folder.run('greet', 'you').stdout == 'hello you from shop\n'

    def test_a_broken_one_is_listed_as_broken_and_fails_alone(self, project_folder):
        project_folder.install(
            'broken', "raise LookupError('no luck')", '[colibris.commands]\nbroken = broken:broken\n'
        )
        listed = project_folder.run('--help')
        assert listed.returncode == 0
        assert '(broken: ' in listed.stdout
        assert project_folder.run('settings').returncode == 0
        for arguments in (['broken'], ['broken', '--any', 'thing'], ['broken', '--help']):
            result = project_folder.run(*arguments)
            assert result.returncode == 1
            (line,) = lines(result.stderr)
            assert 'no luck' in line
            assert 'broken 1.0' in line

    def test_what_is_no_command_is_named(self, project_folder):
        project_folder.install('wrong', 'thing = 1', '[colibris.commands]\nthing = wrong:thing\n')
        result = project_folder.run('thing')
        assert result.returncode == 1
        assert 'no click command' in result.stderr

    def test_a_name_offered_by_two_is_refused_when_it_is_run(self, project_folder):
        source = 'import click\n@click.command()\ndef same(): pass\n'
        project_folder.install('one', source, '[colibris.commands]\nsame = one:same\n')
        project_folder.install('two', source, '[colibris.commands]\nsame = two:same\n')
        assert project_folder.run('--help').returncode == 0
        result = project_folder.run('same')
        assert result.returncode == 1
        assert 'one 1.0' in result.stderr
        assert 'two 1.0' in result.stderr

    def test_a_distribution_adds_an_option_to_a_command_of_core(self, project_folder):
        project_folder.install(
            'tasks',
            """
            import click

            def with_loud(command):
                callback = command.callback

                def call(loud, **arguments):
                    if loud:
                        click.echo('LOUD')
                    return callback(**arguments)

                command.callback = call
                command.params.append(click.Option(['--loud'], is_flag=True, help='Be loud.'))
                return command
            """,
            '[colibris.command_options]\nroutes = tasks:with_loud\n',
        )
        assert 'Be loud.' in project_folder.run('routes', '--help').stdout
        assert project_folder.run('routes', '--loud').stdout.startswith('LOUD\nMETHOD')
        assert project_folder.run('routes').stdout.startswith('METHOD')

    def test_a_broken_option_is_left_out_with_a_warning(self, project_folder):
        project_folder.install(
            'tasks', "raise LookupError('no luck')", '[colibris.command_options]\nroutes = tasks:with_loud\n'
        )
        result = project_folder.run('routes')
        assert result.returncode == 0
        assert result.stdout.startswith('METHOD')
        (line,) = lines(result.stderr)
        assert line.startswith("Warning: what tasks adds to 'routes' is missing: LookupError: no luck")


class TestOwnCommands:
    SOURCE = """
        import click

        @click.command()
        def greet():
            '''Greet from the project.'''
            click.echo('hello')

        @click.group()
        def stock():
            '''Look after the stock.'''

        @stock.command()
        def count():
            click.echo('12')
    """

    def test_the_commands_of_the_project_are_listed_and_run(self, project_folder):
        project_folder.write('shop/commands.py', self.SOURCE)
        listed = project_folder.run('--help').stdout
        assert 'Greet from the project.' in listed
        assert 'Look after the stock.' in listed
        assert '\n  count ' not in listed
        assert project_folder.run('greet').stdout == 'hello\n'
        assert project_folder.run('stock', 'count').stdout == '12\n'

    def test_they_may_use_the_settings_when_they_are_imported(self, project_folder):
        project_folder.write(
            'shop/commands.py',
            """
            import click
            from colibris.conf import settings

            PORT = settings.PORT

            @click.command()
            def port():
                click.echo(PORT)
        """,
        )
        assert project_folder.run('port').stdout == '8888\n'

    def test_a_broken_module_breaks_only_them(self, project_folder):
        project_folder.write('shop/commands.py', '\n\nnonsense\n')
        listed = project_folder.run('--help')
        assert listed.returncode == 0
        assert "shop/commands.py, line 3: NameError: name 'nonsense' is not defined" in ' '.join(listed.stdout.split())
        assert project_folder.run('routes').returncode == 0
        result = project_folder.run('greet')
        assert result.returncode == 2
        assert 'shop/commands.py, line 3' in result.stderr

    def test_the_name_of_a_command_of_core_is_refused(self, project_folder):
        project_folder.write('shop/commands.py', 'import click\n@click.command()\ndef routes(): pass\n')
        result = project_folder.run('routes')
        assert result.returncode == 1
        (line,) = lines(result.stderr)
        assert "two commands are named 'routes'" in line
        assert 'shop/commands.py' in line
        assert project_folder.run('settings').returncode == 0


class TestErrors:
    def test_wrong_settings_are_one_line(self, project_folder):
        project_folder.write('shop/settings.py', "PORT = 'many'\n")
        result = project_folder.run('routes')
        assert result.returncode == 1
        (line,) = lines(result.stderr)
        assert line.startswith('Error: PORT (settings.py)')

    def test_an_error_in_the_project_names_its_line(self, project_folder):
        project_folder.write('shop/routes.py', 'ROUTES = []\n1 / 0\n')
        result = project_folder.run('routes')
        assert result.returncode == 1
        assert lines(result.stderr) == ['Error: shop/routes.py, line 2: ZeroDivisionError: division by zero']

    def test_a_syntax_error_names_its_line(self, project_folder):
        project_folder.write('shop/routes.py', 'ROUTES = [\n')
        result = project_folder.run('routes')
        assert lines(result.stderr) == ["Error: shop/routes.py, line 1: SyntaxError: '[' was never closed"]

    def test_the_traceback_is_shown_when_it_is_asked_for(self, project_folder):
        project_folder.write('shop/routes.py', '1 / 0\n')
        result = project_folder.run('--traceback', 'routes')
        assert result.returncode == 1
        assert result.stderr.startswith('Traceback')
        assert 'shop/routes.py' in result.stderr

    def test_in_debug_the_traceback_of_an_unforeseen_error_is_shown(self, project_folder):
        project_folder.write('shop/settings.py', 'DEBUG = True\n')
        project_folder.write('shop/commands.py', 'import click\n\n@click.command()\ndef fail():\n    1 / 0\n')
        result = project_folder.run('fail')
        first, frame, *_, last = lines(result.stderr)
        assert first.startswith('Traceback')
        assert 'shop/commands.py' in frame
        assert last == 'Error: shop/commands.py, line 5: ZeroDivisionError: division by zero'

    def test_in_debug_an_error_of_an_import_is_one_line(self, project_folder):
        project_folder.write('shop/settings.py', 'DEBUG = True\n')
        project_folder.write('shop/routes.py', 'from shop import views\n')
        project_folder.write('shop/views.py', 'import nowhere\n')
        assert lines(project_folder.run('routes').stderr) == [
            "Error: shop/views.py, line 1: ModuleNotFoundError: No module named 'nowhere'"
        ]

    def test_in_debug_a_mistake_that_explains_itself_is_one_line(self, project_folder):
        project_folder.write('shop/settings.py', 'DEBUG = True\n')
        project_folder.write('shop/routes.py', "ROUTES = [('items', print)]\n")
        (line,) = lines(project_folder.run('routes').stderr)
        assert line.startswith('Error: shop.routes.ROUTES[0]')


def test_a_closed_pipe_is_no_error(project_folder):
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        project_folder.command('settings'), stdout=writing, stderr=subprocess.PIPE, text=True, cwd=project_folder.root
    )
    os.close(writing)
    assert 'Traceback' not in result.stderr


def test_the_console_script_of_an_installed_project_finds_its_package(project_folder):
    script = 'from shop.manage import main; main()'
    project_folder.environment['PYTHONPATH'] = str(project_folder.root)
    result = project_folder.call([sys.executable, '-c', script, 'settings'], cwd=Path('/'))
    assert result.returncode == 0, result.stderr
    assert str(project_folder.root.resolve() / 'shop') in result.stdout
