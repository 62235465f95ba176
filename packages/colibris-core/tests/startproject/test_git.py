"""Fetching a template with git."""

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from colibris.startproject.errors import CloneFailed
from colibris.startproject.git import clone
from colibris.startproject.template import GitTemplate


def git(folder: Path, *arguments: str) -> None:
    identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', '-c', 'protocol.file.allow=always']
    subprocess.run(['git', '-C', folder, *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose file `version` says 1 at the tag v1, and 2 now."""
    folder = tmp_path / 'a repository'
    folder.mkdir()
    git(folder, 'init', '-q')
    for version in '12':
        (folder / 'version').write_text(version)
        git(folder, 'add', '.')
        git(folder, 'commit', '-q', '-m', version)
        git(folder, 'tag', f'v{version}')
    return folder


def test_the_newest_commit_is_fetched(repository: Path, tmp_path: Path) -> None:
    clone(GitTemplate(repository.as_uri()), tmp_path / 'made')

    assert (tmp_path / 'made' / 'version').read_text() == '2'


def test_a_tag_is_fetched(repository: Path, tmp_path: Path) -> None:
    clone(GitTemplate(repository.as_uri(), 'v1'), tmp_path / 'made')

    assert (tmp_path / 'made' / 'version').read_text() == '1'


def test_a_missing_tag_is_told_in_one_line(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(CloneFailed, match='v3 not found') as failure:
        clone(GitTemplate(repository.as_uri(), 'v3'), tmp_path / 'made')
    assert '\n' not in str(failure.value)


def test_no_hook_of_the_machine_runs(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = tmp_path / 'templates' / 'hooks'
    hooks.mkdir(parents=True)
    hook = hooks / 'post-checkout'
    hook.write_text(f'#!/bin/sh\ntouch "{tmp_path}/ran"\n')
    hook.chmod(0o755)
    configuration = tmp_path / 'gitconfig'
    configuration.write_text(f'[init]\n\ttemplateDir = {tmp_path}/templates\n[core]\n\thooksPath = {hooks}\n')
    monkeypatch.setenv('GIT_CONFIG_GLOBAL', str(configuration))

    clone(GitTemplate(repository.as_uri()), tmp_path / 'made')

    assert not (tmp_path / 'ran').exists()


def test_submodules_are_not_fetched(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer = tmp_path / 'outer'
    outer.mkdir()
    git(outer, 'init', '-q')
    git(outer, 'submodule', 'add', '-q', repository.as_uri(), 'inner')
    git(outer, 'commit', '-q', '-m', 'inner')
    configuration = tmp_path / 'gitconfig'
    configuration.write_text('[submodule]\n\trecurse = true\n')
    monkeypatch.setenv('GIT_CONFIG_GLOBAL', str(configuration))

    clone(GitTemplate(outer.as_uri()), tmp_path / 'made')

    assert list((tmp_path / 'made' / 'inner').iterdir()) == []


def test_a_repository_around_us_does_not_matter(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('GIT_DIR', str(tmp_path / 'elsewhere'))
    monkeypatch.setenv('GIT_INDEX_FILE', str(tmp_path / 'index'))

    clone(GitTemplate(repository.as_uri()), tmp_path / 'made')

    assert (tmp_path / 'made' / 'version').read_text() == '2'


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(('127.0.0.1', 0)) as silent:
        url = f'https://127.0.0.1:{silent.getsockname()[1]}/skeleton.git'
        started = time.monotonic()
        with pytest.raises(CloneFailed, match='within 1 seconds'):
            clone(GitTemplate(url), tmp_path / 'made', time_limit=1)
        assert time.monotonic() - started < 10


def test_credentials_are_not_shown(tmp_path: Path) -> None:
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(CloneFailed) as failure:
        clone(GitTemplate(f'https://me:secret@127.0.0.1:{port}/skeleton.git'), tmp_path / 'made')
    assert 'secret' not in str(failure.value)


def test_the_reason_of_ssh_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / 'ssh'
    ssh.write_text('#!/bin/sh\necho "Host key verification failed." >&2\nexit 255\n')
    ssh.chmod(0o755)
    monkeypatch.setenv('GIT_SSH_COMMAND', str(ssh))

    with pytest.raises(CloneFailed, match='Host key verification failed'):
        clone(GitTemplate('git@example.com:skeleton.git'), tmp_path / 'made')


def test_a_missing_git_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', os.fspath(tmp_path))

    with pytest.raises(CloneFailed, match='needs git, which is not installed'):
        clone(GitTemplate('https://example.com/skeleton.git'), tmp_path / 'made')
