"""The side of a worker process of the state of tasks in the project's database."""

from __future__ import annotations

from colibris.persist.errors import UniqueViolation
from colibris.taskqueue.base import Context
from colibris.taskqueue.messages import Message, Status
from colibris.taskqueue.stats import WorkerInfo
from colibris.taskqueue.stores.base import Settlement, WorkerStore
from colibris.taskqueue.stores.bell import Bell
from colibris.taskqueue.stores.database_thread import DatabaseThread
from colibris.taskqueue.stores.sql import marks

#: How many rows are removed at once, and how often in a row.
_BATCH = 500
_BATCHES = 20
_LIVE = "status IN ('queued', 'delayed', 'running')"


class DatabaseWorkerStore(WorkerStore):
    """Runs its statements in a thread of its own."""

    def __init__(self, context: Context, bell: Bell) -> None:
        self._context = context
        self._bell = bell
        self._thread = DatabaseThread()
        self._sql = self._thread.sql
        self._workers: dict[str, str] = {}

    def open(self) -> None:
        self._thread.open()

    def close(self) -> None:
        self._thread.close()

    def begin(self, task_id: str, worker_id: str, queue: str, data: bytes) -> tuple[Status, int]:
        found = self._thread.wait(self._begin(task_id, worker_id, queue, data))
        self._workers[task_id] = worker_id
        return found

    def settle(self, settlement: Settlement) -> None:
        worker_id = self._workers.get(settlement.task_id, '')
        if settlement.status is Status.DELAYED:
            self._thread.wait(self._delay(settlement, worker_id))
        else:
            self._thread.wait(self._finish(settlement))
        self._workers.pop(settlement.task_id, None)

    def beat(self, worker: WorkerInfo) -> None:
        self._thread.wait(self._beat(worker))

    def leave(self, worker_id: str) -> None:
        self._thread.wait(self._leave(worker_id))

    async def _begin(self, task_id: str, worker_id: str, queue: str, data: bytes) -> tuple[Status, int]:
        while True:
            begun = await self._sql.run(
                "UPDATE colibris_task_states SET status = 'running', worker = ?, expires = NULL "
                "WHERE id = ? AND status IN ('queued', 'delayed')",
                *(worker_id, task_id),
            )
            row = await self._sql.row(
                'SELECT s.status, s.worker, s.losses, s.outcome, w.seen > {now} - ? AS alive '
                'FROM colibris_task_states s LEFT JOIN colibris_task_workers w ON w.id = s.worker WHERE s.id = ?',
                *(float(self._context.policy.worker_timeout), task_id),
            )
            if row is None:
                if await self._record(task_id, worker_id, queue, data):
                    return Status.RUNNING, 0
            elif row['status'] != Status.RUNNING:
                if not begun:
                    await self._tell(task_id, row['outcome'])  # whoever ran it may have died before it did
                    return Status(row['status']), row['losses']
            elif begun or row['worker'] == worker_id:
                return Status.RUNNING, row['losses']
            elif row['alive']:
                return Status.QUEUED, row['losses']
            elif await self._take_over(task_id, row['worker'], worker_id):
                return Status.RUNNING, row['losses'] + 1

    async def _record(self, task_id: str, worker_id: str, queue: str, data: bytes) -> bool:
        """Record a task that nothing is known of, as RUNNING; return False if somebody else has."""
        try:
            message = self._context.codec.decode(data)
        except Exception:  # the run will tell what is wrong with it
            message = Message(id=task_id, function='', queue=queue)
        try:
            await self._sql.run(
                'INSERT INTO colibris_task_states (id, status, task, queue, attempt, losses, worker, channel, created, '
                "due, message) VALUES (?, 'running', ?, ?, ?, 0, ?, '', ?, {now}, ?)",
                *(task_id, message.function[:255], queue, message.attempt, worker_id, message.created, data),
            )
        except UniqueViolation:
            return False
        return True

    async def _take_over(self, task_id: str, former: str, worker_id: str) -> bool:
        """Take a task from a worker that died while it ran it."""
        return bool(
            await self._sql.run(
                'UPDATE colibris_task_states SET worker = ?, losses = losses + 1 '
                "WHERE id = ? AND status = 'running' AND worker = ?",
                *(worker_id, task_id, former),
            )
        )

    async def _delay(self, settlement: Settlement, worker_id: str) -> None:
        await self._sql.run(
            "UPDATE colibris_task_states SET status = 'delayed', message = ?, attempt = attempt + 1, worker = '', "
            "due = {now} + ? WHERE id = ? AND status = 'running' AND worker = ?",
            *(settlement.message, float(settlement.delay), settlement.task_id, worker_id),
        )

    async def _finish(self, settlement: Settlement) -> None:
        policy = self._context.policy
        failed = settlement.status is Status.FAILED
        lifetime = policy.dead_lifetime if failed else policy.result_lifetime
        finished = await self._sql.run(
            f'UPDATE colibris_task_states SET status = ?, outcome = ?, unique_key = NULL, '
            f'{"" if failed else "message = NULL, "}finished = {{now}}, expires = {{now}} + ? WHERE id = ? AND {_LIVE}',
            *(str(settlement.status), settlement.outcome, float(lifetime), settlement.task_id),
        )
        if finished:
            await self._tell(settlement.task_id, settlement.outcome)

    async def _tell(self, task_id: str, outcome: bytes | None) -> None:
        row = await self._sql.row('SELECT channel FROM colibris_task_states WHERE id = ?', task_id)
        if row is not None and row['channel']:
            self._bell.ring(row['channel'], task_id, outcome)

    async def _beat(self, worker: WorkerInfo) -> None:
        said = (worker.host[:255], worker.pid, worker.threads, ' '.join(worker.queues))
        known = await self._sql.run(
            'UPDATE colibris_task_workers SET host = ?, pid = ?, threads = ?, queues = ?, seen = {now} WHERE id = ?',
            *(*said, worker.id),
        )
        if not known:
            await self._sql.run(
                'INSERT INTO colibris_task_workers (host, pid, threads, queues, id, seen) '
                'VALUES (?, ?, ?, ?, ?, {now})',
                *(*said, worker.id),
            )
        # A clock that was set back must not keep the dead alive.
        await self._sql.run('UPDATE colibris_task_workers SET seen = {now} WHERE seen > {now} + 1')
        await self._sql.run(
            'DELETE FROM colibris_task_workers WHERE seen < {now} - ?', float(self._context.policy.worker_timeout)
        )
        await self._remove_expired()

    async def _leave(self, worker_id: str) -> None:
        await self._sql.run(
            "UPDATE colibris_task_states SET status = 'queued', worker = '' WHERE status = 'running' AND worker = ?",
            worker_id,
        )
        await self._sql.run('DELETE FROM colibris_task_workers WHERE id = ?', worker_id)

    async def _remove_expired(self) -> None:
        for _ in range(_BATCHES):
            rows = await self._sql.rows(
                f'SELECT id FROM colibris_task_states WHERE expires < {{now}} ORDER BY expires LIMIT {_BATCH}'
            )
            if rows:
                await self._sql.run(
                    f'DELETE FROM colibris_task_states WHERE id IN ({marks(len(rows))}) AND expires < {{now}}',
                    *(row['id'] for row in rows),
                )
            if len(rows) < _BATCH:
                return
