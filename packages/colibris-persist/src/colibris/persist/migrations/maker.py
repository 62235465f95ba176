"""Make migration files from models, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tortoise.models import Model

from colibris.persist.migrations import ddl, state, tracking, writer
from colibris.persist.migrations.differ import compare
from colibris.persist.migrations.files import Folder, Migration
from colibris.persist.migrations.plan import Plan
from colibris.persist.migrations.questions import Answers
from colibris.persist.migrations.schema import DIALECTS, Schema

Models = Sequence[type[Model]]


@dataclass(frozen=True, slots=True)
class Made:
    """A new migration file, and in words what is in it."""

    path: Path
    summary: tuple[str, ...]
    #: What the migration drops, in words.
    losses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A migration that is not written yet."""

    folder: Folder
    path: Path
    text: str
    plan: Plan

    def write(self) -> Made:
        """Write the file."""
        self.folder.write(self.path, self.text)
        return Made(self.path, tuple(self.plan.summary()), tuple(self.plan.losses()))


def make(folder: Folder, models: Models, name: str | None = None, answers: Answers | None = None) -> Made | None:
    """Write the migration from the last file of *folder* to *models* as they are; None if nothing changed."""
    answers = answers or Answers()
    drafted = draft(folder, models, name, answers)
    answers.check_used()
    return None if drafted is None else drafted.write()


def draft(folder: Folder, models: Models, name: str | None, answers: Answers) -> Draft | None:
    """Return what `make` writes. That all *answers* are of use is left to the caller, who may want several drafts."""
    old, last = _last_schema(folder)
    new_state = state.read_state(models)
    plan = compare(old, state.schema_of(new_state), models, answers)
    if not (summary := plan.summary()):
        return None
    path = folder.next_file(name or ('initial' if last is None else _name_for(summary)))
    upgrade, downgrade = ddl.statements(plan), ddl.statements(plan.reversed())
    if last is None:  # so that aerich by itself can apply them to an empty database
        upgrade = {dialect: [tracking.CREATE[dialect], *upgrade[dialect]] for dialect in DIALECTS}
    text = writer.migration(path.stem, summary, upgrade, downgrade, state.encode(new_state))
    return Draft(folder, path, text, plan)


def make_empty(folder: Folder, name: str) -> Made:
    """Write a migration file for Python code of the project's own."""
    migrations = folder.migrations()
    kept = state.decode(migrations[-1].state_text, migrations[-1].file) if migrations else {}
    path = folder.next_file(name)
    folder.write(path, writer.empty(path.stem, state.encode(kept)))
    return Made(path, ())


def differences(folder: Folder, models: Models) -> list[str]:
    """Return in words how *models* differ from the last file of *folder*."""
    old, _ = _last_schema(folder)
    new = state.schema_of(state.read_state(models))
    return compare(old, new, models, Answers(no_rename=True, undecided=True)).summary()


def _last_schema(folder: Folder) -> tuple[Schema, Migration | None]:
    migrations = folder.migrations()
    if not migrations:
        return {}, None
    last = migrations[-1]
    return state.schema_of(state.decode(last.state_text, last.file), last.file), last


def _name_for(summary: Sequence[str]) -> str:
    """Return a name for changes that got none: the change itself if it is the only one."""
    if len(summary) > 1:
        return 'changes'
    words = summary[0].split(' (')[0].replace('.', '_').split()
    return '_'.join(word for word in words if word not in ('table', 'column', 'of', 'to')).lower()[:80]
