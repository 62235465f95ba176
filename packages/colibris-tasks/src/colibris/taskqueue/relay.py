"""The relay of the outbox: sends what the process that enqueued it could not."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from colibris.taskqueue.base import TaskQueueBackend
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.stores.sql import Statements, marks

logger = logging.getLogger(__name__)

#: How many messages are sent at a time.
_BATCH = 50
#: How often an idle relay looks for messages, in seconds.
_INTERVAL = 0.5
#: The pauses while the queue or the database is away: from the first, doubled up to the last.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0
#: How many claims of others a relay keeps an eye on.
_WATCHED = 1000


@dataclass(frozen=True, slots=True)
class _Row:
    """A message that this relay has claimed; *delay* is what is left of it."""

    id: int
    task_id: str
    data: bytes
    delay: float


class Relay:
    """Claims messages of the outbox in batches and sends them; any number of relays may do so at once."""

    def __init__(self, backend: TaskQueueBackend) -> None:
        self._backend = backend
        self._sql = Statements()
        self._lease = backend.context.policy.worker_timeout
        #: Since when claims of others have been there, by the row and the claim.
        self._seen: dict[tuple[int, str], float] = {}
        self._looked = 0.0

    async def run(self) -> None:
        """Send messages until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            try:
                sent = await self.turn()
            except TaskQueueUnavailable as exc:
                if pause == _FIRST_PAUSE:
                    logger.warning('the outbox waits, as the queue or the database is away: %s', exc)
            except Exception:
                logger.exception('the relay of the outbox failed; it goes on')
            else:
                pause = _FIRST_PAUSE
                if sent < _BATCH:
                    await asyncio.sleep(_INTERVAL * random.uniform(0.75, 1.25))
                continue
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def turn(self) -> int:
        """Send one batch and return how many messages it was. Raises TaskQueueUnavailable."""
        await self._void_claims()
        claim = secrets.token_hex(16)
        rows = await self._claim(claim)
        if not rows:
            return 0
        sent: list[int] = []
        refused: list[int] = []
        try:
            await self._send(rows, sent, refused)
        finally:
            await self._finish(claim, sent, refused)
        return len(sent)

    async def _claim(self, claim: str) -> list[_Row]:
        free = f'SELECT id FROM colibris_task_outbox WHERE claim IS NULL ORDER BY refusals, id LIMIT {_BATCH}'
        if self._sql.dialect == 'postgres':
            await self._sql.run(
                f'UPDATE colibris_task_outbox SET claim = ? WHERE id IN ({free} FOR UPDATE SKIP LOCKED)', claim
            )
        elif ids := [row['id'] for row in await self._sql.rows(free)]:
            await self._sql.run(
                f'UPDATE colibris_task_outbox SET claim = ? WHERE id IN ({marks(len(ids))}) AND claim IS NULL',
                *(claim, *ids),
            )
        else:
            return []
        found = await self._sql.rows(
            'SELECT id, task_id, message, delay, {now} - created AS age FROM colibris_task_outbox WHERE claim = ? '
            'ORDER BY id',
            claim,
        )
        return [
            _Row(row['id'], row['task_id'], bytes(row['message']), _left(row['delay'], float(row['age'])))
            for row in found
        ]

    async def _send(self, rows: Sequence[_Row], sent: list[int], refused: list[int]) -> None:
        """Send *rows*; add those that the queue took to *sent*, others to *refused*. Raises TaskQueueUnavailable."""
        results = await asyncio.gather(*(self._send_one(row) for row in rows), return_exceptions=True)
        away: TaskQueueUnavailable | None = None
        for row, result in zip(rows, results, strict=True):
            if result is None:
                sent.append(row.id)
            elif isinstance(result, TaskQueueUnavailable):
                away = result
            elif isinstance(result, Exception):
                logger.error('the queue refuses task %s, which stays in the outbox: %r', row.task_id, result)
                refused.append(row.id)
            else:
                raise result
        if away is not None:
            raise away

    async def _send_one(self, row: _Row) -> None:
        message = self._backend.context.codec.decode(row.data)
        await self._backend.send(message, row.data, delay=row.delay)

    async def _finish(self, claim: str, sent: Sequence[int], refused: Sequence[int]) -> None:
        """Delete what was sent, and let others have the rest; what was refused, when the claim on it is void."""
        if sent:
            await self._sql.run(
                f'DELETE FROM colibris_task_outbox WHERE id IN ({marks(len(sent))}) AND claim = ?', *(*sent, claim)
            )
        if refused:
            await self._sql.run(
                'UPDATE colibris_task_outbox SET refusals = refusals + 1, claim = ? '
                f'WHERE id IN ({marks(len(refused))}) AND claim = ?',
                *(secrets.token_hex(16), *refused, claim),
            )
        await self._sql.run('UPDATE colibris_task_outbox SET claim = NULL WHERE claim = ?', claim)

    async def _void_claims(self) -> None:
        """Free what is claimed by processes that have died: a live one is done with it long before the lease ends."""
        now = time.monotonic()
        if now - self._looked < self._lease / 4:
            return
        self._looked = now
        rows = await self._sql.rows(
            f'SELECT id, claim FROM colibris_task_outbox WHERE claim IS NOT NULL ORDER BY id LIMIT {_WATCHED}'
        )
        self._seen = {key: self._seen.get(key, now) for row in rows if (key := (row['id'], row['claim']))}
        for (row_id, claim), since in self._seen.items():
            if now - since >= self._lease:
                await self._sql.run(
                    'UPDATE colibris_task_outbox SET claim = NULL WHERE id = ? AND claim = ?', *(row_id, claim)
                )


def _left(delay: float, age: float) -> float:
    """Return what is left of *delay*; the clock may have been set back meanwhile."""
    return min(delay, max(0.0, delay - age))
