"""Fetch a template with git, running nothing that the repository or the machine's configuration would add."""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from colibris.startproject.errors import CloneFailed
from colibris.startproject.template import SCHEMES, GitTemplate

TIME_LIMIT = 120.0  # seconds

CONFIGURATION = {
    'advice.detachedHead': 'false',
    'core.hooksPath': os.devnull,
    'core.symlinks': 'true',  # so that a link is seen, and refused, as one
    'protocol.allow': 'never',
    **{f'protocol.{scheme}.allow': 'always' for scheme in SCHEMES},
}
# A git command or hook that runs us tells its own repository by these.
FOREIGN_VARIABLES = ('GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_COMMON_DIR', 'GIT_OBJECT_DIRECTORY')


def clone(template: GitTemplate, into: Path, *, time_limit: float = TIME_LIMIT) -> None:
    """Fetch the newest commit of *template*, or that of its tag, into the new folder *into*.

    Never asks on the terminal. Raises `CloneFailed` with git's own reason, or when *time_limit* seconds have passed.
    """
    shown = _without_credentials(template.url) + (f'@{template.tag}' if template.tag else '')
    try:
        # A session of its own has no terminal to ask on, and ends with all its children.
        process = subprocess.Popen(
            _command(template, into),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as exc:
        raise CloneFailed(f'fetching {shown} needs git, which is not installed') from exc
    try:
        _, stderr = process.communicate(timeout=time_limit)
    except subprocess.TimeoutExpired as exc:
        raise CloneFailed(f'git did not fetch {shown} within {time_limit:.0f} seconds') from exc
    finally:
        _end(process)
    if process.returncode:
        raise CloneFailed(f'git could not fetch {shown}: {_reason(stderr.decode(errors="replace"))}')


def _command(template: GitTemplate, into: Path) -> list[str]:
    options = [part for name, value in CONFIGURATION.items() for part in ('-c', f'{name}={value}')]
    command = ['git', *options, 'clone', '--quiet', '--depth=1', '--single-branch', '--no-recurse-submodules']
    command += ['--template=']  # none of the machine's own hooks either
    if template.tag:
        command += [f'--branch={template.tag}']
    return [*command, '--', template.url, str(into)]


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
    return inherited | {'GIT_TERMINAL_PROMPT': '0', 'LC_ALL': 'C'}


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _reason(stderr: str) -> str:
    """Return the line in which git says why, without what may be secret."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # Where ssh failed, what it said stands before git's own line.
    telling = [
        line for line in lines if line.startswith(('fatal:', 'error:')) and 'Could not read' not in line
    ] or lines
    reason = telling[0] if telling else 'no reason given'
    return _without_credentials(reason.removeprefix('fatal: '))


def _without_credentials(text: str) -> str:
    return re.sub(r'(https?://)[^/@\s]*@', r'\1', text)
