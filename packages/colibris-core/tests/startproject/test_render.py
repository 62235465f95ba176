"""Copying a template with its placeholders filled in."""

import os
import stat
from pathlib import Path

import pytest

from colibris.startproject.errors import InvalidTemplate
from colibris.startproject.render import render

PLACEHOLDERS = {'__packagename__': 'shopfloor', '__projectname__': 'shop-floor'}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / 'template'
    folder.mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / 'project'


def test_placeholders_are_filled_in_in_contents_and_in_paths(template: Path, project: Path) -> None:
    package = template / '__packagename__'
    package.mkdir()
    (package / '__projectname__.txt').write_text('__projectname__ has __packagename__ and __other__')

    render(template, project, PLACEHOLDERS)

    assert (project / 'shopfloor' / 'shop-floor.txt').read_text() == 'shop-floor has shopfloor and __other__'


def test_binary_files_are_copied_untouched(template: Path, project: Path) -> None:
    contents = [b'\x89PNG\0__packagename__', b'\xff\xfe__packagename__']
    for number, content in enumerate(contents):
        (template / f'{number}.bin').write_bytes(content)

    render(template, project, PLACEHOLDERS)

    assert [(project / f'{number}.bin').read_bytes() for number in range(2)] == contents


def test_line_ends_are_kept(template: Path, project: Path) -> None:
    (template / 'a.txt').write_bytes(b'__packagename__\r\nb\n')

    render(template, project, PLACEHOLDERS)

    assert (project / 'a.txt').read_bytes() == b'shopfloor\r\nb\n'


def test_modes_are_kept_but_for_set_user_id(template: Path, project: Path) -> None:
    for name, mode in (('run', 0o755), ('data', 0o644), ('setuid', 0o4755)):
        (template / name).touch()
        (template / name).chmod(mode)

    render(template, project, PLACEHOLDERS)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in project.iterdir()}
    assert modes == {'run': 0o755, 'data': 0o644, 'setuid': 0o755}


def test_only_modules_lose_the_suffix_tmpl(template: Path, project: Path) -> None:
    (template / 'app.py.tmpl').touch()
    (template / 'nginx.conf.tmpl').touch()

    render(template, project, PLACEHOLDERS)

    assert sorted(path.name for path in project.iterdir()) == ['app.py', 'nginx.conf.tmpl']


def test_hidden_files_and_empty_folders_are_copied(template: Path, project: Path) -> None:
    (template / '.gitignore').touch()
    (template / 'static').mkdir()

    render(template, project, PLACEHOLDERS)

    assert sorted(path.name for path in project.iterdir()) == ['.gitignore', 'static']


def test_the_history_of_a_template_and_the_caches_of_tools_are_left_out(template: Path, project: Path) -> None:
    for name in ('.git', '__pycache__', '.ruff_cache'):
        (template / name).mkdir()
        (template / name / 'file').touch()
    (template / 'README.md').touch()

    render(template, project, PLACEHOLDERS)

    assert [path.name for path in project.iterdir()] == ['README.md']


@pytest.mark.parametrize('destination', ['/etc/passwd', '..', 'README.md', '/no/such/file'])
def test_symbolic_links_are_refused(template: Path, project: Path, destination: str) -> None:
    (template / 'README.md').touch()
    (template / 'docs').mkdir()
    (template / 'docs' / 'link').symlink_to(destination)

    with pytest.raises(InvalidTemplate, match="'docs/link' is a symbolic link"):
        render(template, project, PLACEHOLDERS)


def test_what_is_no_file_is_refused(template: Path, project: Path) -> None:
    os.mkfifo(template / 'pipe')

    with pytest.raises(InvalidTemplate, match="'pipe' is neither a file nor a folder"):
        render(template, project, PLACEHOLDERS)


@pytest.mark.parametrize('names', [('app.py', 'app.py.tmpl'), ('__packagename__', 'ShopFloor')])
def test_two_entries_that_would_become_one_are_refused(template: Path, project: Path, names: tuple[str, str]) -> None:
    for name in names:
        (template / name).touch()

    with pytest.raises(InvalidTemplate, match='would both become'):
        render(template, project, PLACEHOLDERS)


def test_an_empty_template_is_refused(template: Path, project: Path) -> None:
    with pytest.raises(InvalidTemplate, match='is empty'):
        render(template, project, PLACEHOLDERS)
