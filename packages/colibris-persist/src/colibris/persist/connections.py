"""What Colibris does differently from Tortoise's clients: who uses which connection, and when.

- A statement runs in the innermost transaction that its task has open on that database, whichever client it was given
  to; so a client that was captured before a transaction neither deadlocks nor writes past it.
- Whatever happens, a connection that was taken is given back; one in an unknown state is thrown away.
- Nothing waits without a limit.
- What a driver raises is translated in one place, see `colibris.persist.errors`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient, TransactionContext
from tortoise.exceptions import TransactionManagementError

from colibris.persist.errors import DatabaseUnavailable
from colibris.persist.hooks import CommitHooks
from colibris.persist.utc import InUTC
from colibris.subsystems import refuse_beside

if TYPE_CHECKING:
    from colibris.persist.base import DatabaseBackend

logger = logging.getLogger(__name__)

#: The innermost open transaction of the running task, by client. The mappings are never changed, only replaced.
_current: ContextVar[Mapping[Client, Transaction] | None] = ContextVar('colibris_persist_transactions', default=None)

_names = count(1)


class Client(InUTC, BaseDBAsyncClient):
    """Mixed into a Tortoise client: statements and transactions as described above.

    A dialect's class adds the five methods at the top, and inherits from this class before Tortoise's.
    """

    transaction_class: ClassVar[type[Transaction]]
    begin_statement: ClassVar[str] = 'BEGIN'
    #: Whether an error makes a transaction unusable until a savepoint is restored (PostgreSQL).
    aborts_on_error: ClassVar[bool] = False
    #: Whether the connections are of use to the event loop only in which they were made.
    bound_to_loop: ClassVar[bool] = True
    #: Whether an INSERT can give back the row that it made; of MySQL, that is known once somebody has connected.
    returns_rows: bool = False

    backend: DatabaseBackend
    #: Seconds for one statement, where the driver does not see to it itself.
    statement_timeout: float | None = None
    #: The transaction in which everything happens while a test runs.
    wrapping: Transaction | None = None

    async def checkout(self) -> Any:
        """Return a connection for the sole use of the caller."""
        raise NotImplementedError

    async def checkin(self, raw: Any, *, broken: bool = False) -> None:
        """Take back a connection; a *broken* one is not used again as it is."""
        raise NotImplementedError

    async def run(self, raw: Any, statement: str) -> None:
        """Run a *statement* that controls a transaction."""
        raise NotImplementedError

    def in_block(self, raw: Any) -> bool:
        """Return whether the connection is within a transaction, as the database sees it."""
        raise NotImplementedError

    def translate(self, error: BaseException) -> Exception | None:
        """Return the exception of `colibris.persist.errors` for what the driver raised."""
        raise NotImplementedError

    def note_change(self, raw: Any) -> None:
        """Remember that the session of *raw* may have been changed, where that matters."""

    def refuse_beside(self) -> None:
        """Raise RuntimeError while the event loop runs to which the connections belong; called in another one."""
        if self._bound_loop is not None:
            refuse_beside(self._bound_loop, self.backend.describe())

    @property
    def root(self) -> Client:
        return self

    def acquire_connection(self) -> Any:
        return Statement(self)

    def _in_transaction(self) -> Block:
        return Block(self)

    def waiting(self) -> asyncio.Timeout:
        """Return the time limit for getting a connection."""
        return asyncio.timeout(self.backend.pool_timeout)

    async def execute_many(self, query: str, values: list[list[Any]]) -> None:
        """Tortoise's own begins a transaction for this, which it must not within another one."""
        target = resolve(self)
        if target is self:
            await super().execute_many(query, values)
        else:
            await target.execute_many(query, values)

    def exhausted(self) -> DatabaseUnavailable:
        limit = self.backend.pool_timeout
        return DatabaseUnavailable(f'no connection to {self.backend.describe()} became free within {limit:g} s')

    @asynccontextmanager
    async def wrapped(self) -> AsyncIterator[None]:
        """Run everything, of all tasks, in one transaction that is rolled back at the end; for tests."""
        transaction = self.transaction_class(self)
        transaction.guards_statements = self.aborts_on_error
        await transaction.start()
        self.wrapping = transaction
        try:
            yield
        finally:
            if self.wrapping is transaction:
                self.wrapping = None
                await transaction.finish(keep=False)

    async def unwrap(self) -> None:
        """Give up the transaction of `wrapped`, because its database is about to go."""
        transaction, self.wrapping = self.wrapping, None
        if transaction is not None:
            await transaction.finish(keep=False)


