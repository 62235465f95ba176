"""The variables that settings schemas read: the environment over ``.env`` over ``.env.default``.

``os.environ`` is read and never changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dotenv.main import DotEnv
from dotenv.parser import Original, parse_stream

from colibris.conf.errors import ImproperlyConfigured

ENVIRONMENT, DOT_ENV, DOT_ENV_DEFAULT = 'environment', '.env', '.env.default'


@dataclass(frozen=True, slots=True)
class Variable:
    """The value of an environment variable and where it comes from."""

    value: str
    source: str


def read_variables(package_dir: Path | None) -> dict[str, Variable]:
    """Return all variables for the project whose package lies in *package_dir*.

    ``.env`` is looked for in the current folder, else in the folder that holds the package.
    """
    layers = [(ENVIRONMENT, dict(os.environ)), (DOT_ENV, read_file(_find_dot_env(package_dir)))]
    if package_dir is not None:
        layers.append((DOT_ENV_DEFAULT, read_file(package_dir / '.env.default')))
    variables: dict[str, Variable] = {}
    for source, values in layers:
        for name, value in values.items():
            variables.setdefault(name, Variable(value, source))
    return variables


def read_file(path: Path | None) -> Mapping[str, str]:
    """Return the variables in a ``.env`` file; one that does not exist, or is a folder, holds none."""
    if path is None or not path.exists() or path.is_dir():
        return {}
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as exc:
        raise ImproperlyConfigured(f'{path} cannot be read: {exc}', source=path.name) from exc
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            raise ImproperlyConfigured(
                f'{path}, line {_line(binding.original)}: expected NAME=value or a comment',
                source=path.name,
            )
    values = DotEnv(None, StringIO(text), interpolate=True, override=False).dict()
    return {name: value for name, value in values.items() if value is not None}


def _line(statement: Original) -> int:
    """Return the line of a statement; the parser counts from the empty lines before it."""
    text = statement.string
    return statement.line + text[: len(text) - len(text.lstrip())].count('\n')


def _find_dot_env(package_dir: Path | None) -> Path | None:
    here = Path.cwd() / '.env'
    if package_dir is None or (here.exists() and not here.is_dir()):
        return here
    return package_dir.parent / '.env'
