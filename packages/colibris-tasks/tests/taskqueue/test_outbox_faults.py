"""The outbox of every engine, with real processes: what was committed is run, what was not is not."""

import asyncio
import contextlib
import sys

import pytest
from taskfaults import tasks
from taskqueue_faults import ENGINES, PROJECT, Worker, make_tables, start

from colibris import persist, subsystems, taskqueue
from colibris.conf import settings

SECRET = 'the secret of the project that is killed'
TABLES = ['colibris.taskqueue.models.state', 'colibris.taskqueue.models.outbox']


class Outboxed:
    """An engine behind an outbox."""

    def __init__(self, engine):
        self.engine = engine
        self.folder = engine.folder

    def settings(self):
        return {**self.engine.settings(), 'outbox': True}

    def database(self):
        return self.engine.database() or {'backend': 'sqlite', 'name': str(self.folder / 'app.db')}


@pytest.fixture(params=sorted(ENGINES))
def outboxed(request, tmp_path):
    engine = ENGINES[request.param](tmp_path)
    engine.start()
    outboxed = Outboxed(engine)
    asyncio.run(make_tables(outboxed.database(), TABLES))
    try:
        yield outboxed
    finally:
        engine.close()


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / 'notes')


@pytest.fixture
def worker(outboxed):
    worker = Worker(outboxed)
    yield worker
    assert worker.stop() == 0


@pytest.fixture
async def service(outboxed):
    """Open the queue and the database in this process, as a service of the project does."""
    package = {'PROJECT_PACKAGE_NAME': 'taskfaults', 'PROJECT_PACKAGE_DIR': str(PROJECT), 'SECRET_KEY': SECRET}
    with settings.override(TASK_QUEUE=outboxed.settings(), DATABASE=outboxed.database(), **package):
        async with subsystems.running():
            yield


def lines(file):
    with contextlib.suppress(FileNotFoundError), open(file) as stream:
        return stream.read().split('\n')[:-1]
    return []


async def until(condition):
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_what_is_committed_runs_and_what_is_rolled_back_does_not(service, worker, file):
    async with persist.transaction():
        handle = await taskqueue.enqueue(tasks.note, file, 'committed')
    with contextlib.suppress(RuntimeError):
        async with persist.transaction():
            await taskqueue.enqueue(tasks.note, file, 'rolled back')
            raise RuntimeError
    assert await handle.result(20) == 'committed'
    assert await taskqueue.execute(tasks.note, file, 'after', timeout=20) == 'after'
    assert lines(file) == ['committed', 'after']


async def test_a_crash_between_the_commit_and_the_sending_loses_nothing(outboxed, worker, file):
    command = [sys.executable, 'manage.py', 'commit-and-die', file, '30']
    process = start(command, outboxed)
    assert await asyncio.to_thread(process.wait) == -9
    await until(lambda: set(lines(file)) == {str(number) for number in range(30)})


async def test_what_is_enqueued_while_the_broker_is_away_is_sent_when_it_is_back(outboxed, service, worker, file):
    if not outboxed.engine.has_server:
        pytest.skip('the engine has no server')
    await asyncio.to_thread(outboxed.engine.stop)
    async with asyncio.timeout(10):
        for number in range(30):
            async with persist.transaction():
                await taskqueue.enqueue(tasks.note, file, number)
    await asyncio.to_thread(outboxed.engine.start)
    await until(lambda: set(lines(file)) == {str(number) for number in range(30)})
