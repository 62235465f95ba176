"""`colibris-start-project` as its users run it."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from colibris.startproject import StartProjectError, start_project

COMMAND = [sys.executable, '-c', 'from colibris.commands.startproject import main; main()']


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / 'template'
    package = folder / '__packagename__'
    package.mkdir(parents=True)
    (package / 'manage.py').write_text('# __packagename__ of __projectname__\n')
    return folder


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    folder = tmp_path / 'workplace'
    folder.mkdir()
    return folder


def run(workplace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=workplace, capture_output=True, text=True, timeout=60)


def test_a_project_is_made_and_the_next_commands_are_told(workplace: Path, template: Path) -> None:
    result = run(workplace, 'shop-floor', '--template', str(template))

    assert result.returncode == 0, result.stderr
    assert (workplace / 'shop-floor' / 'shopfloor' / 'manage.py').read_text() == '# shopfloor of shop-floor\n'
    assert 'cd shop-floor' in result.stdout
    assert './shopfloor/manage.py migrate' in result.stdout
    assert [path.name for path in workplace.iterdir()] == ['shop-floor']


def test_the_command_line_has_it_as_well(workplace: Path, template: Path) -> None:
    colibris = [sys.executable, '-c', 'from colibris.commands import main; main()', 'startproject', 'shop']
    subprocess.run([*colibris, '--template', str(template)], cwd=workplace, check=True, timeout=60)

    assert (workplace / 'shop' / 'shop' / 'manage.py').is_file()


def test_a_private_file_holds_debug_and_a_secret_of_its_own(workplace: Path, template: Path) -> None:
    for name in ('one', 'two'):
        start_project(name, str(template), parent=workplace)

    files = [workplace / name / '.env' for name in ('one', 'two')]
    settings = [dict(line.split('=') for line in file.read_text().splitlines()) for file in files]
    assert [values['DEBUG'] for values in settings] == ['true', 'true']
    assert all(len(values['SECRET_KEY']) >= 32 for values in settings)
    assert settings[0]['SECRET_KEY'] != settings[1]['SECRET_KEY']
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_the_private_file_of_a_template_is_kept(workplace: Path, template: Path) -> None:
    (template / '.env').write_text('PORT=9000\n')

    start_project('shop', str(template), parent=workplace)

    assert (workplace / 'shop' / '.env').read_text() == 'PORT=9000\n'


def test_a_project_is_made_from_a_tag_of_a_repository(workplace: Path, template: Path) -> None:
    git = ['git', '-C', str(template), '-c', 'user.name=Test', '-c', 'user.email=test@example.com']
    for arguments in (['init', '-q'], ['add', '.'], ['commit', '-q', '-m', 'first'], ['tag', 'v1']):
        subprocess.run([*git, *arguments], check=True)
    (template / 'later').touch()
    for arguments in (['add', '.'], ['commit', '-q', '-m', 'second']):
        subprocess.run([*git, *arguments], check=True)

    result = run(workplace, 'shop', '--template', f'{template.as_uri()}@v1')

    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (workplace / 'shop').iterdir()) == ['.env', 'shop']


@pytest.mark.parametrize('name', ['1shop', 'class', 'json', 'colibris', '---', 'a/b', '..', ''])
def test_a_bad_name_is_one_line_and_leaves_nothing(workplace: Path, template: Path, name: str) -> None:
    result = run(workplace, name, '--template', str(template))

    assert result.returncode == 1
    assert result.stderr.startswith('Error: ')
    assert result.stderr.count('\n') == 1
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize('kind', ['folder', 'file', 'link'])
def test_what_is_there_already_is_left_alone(workplace: Path, template: Path, kind: str) -> None:
    target = workplace / 'shop'
    match kind:
        case 'folder':
            target.mkdir()
        case 'file':
            target.touch()
        case 'link':
            target.symlink_to('nowhere')

    result = run(workplace, 'shop', '--template', str(template))

    assert result.returncode == 1
    assert 'exists already' in result.stderr
    assert result.stderr.count('\n') == 1
    assert [path.name for path in workplace.iterdir()] == ['shop']
    assert kind != 'folder' or list(target.iterdir()) == []


@pytest.mark.parametrize('inside', ['.', 'shops/new'])
def test_a_project_is_not_made_inside_its_template(template: Path, inside: str) -> None:
    folder = template / inside
    folder.mkdir(parents=True, exist_ok=True)
    before = sorted(template.rglob('*'))

    result = run(folder, 'shop', '--template', str(template))

    assert result.returncode == 1
    assert 'would lie inside its own template' in result.stderr
    assert sorted(template.rglob('*')) == before


@pytest.mark.parametrize('template', ['file:///no/such/repository', 'ext::sh', '/no/such/folder', '--upload-pack=x'])
def test_a_bad_template_is_one_line_and_leaves_nothing(workplace: Path, template: str) -> None:
    result = run(workplace, 'shop', '--template', template)

    assert result.returncode == 1
    assert result.stderr.startswith('Error: ')
    assert result.stderr.count('\n') == 1
    assert list(workplace.iterdir()) == []


def test_a_template_refused_halfway_leaves_nothing(workplace: Path, template: Path) -> None:
    (template / 'z').symlink_to('/etc/passwd')

    result = run(workplace, 'shop', '--template', str(template))

    assert result.returncode == 1
    assert "'z' is a symbolic link" in result.stderr
    assert list(workplace.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_cannot_be_written_to_is_one_line(workplace: Path, template: Path) -> None:
    workplace.chmod(0o500)

    result = run(workplace, 'shop', '--template', str(template))

    assert result.returncode == 1
    assert result.stderr.count('\n') == 1


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(workplace: Path, number: signal.Signals) -> None:
    with socket.create_server(('127.0.0.1', 0)) as silent:
        silent.settimeout(30)
        url = f'https://127.0.0.1:{silent.getsockname()[1]}/skeleton.git'
        process = subprocess.Popen([*COMMAND, 'shop', '--template', url], cwd=workplace, stderr=subprocess.PIPE)
        connection, _ = silent.accept()  # git is at work now
        with connection:
            assert list(workplace.iterdir()) != []
            process.send_signal(number)
            _, stderr = process.communicate(timeout=30)
            assert process.returncode != 0
            assert b'Traceback' not in stderr
            assert list(workplace.iterdir()) == []
            deadline = time.monotonic() + 10
            connection.settimeout(10)
            while connection.recv(4096):  # until git is gone as well
                assert time.monotonic() < deadline


def test_a_folder_that_appears_meanwhile_is_not_replaced(
    workplace: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def appear(*arguments: object) -> bool:
        (workplace / 'shop').mkdir()
        return False

    monkeypatch.setattr('colibris.startproject.os.path.lexists', appear)

    with pytest.raises(StartProjectError, match='exists already'):
        start_project('shop', str(template), parent=workplace)
    assert [path.name for path in workplace.iterdir()] == ['shop']
