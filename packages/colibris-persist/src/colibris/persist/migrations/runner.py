"""Apply migration files to a database, and take them back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tortoise.backends.base.client import TransactionalDBClient
from tortoise.backends.sqlite.client import SqliteClient

from colibris.persist.migrations import tracking
from colibris.persist.migrations.errors import MigrationError, MigrationFailed
from colibris.persist.migrations.files import Folder, Migration, Step, find
from colibris.persist.migrations.script import statements_of
from colibris.persist.migrations.sqlite_transaction import sqlite_transaction

if TYPE_CHECKING:
    from tortoise.backends.base.client import BaseDBAsyncClient

#: Told about each migration once it is done: 'upgrade' or 'downgrade', its file, and the seconds that it took.
Report = Callable[[str, Migration, float], None]


@dataclass(frozen=True, slots=True)
class Status:
    """A migration and whether the database has it; ``missing`` when the database has it, but the folder does not."""

    name: str
    applied: bool
    missing: bool = False


class Runner:
    """Applies the migrations of *folder* to the database of *client*.

    *lock* makes the context in which no other process migrates the same database.
    """

    def __init__(
        self,
        folder: Folder,
        client: BaseDBAsyncClient,
        *,
        lock: Callable[[], AbstractAsyncContextManager[Any]] = nullcontext,
        report: Report | None = None,
    ) -> None:
        if isinstance(client, TransactionalDBClient):
            raise MigrationError('migrations cannot run within a transaction; migrate before it begins')
        self._folder = folder
        self._client = client
        self._dialect = client.capabilities.dialect
        self._lock = lock
        self._report = report

    async def status(self) -> list[Status]:
        """Return all migrations in order, then those that are applied but not in the folder."""
        applied = await tracking.applied(self._client)
        migrations = self._folder.migrations()
        found = [Status(item.name, item.file in applied) for item in migrations]
        known = {item.file for item in migrations}
        return found + [Status(file.removesuffix('.py'), True, missing=True) for file in applied if file not in known]

    async def migrate(self, to: str | None = None) -> list[str]:
        """Apply what is missing, up to *to*; if *to* is before what is applied, take back what comes after it.

        Returns the names of the files that were applied or taken back, in that order.
        """
        async with self._lock():
            migrations, applied = await self._read()
            count = len(migrations) if to is None else find(migrations, to)
            back = [item for item in migrations[count:] if item.file in applied] if to is not None else []
            pending = [item for item in migrations[:count] if item.file not in applied]
            self._check_order(migrations[:count], pending)
            for item in (*back, *pending):
                item.check()
            for item in reversed(back):
                await self._run('downgrade', item)
            for item in pending:
                await self._run('upgrade', item)
            return [item.name for item in [*reversed(back), *pending]]

    async def downgrade(self, to: str | None = None) -> list[str]:
        """Take back the last migration, or all after *to* (a name, a number, ``zero``). Returns their names."""
        async with self._lock():
            migrations, applied = await self._read()
            there = [item for item in migrations if item.file in applied]
            if to is not None:
                kept = migrations[: find(migrations, to)]
                back = [item for item in there if item not in kept]
            else:
                back = there[-1:]
            for item in reversed(back):
                await self._run('downgrade', item)
            return [item.name for item in reversed(back)]

    async def _read(self) -> tuple[Sequence[Migration], set[str]]:
        migrations = self._folder.migrations()
        await tracking.ensure_table(self._client)
        applied = await tracking.applied(self._client)
        known = {item.file for item in migrations}
        if missing := [file for file in applied if file not in known]:
            raise MigrationError(
                f'the database has migrations that {self._folder.path} does not have: {", ".join(missing)}.'
                ' Get these files back (from version control, or the branch they were made on), or migrate another'
                ' database'
            )
        return migrations, set(applied)

    def _check_order(self, migrations: Sequence[Migration], pending: Sequence[Migration]) -> None:
        """Refuse a migration that comes before one that is applied: it was made for other tables."""
        later = [item for item in migrations if pending and item.number > pending[0].number and item not in pending]
        if later:
            raise MigrationError(
                f'{pending[0].file} is not applied, but {later[0].file}, which comes after it, is: take that back first'
                f' (downgrade --to {pending[0].number - 1 or "zero"}), or delete {pending[0].file} and run'
                ' makemigrations again'
            )

    async def _run(self, direction: str, item: Migration) -> None:
        started = time.monotonic()
        step = item.upgrade if direction == 'upgrade' else item.downgrade
        state = item.state_json if direction == 'upgrade' else ''
        done: list[str] = []
        try:
            async with self._transaction(item, direction) as db:
                await self._execute(db, item, await self._call(step, db, item), done)
                if direction == 'upgrade':
                    await tracking.record(db, item.file, state)
                else:
                    await tracking.forget(db, item.file)
        except MigrationFailed:
            raise
        except MigrationError as exc:
            raise MigrationFailed(item.file, str(exc)) from exc
        if self._report is not None:
            self._report(direction, item, time.monotonic() - started)

    @asynccontextmanager
    async def _transaction(self, item: Migration, direction: str) -> AsyncIterator[BaseDBAsyncClient]:
        if not item.in_transaction:
            yield self._client
        elif isinstance(self._client, SqliteClient):
            async with sqlite_transaction(self._client, rebuilds=item.rebuilds(direction)) as db:
                yield db
        else:
            async with self._client._in_transaction() as db:
                yield db

    async def _call(self, step: Step, db: BaseDBAsyncClient, item: Migration) -> str:
        try:
            return await step(db) or ''
        except MigrationError:
            raise
        except Exception as exc:
            kept = self._kept(item, ())
            raise MigrationFailed(item.file, f'its Python code failed: {type(exc).__name__}: {exc}{kept}') from exc

    async def _execute(self, db: BaseDBAsyncClient, item: Migration, script: str, done: list[str]) -> None:
        for statement in statements_of(script, self._dialect):
            if statement == tracking.CREATE[self._dialect]:  # there already; MySQL would warn
                continue
            try:
                await db.execute_script(statement)
            except Exception as exc:
                applied = self._lasting(item, done)
                reason = f'{exc}\n  failed: {_one_line(statement)}{self._kept(item, applied)}'
                raise MigrationFailed(item.file, reason, statement=statement, applied=applied) from exc
            done.append(statement)

    def _lasting(self, item: Migration, done: Sequence[str]) -> tuple[str, ...]:
        """Return those statements among *done* that a failure does not take back."""
        return () if item.in_transaction and self._dialect != 'mysql' else tuple(done)

    def _kept(self, item: Migration, applied: Sequence[str]) -> str:
        """Say what a failure leaves in the database."""
        if item.in_transaction and self._dialect != 'mysql':
            return '\nNothing of this migration was applied.'
        if not applied:
            return '\nNone of its statements was applied.'
        lines = ''.join(f'\n  applied: {_one_line(statement)}' for statement in applied)
        why = 'MySQL cannot take back changes of tables' if item.in_transaction else 'it runs without a transaction'
        return (
            f'{lines}\nThese statements stay applied, as {why}, and the migration is not recorded as applied:'
            ' undo them by hand, or remove them from the file while you apply the rest.'
        )


def _one_line(statement: str) -> str:
    return ' '.join(statement.split())
