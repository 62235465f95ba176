"""What cannot be known from the models: renames, and values for the rows that are there already.

Nothing is guessed. An option answers, or a person on the terminal; where neither does, the error tells the options.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from colibris.persist.migrations.errors import MigrationError, QuestionUnanswered


class Ask(Protocol):
    """Someone who can be asked, such as a person on a terminal."""

    def renamed_model(self, new: str, candidates: Sequence[str]) -> str | None:
        """Return which of *candidates* is called *new* now, or None when *new* is a new model."""

    def renamed_field(self, model: str, new: str, candidates: Sequence[str]) -> str | None:
        """Return which of the fields *candidates* of *model* is called *new* now, or None when *new* is a new one."""

    def value(self, model: str, field: str, reason: str, proposal: str | None) -> str:
        """Return the text of the value that existing rows get; an empty text accepts *proposal*."""


class Answers:
    """The answers given by options, and by *ask* where there are none. Each option must be of use."""

    def __init__(
        self,
        *,
        renames: Iterable[str] = (),
        no_rename: bool = False,
        defaults: Iterable[str] = (),
        ask: Ask | None = None,
        undecided: bool = False,
    ) -> None:
        #: Nothing is written, so values for existing rows need not be known.
        self.undecided = undecided
        self.no_rename = no_rename
        self.ask = ask
        self._renames = [_Rename(text) for text in renames]
        self._defaults = dict(_parse_default(text) for text in defaults)
        self._used_defaults: set[str] = set()

    def model_rename(self, new: str, candidates: Sequence[str]) -> str | None:
        """Return the model among *candidates* that is renamed to *new*."""
        for rename in self._renames:
            if not rename.model and rename.new == new and rename.old in candidates:
                rename.used = True
                return rename.old
        return None

    def field_rename(self, models: Sequence[str], new: str, candidates: Sequence[str]) -> str | None:
        """Return the field among *candidates* that is renamed to *new*; *models* are the names that its model bears."""
        for rename in self._renames:
            if rename.new != new or rename.old not in candidates:
                continue
            if rename.model and rename.model not in models:
                continue
            if rename.used:
                raise MigrationError(
                    f'--rename {rename.text} is ambiguous, several models have these fields:'
                    f' say --rename {models[0]}.{rename.old}:{rename.new}'
                )
            rename.used = True
            return rename.old
        return None

    def ask_model(self, new: str, candidates: Sequence[str]) -> str | None:
        if self.no_rename or not candidates:
            return None
        if self.ask is not None:
            return self.ask.renamed_model(new, candidates)
        options = ' or '.join(f'--rename {old}:{new}' for old in candidates)
        raise QuestionUnanswered(
            f'model {new} is new and {_listed(candidates)} gone: is it a rename, which keeps the rows ({options}),'
            ' or not, which drops the old table with its rows (--no-rename)?'
        )

    def ask_field(self, model: str, new: str, candidates: Sequence[str]) -> str | None:
        if self.no_rename or not candidates:
            return None
        if self.ask is not None:
            return self.ask.renamed_field(model, new, candidates)
        options = ' or '.join(f'--rename {model}.{old}:{new}' for old in candidates)
        raise QuestionUnanswered(
            f'field {model}.{new} is new and {_listed(candidates)} gone: is it a rename, which keeps the values'
            f' ({options}), or not, which drops the old column with its values (--no-rename)?'
        )

    def default(self, model: str, field: str) -> str | None:
        """Return the text given by ``--default`` for this field."""
        name = f'{model}.{field}'
        if name not in self._defaults:
            return None
        self._used_defaults.add(name)
        return self._defaults[name]

    def check_used(self) -> None:
        """Raise MigrationError if an option named something that does not change."""
        unused = [f'--rename {rename.text}' for rename in self._renames if not rename.used]
        unused += [f'--default {name}=…' for name in self._defaults if name not in self._used_defaults]
        if unused:
            raise MigrationError(
                f'{unused[0]} fits no change: the old name must be gone from the models and the new one be new'
                if unused[0].startswith('--rename')
                else f'{unused[0]} fits no change: no column of this name gets a value that existing rows lack'
            )


class _Rename:
    def __init__(self, text: str) -> None:
        path, _, new = (part.strip() for part in text.partition(':'))
        model, _, old = path.rpartition('.')
        new = new.removeprefix(f'{model}.') if model else new
        if not (old.isidentifier() and new.isidentifier() and (not model or model.isidentifier())):
            raise MigrationError(
                f'--rename {text}: expected Model.old_field:new_field or OldModel:NewModel (or old_field:new_field)'
            )
        self.text, self.model, self.old, self.new = text, model, old, new
        self.used = False


def _parse_default(text: str) -> tuple[str, str]:
    name, equals, value = text.partition('=')
    model, _, field = name.strip().partition('.')
    if not equals or not model.isidentifier() or not field.isidentifier():
        raise MigrationError(f'--default {text}: expected Model.field=value')
    return f'{model}.{field}', value


def _listed(names: Sequence[str]) -> str:
    return f'{names[0]} is' if len(names) == 1 else f'{", ".join(names)} are'
