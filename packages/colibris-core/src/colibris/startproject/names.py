"""From the name of a project to the name of its package."""

import keyword
import re
import sys
from importlib import metadata

from colibris.startproject.errors import InvalidName

PROJECT_NAME = re.compile(r'[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?')  # as in a distribution's metadata (PEP 508)
RESERVED = frozenset({'colibris', 'pip', 'python', 'python3', 'test'})
MAX_LENGTH = 100


def package_name(project: str) -> str:
    """Return the name of the package of *project*: `Shop-Floor` gives `shopfloor`.

    Raises `InvalidName` if a folder, a distribution or a Python package cannot bear it.
    """
    if len(project) > MAX_LENGTH:
        raise InvalidName(f'the name of a project has at most {MAX_LENGTH} characters, this one has {len(project)}')
    if not PROJECT_NAME.fullmatch(project):
        raise InvalidName(
            f"{project!r} cannot name a project: use letters of the ASCII alphabet, digits, '-', '_' and '.', "
            "beginning with a letter and ending with a letter or digit, such as 'shop-floor'"
        )
    package = re.sub(r'[^a-z0-9_]', '', project.lower())
    if reason := _objection(package):
        raise InvalidName(f'{project!r} cannot name a project: its package, {package!r}, {reason}; choose another name')
    return package


def _objection(package: str) -> str | None:
    if package[0].isdigit():
        return 'would begin with a digit'
    if keyword.iskeyword(package):
        return 'would be a keyword of Python'
    if package in sys.stdlib_module_names:
        return 'would hide a module of the standard library'
    if package in RESERVED:
        return 'is a reserved name'
    owners = {_canonical(owner) for owner in metadata.packages_distributions().get(package, ())}
    if needed := owners & _needed_distributions():
        return f'would hide that of {min(needed)}, which Colibris needs'
    return None


def _needed_distributions() -> set[str]:
    """Return what Colibris and the subsystems installed depend on, directly or not, extras included."""
    seen: set[str] = set()
    subsystems = metadata.entry_points(group='colibris.subsystems')
    todo = ['colibris', 'colibris-core', *(entry.dist.name for entry in subsystems if entry.dist)]
    while todo:
        name = _canonical(todo.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        todo += [re.split(r'[^A-Za-z0-9._-]', requirement, maxsplit=1)[0] for requirement in requirements]
    return seen


def _canonical(distribution: str) -> str:
    return re.sub(r'[-_.]+', '-', distribution).lower()