class Transaction(InUTC, TransactionalDBClient):
    """Mixed into a dialect's transaction wrapper of Tortoise: one block, a transaction or a savepoint within one."""

    def __init__(self, parent: Client | Transaction) -> None:
        root: Any = parent.root
        self.parent = parent
        self.root: Client = root
        self._parent = root
        self.connection_name = root.connection_name
        self.fetch_inserted = root.fetch_inserted
        self.capabilities = root.capabilities
        self.log = root.log
        self._connection: Any = None
        self._lock = asyncio.Lock()
        self._mark = f'colibris_{next(_names)}'
        self._finalized = False
        #: The database has rolled the whole transaction back by itself.
        self.broken = False
        self.guards_statements = False

    def __getattr__(self, name: str) -> Any:
        if name == 'root':
            raise AttributeError(name)
        return getattr(self.root, name)

    @property
    def _outer(self) -> Transaction | None:
        return self.parent if isinstance(self.parent, Transaction) else None

    def acquire_connection(self) -> Any:
        return Statement(self)

    def _in_transaction(self) -> Block:
        return Block(self)

    async def start(self) -> None:
        """Begin: on a connection of its own, or by a savepoint; the outer block cannot be used meanwhile."""
        outer = self._outer
        if outer is None:
            self._connection = await self.root.checkout()
        else:
            await outer.enter()
            self._connection = outer._connection
        try:
            await self.root.run(
                self._connection, self.root.begin_statement if outer is None else f'SAVEPOINT {self._mark}'
            )
        except BaseException as exc:
            self._finalized = True
            await self._leave(broken=True)
            raise_translated(self.root, exc)
            raise

    async def finish(self, *, keep: bool) -> None:
        """End the block, keeping what was done in it or not."""
        clean = False
        try:
            if keep and not self.broken:
                await self._keep()
            else:
                await self._undo()
            clean = True
        finally:
            self._finalized = True
            await self._leave(broken=not clean)
        if keep and self.broken:
            raise TransactionManagementError(_BROKEN)

    async def _keep(self) -> None:
        statement = 'COMMIT' if self._outer is None else f'RELEASE SAVEPOINT {self._mark}'
        try:
            await self.root.run(self._connection, statement)
        except Exception as exc:
            await self._undo()
            raise_translated(self.root, exc)
            raise

    async def _undo(self) -> None:
        """Roll back. That this fails is no news: the connection is lost, or the transaction is over already."""
        try:
            if self._outer is None:
                await self.root.run(self._connection, 'ROLLBACK')
            elif not self.broken:
                await self.root.run(self._connection, f'ROLLBACK TO SAVEPOINT {self._mark}')
                await self.root.run(self._connection, f'RELEASE SAVEPOINT {self._mark}')
        except Exception as exc:
            logger.debug('rolling back on %s failed: %s', self.connection_name, exc)
            self._break()
            if self._outer is None:
                await self._discard()

    async def _discard(self) -> None:
        raw, self._connection = self._connection, None
        if raw is not None:
            await self.root.checkin(raw, broken=True)

    async def _leave(self, *, broken: bool) -> None:
        outer = self._outer
        if outer is None:
            raw, self._connection = self._connection, None
            if raw is not None:
                await self.root.checkin(raw, broken=broken)
        else:
            if broken:
                outer._break()
            outer._lock.release()

    def _break(self) -> None:
        """Remember that the transaction is lost, on all of its levels."""
        block: Transaction | None = self
        while block is not None:
            block.broken = True
            block = block._outer

    async def enter(self) -> None:
        """Wait until no other task uses the connection."""
        if self._lock.locked():
            try:
                async with self.root.waiting():
                    await self._lock.acquire()
            except TimeoutError:
                raise self.root.exhausted() from None
        else:
            await self._lock.acquire()
        if self.broken:
            self._lock.release()
            raise TransactionManagementError(_BROKEN)

    def check(self) -> None:
        """Notice that an error has ended the whole transaction, as a deadlock does on MySQL."""
        if not self.root.in_block(self._connection):
            self._break()

    async def begin(self) -> None:
        raise TransactionManagementError(_BY_HAND)

    savepoint = commit = release_savepoint = rollback = savepoint_rollback = begin


