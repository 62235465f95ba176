"""Copy a template, filling in its placeholders."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from colibris.startproject.errors import InvalidTemplate

# Never part of a template: a repository's own data, and what tools leave behind.
SKIPPED = frozenset({'.git', '__pycache__', '.mypy_cache', '.pytest_cache', '.ruff_cache', '.DS_Store'})
# Installers compile every .py file of a package; those of a skeleton inside it are no Python yet.
MODULE_SUFFIX = '.py.tmpl'


def render(template: Path, project: Path, placeholders: Mapping[str, str]) -> None:
    """Copy the folder *template* to the new folder *project*.

    *placeholders* are replaced by their values in paths and in the contents of text files (UTF-8); binary files are
    copied untouched, modes are kept. Raises `InvalidTemplate` for what is neither a file nor a folder.
    """
    if not _copy_folder(template, project, placeholders, inside=template):
        raise InvalidTemplate(f'the template {str(template)!r} is empty')


def _copy_folder(source: Path, target: Path, placeholders: Mapping[str, str], *, inside: Path) -> bool:
    target.mkdir()
    taken: dict[str, Path] = {}
    for entry in sorted(source.iterdir()):
        if entry.name in SKIPPED:
            continue
        name = _target_name(entry.name, placeholders)
        key = name.casefold()  # there are file systems that take 'Pipfile' and 'pipfile' for one
        if key in taken:
            first, second = taken[key].relative_to(inside), entry.relative_to(inside)
            raise InvalidTemplate(f"the template's {str(first)!r} and {str(second)!r} would both become {name!r}")
        taken[key] = entry
        _copy_entry(entry, target / name, placeholders, inside=inside)
    return bool(taken)


def _target_name(name: str, placeholders: Mapping[str, str]) -> str:
    if name.endswith(MODULE_SUFFIX):
        name = name.removesuffix('.tmpl')
    for placeholder, value in placeholders.items():
        name = name.replace(placeholder, value)
    return name


def _copy_entry(source: Path, target: Path, placeholders: Mapping[str, str], *, inside: Path) -> None:
    mode = os.lstat(source).st_mode
    if stat.S_ISDIR(mode):
        _copy_folder(source, target, placeholders, inside=inside)
    elif stat.S_ISREG(mode):
        target.write_bytes(_filled(source.read_bytes(), placeholders))
        target.chmod(stat.S_IMODE(mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR)
    else:
        kind = 'a symbolic link' if stat.S_ISLNK(mode) else 'neither a file nor a folder'
        raise InvalidTemplate(f"the template's {str(source.relative_to(inside))!r} is {kind}, which is not copied")


def _filled(content: bytes, placeholders: Mapping[str, str]) -> bytes:
    if not _is_text(content):
        return content
    for placeholder, value in placeholders.items():
        content = content.replace(placeholder.encode(), value.encode())
    return content


def _is_text(content: bytes) -> bool:
    if b'\0' in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
