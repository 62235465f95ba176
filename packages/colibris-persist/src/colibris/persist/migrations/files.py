"""The migration files of a project: finding, reading and writing them."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colibris.persist.migrations.errors import InvalidMigration, MigrationError
from colibris.persist.migrations.script import SQLITE_BEFORE

if TYPE_CHECKING:
    from tortoise.backends.base.client import BaseDBAsyncClient

Step = Callable[['BaseDBAsyncClient'], Awaitable[str]]

_FILE = re.compile(r'(\d+)_(\w+)\.py')
_NAME = re.compile(r'[A-Za-z0-9_]+')

#: The longest name that the tracking table takes.
MAX_LENGTH = 255


@dataclass(frozen=True)
class Migration:
    """One migration file."""

    path: Path
    number: int

    @property
    def file(self) -> str:
        return self.path.name

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def upgrade(self) -> Step:
        return self._step('upgrade')

    @property
    def downgrade(self) -> Step:
        return self._step('downgrade')

    @property
    def in_transaction(self) -> bool:
        """Whether the file runs in a transaction; it says ``RUN_IN_TRANSACTION = False`` if it must not."""
        return bool(self._namespace.get('RUN_IN_TRANSACTION', True))

    @property
    def state_text(self) -> str:
        """The state as it stands in the file."""
        text = self._namespace.get('MODELS_STATE')
        if not isinstance(text, str) or not text:
            raise InvalidMigration(self.file, 'it has no MODELS_STATE; restore the file as makemigrations wrote it')
        return text

    @property
    def state_json(self) -> str:
        """The state as JSON."""
        try:
            text = zlib.decompress(base64.b64decode(self.state_text, validate=True)).decode()
            json.loads(text)
        except ValueError as exc:
            raise self._unreadable(exc) from exc
        except zlib.error as exc:
            raise self._unreadable(exc) from exc
        return text

    @property
    def made(self) -> list[str]:
        """What the file made according to its docstring, and a downgrade drops: tables and columns, in words."""
        lines = str(self._namespace.get('__doc__') or '').splitlines()
        return [line[len(prefix) :] for line in lines for prefix in ('- create ', '- add ') if _is_kept(line, prefix)]

    def check(self) -> None:
        """Raise InvalidMigration if the file cannot be used."""
        _ = self.upgrade, self.downgrade, self.state_json

    def rebuilds(self, direction: str) -> bool:
        """Whether the file wants SQLite's foreign keys off; *direction* is ``upgrade`` or ``downgrade``."""
        statements = self._namespace.get(direction.upper())
        if not isinstance(statements, Mapping):
            return False
        return SQLITE_BEFORE[0] in statements.get('sqlite', ())

    def _unreadable(self, exc: Exception) -> InvalidMigration:
        return InvalidMigration(self.file, f'its MODELS_STATE cannot be read ({exc}); restore the file')

    def _step(self, name: str) -> Step:
        step = self._namespace.get(name)
        if not callable(step):
            raise InvalidMigration(self.file, f'it has no function {name}(db)')
        return step  # type: ignore[no-any-return]

    @cached_property
    def _namespace(self) -> dict[str, Any]:
        namespace: dict[str, Any] = {'__name__': f'migrations.{self.name}', '__file__': str(self.path)}
        try:
            code = compile(self.path.read_text(encoding='utf-8'), str(self.path), 'exec')
        except SyntaxError as exc:
            where = f'line {exc.lineno}' if exc.lineno else 'it'
            raise InvalidMigration(self.file, f'{where} is not Python: {exc.msg}') from exc
        except (OSError, ValueError) as exc:
            raise InvalidMigration(self.file, f'it cannot be read: {exc}') from exc
        try:
            exec(code, namespace)
        except Exception as exc:
            raise InvalidMigration(self.file, f'it cannot be loaded: {type(exc).__name__}: {exc}') from exc
        return namespace


def _is_kept(line: str, prefix: str) -> bool:
    """Whether *line* tells of a table or a column, which hold values, and not of an index."""
    return line.startswith((f'{prefix}table ', f'{prefix}column '))


class Folder:
    """The folder of a project's migrations, in the order of their numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def migrations(self) -> list[Migration]:
        """Return all migrations. Raises MigrationError when two bear the same number."""
        found: dict[int, Migration] = {}
        names = sorted(item.name for item in self.path.glob('*.py')) if self.path.is_dir() else []
        for name in names:
            if match := _FILE.fullmatch(name):
                migration = Migration(self.path / name, int(match[1]))
                if (other := found.get(migration.number)) is not None:
                    raise MigrationError(
                        f'{other.file} and {name} bear the same number, as happens when branches are merged: delete'
                        ' the one that has not been applied anywhere yet, and run makemigrations again for its changes'
                    )
                found[migration.number] = migration
        return [found[number] for number in sorted(found)]

    def next_file(self, name: str) -> Path:
        """Return the path of the next migration. Raises MigrationError when *name* cannot be part of it."""
        if not _NAME.fullmatch(name):
            raise MigrationError(f'{name!r} cannot be the name of a migration: use letters, digits and underscores')
        migrations = self.migrations()
        number = migrations[-1].number + 1 if migrations else 1
        file = f'{number:04}_{name}.py'
        if len(file) > MAX_LENGTH:
            raise MigrationError(f'the name {name[:20]}… is too long: a file name has {MAX_LENGTH} characters at most')
        return self.path / file

    def write(self, path: Path, text: str) -> None:
        """Write the new migration file *path*; the folder is made when it is missing."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / '__init__.py').exists():
                (self.path / '__init__.py').touch()
            with path.open('x', encoding='utf-8') as file:
                file.write(text)
        except OSError as exc:
            raise MigrationError(f'{path} cannot be written: {exc.strerror}') from exc


def find(migrations: Sequence[Migration], wanted: str) -> int:
    """Return how many migrations are applied when *wanted* is the last one: a name, a number, or ``zero``."""
    if wanted == 'zero':
        return 0
    if wanted.isdigit():
        fits = [place for place, item in enumerate(migrations) if item.number == int(wanted)]
    else:
        stem = wanted.removesuffix('.py')
        fits = [place for place, item in enumerate(migrations) if item.name == stem]
        fits = fits or [place for place, item in enumerate(migrations) if item.name.split('_', 1)[1] == stem]
    if len(fits) == 1:
        return fits[0] + 1
    there = ', '.join(item.name for item in migrations) or 'none'
    if not fits:
        raise MigrationError(f'there is no migration {wanted!r}; there are: {there}')
    raise MigrationError(f'{wanted!r} fits several migrations; give the number')
