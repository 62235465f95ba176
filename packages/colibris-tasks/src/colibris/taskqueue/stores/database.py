"""What is known of tasks, in the project's database: ``'store': 'database'``."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, TypeVar

from colibris.persist.errors import OperationalError, UniqueViolation
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import Codec, Failure, Message, Status
from colibris.taskqueue.stats import QueueStats, Stats, TaskInfo, WorkerInfo, with_empty
from colibris.taskqueue.stores.base import Notice, Store
from colibris.taskqueue.stores.bell import Bell
from colibris.taskqueue.stores.sql import Statements, apart, is_missing_table, marks

T = TypeVar('T')

MODELS = 'colibris.taskqueue.models.state'

#: For how long a task is kept that was recorded and is not known to have reached the broker, in seconds.
PROVISIONAL = 600.0
#: The channel of a task that several processes wait for: all of them listen to it.
EVERYBODY = '*'
#: How many rows are removed at once.
_BATCH = 500
_UNFINISHED = "status IN ('queued', 'delayed')"


class DatabaseStore(Store):
    """Keeps each task in a row; a change of its state is one UPDATE that names the state before.

    Services hear by *bell* how tasks end.
    """

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self._sql = Statements()

    async def open(self) -> None:
        try:
            await self._sql.row('SELECT id FROM colibris_task_states LIMIT 1')
        except OperationalError as exc:
            if not is_missing_table(exc):
                raise
            raise TaskQueueUnavailable(
                'the database has no table colibris_task_states, in which the state of tasks is kept: run "manage.py '
                'makemigrations" and "manage.py migrate"'
            ) from exc

    async def close(self) -> None:
        pass

    async def check_health(self) -> None:
        await self._sql.row('SELECT 1')

    async def add(self, message: Message, data: bytes, *, delay: float, channel: str | None) -> str:
        return await apart(lambda: self._add(message, data, delay, channel or ''))

    async def _add(self, message: Message, data: bytes, delay: float, channel: str) -> str:
        key = hash_key(message.unique_key)
        while True:
            try:
                await self._sql.run(
                    'INSERT INTO colibris_task_states (id, status, task, queue, attempt, losses, worker, channel, '
                    'unique_key, created, due, expires, message) '
                    "VALUES (?, ?, ?, ?, ?, 0, '', ?, ?, ?, {now} + ?, {now} + ?, ?)",
                    *(message.id, str(Status.DELAYED if delay > 0 else Status.QUEUED)),
                    *(message.function[:255], message.queue, message.attempt, channel, key, message.created),
                    *(float(delay), PROVISIONAL + delay, data),
                )
                return message.id
            except UniqueViolation:
                found = await self._sql.row('SELECT id FROM colibris_task_states WHERE id = ?', message.id)
                if found is None and key is not None:
                    await self._drop_stale(key)
                    found = await self._sql.row('SELECT id FROM colibris_task_states WHERE unique_key = ?', key)
            if found is not None:
                return str(found['id'])

    async def _drop_stale(self, key: str) -> None:
        """Free a unique key that is held by a task that never reached the broker."""
        await self._sql.run(
            f'DELETE FROM colibris_task_states WHERE unique_key = ? AND {_UNFINISHED} AND expires < {{now}}', key
        )

    async def confirm(self, task_ids: Sequence[str]) -> None:
        """Keep tasks for as long as they wait: they have reached the broker."""
        await apart(
            lambda: self._sql.run(
                'UPDATE colibris_task_states SET expires = NULL '
                f'WHERE id IN ({marks(len(task_ids))}) AND {_UNFINISHED}',
                *task_ids,
            )
        )

    async def forget(self, task_id: str) -> None:
        """Forget a task that did not reach the broker."""
        await apart(
            lambda: self._sql.run(
                f'DELETE FROM colibris_task_states WHERE id = ? AND {_UNFINISHED} AND expires IS NOT NULL', task_id
            )
        )

    async def outcomes(self, task_ids: Sequence[str], channel: str | None = None) -> Mapping[str, bytes | None]:
        if not task_ids:
            return {}
        if channel is not None:
            await apart(lambda: self._subscribe(task_ids, channel))
        rows = await self._sql.rows(
            f'SELECT id, outcome FROM colibris_task_states WHERE id IN ({marks(len(task_ids))})', *task_ids
        )
        return {row['id']: row['outcome'] for row in rows}

    async def _subscribe(self, task_ids: Sequence[str], channel: str) -> int:
        return await self._sql.run(
            f"UPDATE colibris_task_states SET channel = CASE WHEN channel IN ('', ?) THEN ? ELSE '{EVERYBODY}' END "
            f"WHERE id IN ({marks(len(task_ids))}) AND status IN ('queued', 'delayed', 'running') AND channel <> ?",
            *(channel, channel, *task_ids, channel),
        )

    def notifications(self, channel: str) -> AsyncGenerator[Notice, None]:
        return self.bell.listen([channel, EVERYBODY])

    async def status(self, task_id: str) -> Status:
        row = await self._sql.row(
            "SELECT CASE WHEN status = 'delayed' AND due <= {now} THEN 'queued' ELSE status END AS status "
            'FROM colibris_task_states WHERE id = ?',
            task_id,
        )
        return Status.UNKNOWN if row is None else Status(row['status'])

    async def cancel(self, task_id: str, outcome: bytes) -> bool:
        return await apart(lambda: self._cancel(task_id, outcome))

    async def _cancel(self, task_id: str, outcome: bytes) -> bool:
        cancelled = await self._sql.run(
            "UPDATE colibris_task_states SET status = 'cancelled', outcome = ?, unique_key = NULL, message = NULL, "
            f'finished = {{now}}, expires = {{now}} + ? WHERE id = ? AND {_UNFINISHED}',
            *(outcome, float(self.context.policy.result_lifetime), task_id),
        )
        row = await self._sql.row('SELECT status, channel FROM colibris_task_states WHERE id = ?', task_id)
        if cancelled and row is not None and row['channel']:
            self.bell.ring(row['channel'], task_id, outcome)
        return row is not None and row['status'] == Status.CANCELLED

    async def stats(self) -> Stats:
        waiting = await self._sql.rows(
            'SELECT queue {exact} AS name, COUNT(*) AS length, {now} - MIN(due) AS oldest FROM colibris_task_states '
            f'WHERE {_UNFINISHED} AND due <= {{now}} GROUP BY queue {{exact}} ORDER BY 1'
        )
        counts = await self._sql.row(
            "SELECT COALESCE(SUM(CASE WHEN status = 'delayed' AND due > {now} THEN 1 ELSE 0 END), 0) AS waiting, "
            "COALESCE(SUM(CASE WHEN status = 'running' THEN 1 ELSE 0 END), 0) AS running, "
            "COALESCE(SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END), 0) AS dead FROM colibris_task_states "
            "WHERE status IN ('delayed', 'running', 'failed')"
        )
        assert counts is not None
        return Stats(
            queues=with_empty(
                self.context.policy.queues,
                (QueueStats(row['name'], row['length'], max(0.0, float(row['oldest']))) for row in waiting),
            ),
            delayed=int(counts['waiting']),
            running=int(counts['running']),
            dead=int(counts['dead']),
            workers=await self._workers(),
        )

    async def _workers(self) -> tuple[WorkerInfo, ...]:
        rows = await self._sql.rows(
            'SELECT id, host, pid, threads, queues, {now} - seen AS age FROM colibris_task_workers '
            'WHERE seen > {now} - ? ORDER BY host, pid',
            float(self.context.policy.worker_timeout),
        )
        return tuple(
            WorkerInfo(
                *(row['id'], row['host'], row['pid'], row['threads'], tuple(row['queues'].split())),
                max(0.0, float(row['age'])),
            )
            for row in rows
        )

    async def info(self, task_id: str) -> TaskInfo | None:
        row = await self._sql.row(f'SELECT {_INFO} FROM colibris_task_states WHERE id = ?', task_id)
        return None if row is None else _info(row, self.context.codec)

    async def dead_letters(self, *, limit: int, offset: int) -> Sequence[TaskInfo]:
        rows = await self._sql.rows(
            f"SELECT {_INFO} FROM colibris_task_states WHERE status = 'failed' ORDER BY finished DESC, id "
            f'LIMIT {int(limit)} OFFSET {int(offset)}'
        )
        return [_info(row, self.context.codec) for row in rows]

    async def dead_message(self, task_id: str) -> bytes | None:
        row = await self._sql.row(
            "SELECT message FROM colibris_task_states WHERE id = ? AND status = 'failed'", task_id
        )
        return None if row is None else row['message']

    async def revive(self, task_id: str, data: bytes) -> bool:
        return await apart(lambda: self._revive(task_id, data))

    async def _revive(self, task_id: str, data: bytes) -> bool:
        revived = await self._sql.run(
            "UPDATE colibris_task_states SET status = 'queued', message = ?, outcome = NULL, attempt = 0, losses = 0, "
            "finished = NULL, expires = NULL, due = {now} WHERE id = ? AND status = 'failed'",
            *(data, task_id),
        )
        return bool(revived)

    async def purge_dead(self, task_ids: Sequence[str] | None) -> int:
        if task_ids is None:
            return await apart(lambda: self._sql.run("DELETE FROM colibris_task_states WHERE status = 'failed'"))
        purged = 0
        for start in range(0, len(task_ids), _BATCH):
            batch = task_ids[start : start + _BATCH]
            statement = f"DELETE FROM colibris_task_states WHERE status = 'failed' AND id IN ({marks(len(batch))})"
            purged += await apart(lambda: self._sql.run(statement, *batch))  # noqa: B023  # awaited within the turn
        return purged

    async def clear(self) -> None:
        await self._sql.run('DELETE FROM colibris_task_states')
        await self._sql.run('DELETE FROM colibris_task_workers')


_INFO = 'id, status, task, queue, attempt, created, finished, outcome'


def _info(row: Mapping[str, Any], codec: Codec) -> TaskInfo:
    failure: Failure | None = None
    if row['outcome'] is not None:
        failure = codec.decode_outcome(row['id'], row['outcome']).failure
    return TaskInfo(
        id=row['id'],
        status=Status(row['status']),
        function=row['task'],
        queue=row['queue'],
        attempt=row['attempt'],
        created=row['created'],
        finished=row['finished'],
        failure=failure,
    )


def hash_key(unique_key: str | None) -> str | None:
    """Return what stands for a unique key: as some databases take ``a`` for ``A``, and keys may be long."""
    return None if unique_key is None else hashlib.sha256(unique_key.encode()).hexdigest()