_BROKEN = 'the database has rolled this transaction back as a statement in it failed; leave the block and begin again'
_BY_HAND = 'leave the block to commit, raise an exception to roll back: async with persist.transaction(): ...'


def resolve(client: Client | Transaction) -> Client | Transaction:
    """Return where a statement of the running task belongs that was given to *client*."""
    root = client.root
    current = _current.get()
    if client is root and not current and root.wrapping is None:
        return client
    inner: Client | Transaction | None = current.get(root) if current else None
    if inner is None or (isinstance(client, Transaction) and not client._finalized and not _within(inner, client)):
        inner = client
    # A task may outlive the block in which it was made.
    while isinstance(inner, Transaction) and inner._finalized:
        inner = inner.parent
    if inner is root and root.wrapping is not None:
        return root.wrapping
    return inner


def in_block(backend: DatabaseBackend) -> bool:
    """Return whether the running task has a transaction open on the database; that of a test does not count."""
    client = backend.opened_client
    if client is None:
        return False
    inner = resolve(client)
    return isinstance(inner, Transaction) and inner is not client.wrapping


def _within(inner: Client | Transaction, outer: Transaction) -> bool:
    block: Client | Transaction = inner
    while isinstance(block, Transaction):
        if block is outer:
            return True
        block = block.parent
    return False


def raise_translated(root: Client, error: BaseException) -> None:
    """Raise what stands for the driver's *error*, if anything does."""
    translated = root.translate(error)
    if translated is not None:
        raise translated from error


class Statement:
    """Holds a connection for one statement; what Tortoise calls a connection wrapper."""

    __slots__ = ('_changes_session', '_client', '_guard', '_limit', '_raw', '_target')

    def __init__(self, client: Client | Transaction, *, changes_session: bool = True) -> None:
        self._client = client
        self._changes_session = changes_session

    async def __aenter__(self) -> Any:
        target = self._target = resolve(self._client)
        if not isinstance(target, Transaction):
            self._raw = await target.checkout()
        else:
            await target.enter()
            self._raw = target._connection
            if target.guards_statements:
                await self._set_guard(target)
        self._limit = None
        if target.root.statement_timeout is not None:
            self._limit = asyncio.timeout(target.root.statement_timeout)
            await self._limit.__aenter__()
        return self._raw

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._limit is not None:
            try:
                await self._limit.__aexit__(exc_type, exc, traceback)
            except TimeoutError as timeout:
                exc = timeout
        target = self._target
        if self._changes_session or exc is not None:  # after an error, something may still be running
            target.root.note_change(self._raw)
        if isinstance(target, Client):
            await target.checkin(self._raw)
        else:
            await self._leave(target, failed=exc is not None)
        if exc is not None:
            raise_translated(target.root, exc)

    async def _leave(self, target: Transaction, *, failed: bool) -> None:
        try:
            if target.guards_statements:
                await self._unguard(target, failed=failed)
            if failed:
                target.check()
        finally:
            target._lock.release()

    async def _set_guard(self, target: Transaction) -> None:
        self._guard = f'colibris_{next(_names)}'
        try:
            await target.root.run(self._raw, f'SAVEPOINT {self._guard}')
        except BaseException as exc:
            target._lock.release()
            raise_translated(target.root, exc)
            raise

    async def _unguard(self, target: Transaction, *, failed: bool) -> None:
        try:
            if failed:
                await target.root.run(self._raw, f'ROLLBACK TO SAVEPOINT {self._guard}')
            await target.root.run(self._raw, f'RELEASE SAVEPOINT {self._guard}')
        except Exception as exc:
            logger.debug('a savepoint on %s is gone: %s', target.connection_name, exc)


class Block(TransactionContext):
    """``async with``: a transaction, or a savepoint within the one that is open, and the callbacks that wait for it."""

    __slots__ = ('_client', '_hooks', '_previous', '_transaction')

    def __init__(self, client: Client | Transaction) -> None:
        self._client = client

    async def __aenter__(self) -> TransactionalDBClient:
        parent = resolve(self._client)
        root = parent.root
        self._transaction = root.transaction_class(parent)
        await self._transaction.start()
        self._previous = _current.get()
        _current.set({**(self._previous or {}), root: self._transaction})
        self._hooks = CommitHooks()
        self._hooks.collect()
        return self._transaction

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _current.set(self._previous)
        self._hooks.stop()
        await self._transaction.finish(keep=exc is None)
        if exc is None:
            await self._hooks.hand_on()
