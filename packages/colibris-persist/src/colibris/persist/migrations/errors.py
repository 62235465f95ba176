"""What can go wrong with migrations."""

from __future__ import annotations

from collections.abc import Sequence


class MigrationError(Exception):
    """Raised when migrations cannot be made or applied; the message is one that a user can act on."""


class InvalidMigration(MigrationError):
    """Raised when a migration file cannot be read; ``file`` is its name."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        self.reason = reason
        super().__init__(f'{file}: {reason}')


class QuestionUnanswered(MigrationError):
    """Raised when a change needs a decision, and there is neither an option that takes it nor a terminal to ask on."""


class MigrationFailed(MigrationError):
    """Raised when a migration fails in the database.

    ``file`` is its name, ``statement`` the one that failed (empty when Python code of the file did), ``applied`` the
    statements before it that stay applied because the database cannot take them back.
    """

    def __init__(self, file: str, reason: str, *, statement: str = '', applied: Sequence[str] = ()) -> None:
        self.file = file
        self.statement = statement
        self.applied = tuple(applied)
        super().__init__(f'{file}: {reason}')
