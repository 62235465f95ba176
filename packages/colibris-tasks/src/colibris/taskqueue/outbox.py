"""The outbox: what is enqueued is written to the database, with what else the transaction does, and sent from there.

After the commit the process that enqueued sends the message itself and deletes its row. If it dies before that, or the
queue is away, the relay in a worker does it. Whoever sends a row has claimed it before; a claim that others have seen
unchanged for ``policy.worker_timeout`` seconds, by their own monotonic clocks, is void. So a message may be sent twice
and is never lost; its id tells the queue that it knows it already.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from colibris import transactions
from colibris.persist import get_database
from colibris.persist.connections import in_block
from colibris.persist.errors import OperationalError
from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.cancelling import cancel
from colibris.taskqueue.errors import TaskQueueError, TaskQueueUnavailable
from colibris.taskqueue.handles import Handle
from colibris.taskqueue.messages import Message
from colibris.taskqueue.stores.sql import Statements, is_missing_table, marks

logger = logging.getLogger(__name__)

MODELS = 'colibris.taskqueue.models.outbox'

#: For how long `put` waits for the queue, and for how long a queue that did not answer is not asked, in seconds.
_PATIENCE = 1.0
#: How often it is looked whether a message that somebody waits for has been sent, in seconds.
_INTERVAL = 0.25
#: How many messages one process sends by itself at a time; what is more is left to the relay.
_CAPACITY = 1000
#: How long rows that were sent are collected to be deleted by one statement, in seconds, and how many of them.
_DELETE_INTERVAL = 0.05
_DELETE_BATCH = 500


class Outbox:
    """The outbox of a process, in front of *backend*."""

    def __init__(self, backend: TaskQueueBackend) -> None:
        self.backend = backend
        self._sql = Statements()
        self._sending: set[asyncio.Task[None]] = set()
        self._sent: list[str] = []
        self._deleting: asyncio.Task[None] | None = None
        self._asked_again = 0.0

    async def put(self, message: Message, data: bytes, delay: float, handle: Handle) -> None:
        """Write a message within the open transaction, or in one of its own, and have it sent after the commit.

        Raises TaskQueueUnavailable if the database is away.
        """
        handle.pending = True
        if transactions.hooks.get() is not None and not in_block(get_database().backend):
            # What is open is a transaction on another database, in which the outbox does not lie.
            transactions.on_commit(lambda: self._put(message, data, delay, handle))
        else:
            await self._put(message, data, delay, handle)

    async def _put(self, message: Message, data: bytes, delay: float, handle: Handle) -> None:
        direct = len(self._sending) < _CAPACITY and time.monotonic() >= self._asked_again
        claim = secrets.token_hex(16) if direct else None
        await self._insert(message.id, data, delay, claim)

        async def send() -> None:
            handle.pending, handle.outbox = False, self
            if claim is not None:
                await self._send_soon(message, data, delay, handle)

        if transactions.hooks.get() is None:
            await send()
        else:
            transactions.on_commit(send)

    async def _insert(self, task_id: str, data: bytes, delay: float, claim: str | None) -> None:
        try:
            await self._sql.once(
                'INSERT INTO colibris_task_outbox (task_id, message, delay, claim, refusals, created) '
                'VALUES (?, ?, ?, ?, 0, {now})',
                *(task_id, data, float(delay), claim),
            )
        except OperationalError as exc:
            if not is_missing_table(exc):
                raise
            raise TaskQueueError(
                "the database has no table colibris_task_outbox, which 'outbox' in TASK_QUEUE needs: run \"manage.py "
                'makemigrations" and "manage.py migrate"'
            ) from exc

    async def _send_soon(self, message: Message, data: bytes, delay: float, handle: Handle) -> None:
        """Send a message in the background, and wait for that as long as the queue answers as usual."""
        task = asyncio.create_task(self._send(message, data, delay, handle), name='colibris.taskqueue.outbox')
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        await asyncio.wait([task], timeout=_PATIENCE)
        if not task.done():
            self._asked_again = time.monotonic() + _PATIENCE

    async def _send(self, message: Message, data: bytes, delay: float, handle: Handle) -> None:
        try:
            task_id = await self.backend.send(message, data, delay=delay)
        except Exception as exc:
            self._asked_again = time.monotonic() + _PATIENCE
            logger.warning('task %s waits in the outbox: %s', message.id, exc or type(exc).__name__)
            await self._leave_to_relays(message.id)
        else:
            handle.sent(task_id)
            self._delete_soon(message.id)

    async def _leave_to_relays(self, task_id: str) -> None:
        try:
            await self._sql.run('UPDATE colibris_task_outbox SET claim = NULL WHERE task_id = ?', task_id)
        except TaskQueueUnavailable as exc:  # the claim becomes void by itself
            logger.debug('task %s stays claimed in the outbox: %s', task_id, exc)

    async def holds(self, handle: Handle) -> bool:
        """Return whether the task of *handle*, which was committed, still waits here."""
        found = await self._sql.row('SELECT id FROM colibris_task_outbox WHERE task_id = ?', handle.id)
        if found is None:
            handle.outbox = None
        return found is not None

    async def left(self, handle: Handle) -> None:
        """Wait until the task of *handle* has gone to the queue, by whomever."""
        while handle.outbox is not None and await self.holds(handle):  # noqa: ASYNC110
            await asyncio.sleep(_INTERVAL)

    async def discard(self, handle: Handle) -> bool:
        """Remove the task of *handle* unless somebody is sending it; return whether it is gone."""
        statement = 'DELETE FROM colibris_task_outbox WHERE task_id = ? AND claim IS NULL'
        return bool(await self._sql.run(statement, handle.id))

    def _delete_soon(self, task_id: str) -> None:
        self._sent.append(task_id)
        if self._deleting is None or self._deleting.done():
            self._deleting = asyncio.create_task(self._delete(), name='colibris.taskqueue.outbox.delete')

    async def _delete(self) -> None:
        while self._sent:
            await asyncio.sleep(_DELETE_INTERVAL)
            await self._delete_sent()

    async def _delete_sent(self) -> None:
        batch, self._sent = self._sent[:_DELETE_BATCH], self._sent[_DELETE_BATCH:]
        try:
            await self._sql.run(f'DELETE FROM colibris_task_outbox WHERE task_id IN ({marks(len(batch))})', *batch)
        except TaskQueueUnavailable as exc:  # they are sent once more
            logger.debug('%d messages that were sent stay in the outbox: %s', len(batch), exc)

    async def close(self) -> None:
        """Finish what is being sent."""
        if self._sending:
            await asyncio.wait(self._sending)
        if self._deleting is not None:
            await cancel(self._deleting)
        while self._sent:
            await self._delete_sent()


_outbox: Outbox | None = None


def of(backend: TaskQueueBackend) -> Outbox:
    """Return the outbox of this process, in front of *backend*."""
    global _outbox
    if _outbox is None or _outbox.backend is not backend:
        _outbox = Outbox(backend)
    return _outbox


async def put(backend: TaskQueueBackend, message: Message, data: bytes, delay: float, handle: Handle) -> None:
    """Write a message to the outbox in front of *backend*; see `Outbox.put`."""
    await of(backend).put(message, data, delay, handle)


async def close() -> None:
    """Finish what the outbox of this process is sending; called before the engine is closed."""
    global _outbox
    outbox, _outbox = _outbox, None
    if outbox is not None:
        await outbox.close()


async def relay(backend: TaskQueueBackend) -> None:
    """Send what others could not, until cancelled; run in each worker process."""
    from colibris.taskqueue.relay import Relay

    await Relay(backend).run()
