"""What `--template` may name."""

import subprocess
from pathlib import Path

import pytest

from colibris.startproject.errors import InvalidTemplate
from colibris.startproject.template import GitTemplate, locate


@pytest.mark.parametrize(
    ('spec', 'url', 'tag'),
    [
        ('https://example.com/team/service.git', 'https://example.com/team/service.git', None),
        ('https://example.com/team/service.git@v1.2', 'https://example.com/team/service.git', 'v1.2'),
        ('https://example.com/@team/service@release/1', 'https://example.com/@team/service', 'release/1'),
        ('https://example.com/@team/service', 'https://example.com/@team/service', None),
        ('https://me:secret@example.com/service@v1', 'https://me:secret@example.com/service', 'v1'),
        ('HTTPS://example.com/service', 'https://example.com/service', None),
        ('ssh://git@example.com:2222/team/service.git@v1', 'ssh://git@example.com:2222/team/service.git', 'v1'),
        ('ssh://git@[::1]/service.git', 'ssh://git@[::1]/service.git', None),
        ('git@github.com:team/service.git', 'git@github.com:team/service.git', None),
        ('git@github.com:team/service.git@v1', 'git@github.com:team/service.git', 'v1'),
        ('github.com:team/service.git@v1', 'github.com:team/service.git', 'v1'),
        ('file:///srv/service@v1', 'file:///srv/service', 'v1'),
    ],
)
def test_addresses_of_git_repositories(spec: str, url: str, tag: str | None) -> None:
    assert locate(spec) == GitTemplate(url, tag)


@pytest.mark.parametrize(
    'spec',
    [
        '',
        'no-such-folder',
        '/no/such/folder',
        '--upload-pack=touch /tmp/x',
        '-u',
        'http://example.com/service.git',
        'git://example.com/service.git',
        'ftp://example.com/service.git',
        'ext::sh -c touch% /tmp/x',
        'ssh://-oProxyCommand=touch/service',
        'ssh://-oProxyCommand=touch@example.com/service',
        'ssh:///service',
        'git@-oProxyCommand=touch:service',
        '-oProxyCommand=touch@example.com:service',
        'git@example.com:-service',
        'https://example.com',
        'https://example.com:port/service',
        'https:///service',
        'file://server/service',
        'https://example.com/service@',
        'https://example.com/service@--upload-pack=x',
        'https://example.com/service@v 1',
        'https://example.com/ser\nvice',
    ],
)
def test_everything_else_is_refused_in_one_line(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidTemplate) as failure:
        locate(spec)

    assert '\n' not in str(failure.value)


def test_a_folder(tmp_path: Path) -> None:
    assert locate(str(tmp_path)) == tmp_path.resolve()


def test_a_folder_below_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'skeleton').mkdir()

    assert locate('~/skeleton') == tmp_path.resolve() / 'skeleton'


def test_a_folder_with_an_at_sign_in_its_name_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / 'skeleton@home').mkdir()

    assert locate(f'{tmp_path}/skeleton@home') == tmp_path.resolve() / 'skeleton@home'
    assert locate(f'file://{tmp_path}/skeleton@home') == GitTemplate(f'file://{tmp_path}/skeleton@home')


def test_a_folder_that_is_a_repository_may_have_a_tag(tmp_path: Path) -> None:
    subprocess.run(['git', 'init', '-q', tmp_path / 'skeleton'], check=True)

    assert locate(f'{tmp_path}/skeleton@v1') == GitTemplate((tmp_path.resolve() / 'skeleton').as_uri(), 'v1')


def test_a_folder_that_is_no_repository_has_no_tags(tmp_path: Path) -> None:
    (tmp_path / 'skeleton').mkdir()

    with pytest.raises(InvalidTemplate, match="has no tag 'v1'"):
        locate(f'{tmp_path}/skeleton@v1')


def test_a_bare_repository_is_cloned_not_copied(tmp_path: Path) -> None:
    subprocess.run(['git', 'init', '-q', '--bare', tmp_path / 'skeleton.git'], check=True)

    assert locate(f'{tmp_path}/skeleton.git') == GitTemplate((tmp_path.resolve() / 'skeleton.git').as_uri())


def test_the_default_is_the_skeleton_of_a_service() -> None:
    skeleton = locate(None)

    assert isinstance(skeleton, Path)
    assert (skeleton / '__packagename__' / 'manage.py.tmpl').is_file()
