"""The engine on RQ: what it supports of the contract, and what it refuses."""

import asyncio
import os
import pickle
import socket
import threading
from contextlib import asynccontextmanager, suppress

import pytest
from rq import SimpleWorker
from rq.timeouts import TimerDeathPenalty
from rq.worker.base import StopRequested

from colibris import subsystems, taskqueue
from colibris.conf import settings
from colibris.taskqueue import unawaited
from colibris.taskqueue.messages import Status, new_id
from colibris.taskqueue.rq import RQBackend
from colibris.taskqueue.rq_jobs import FUNCTION, JobRunner, Serializer, TaskJob, job_class
from colibris.taskqueue.subsystem import subsystem
from colibris.taskqueue.testing import TaskQueueBackendSuite, add, make_context

URL = os.environ.get('COLIBRIS_TEST_REDIS', 'redis://127.0.0.1:6379/0')


def redis_or_skip():
    host, port = URL.split('//')[1].split('/')[0].rsplit(':', 1)
    try:
        socket.create_connection((host.rpartition('@')[2], int(port)), timeout=1).close()
    except OSError:
        if os.environ.get('CI'):
            raise
        pytest.skip(f'no Redis at {host}:{port}')


class ThreadWorker(SimpleWorker):
    """A worker in a thread of the tests, so that tasks leave what the tests look at."""

    death_penalty_class = TimerDeathPenalty
    ended = False

    def _install_signal_handlers(self):
        """Only the main thread may."""

    @property
    def dequeue_timeout(self):
        return 1

    def check_for_suspension(self, burst):
        if self.ended:
            raise StopRequested

    def heartbeat(self, timeout=None, pipeline=None):
        if self.ended:
            raise StopRequested
        super().heartbeat(timeout, pipeline)


@asynccontextmanager
async def thread_worker(backend):
    unawaited.install()
    names = [f'{backend.context.namespace}.{name}' for name in backend.context.policy.queues]
    connection = backend._server.connect_thread()
    run = JobRunner(backend.context).outcome
    worker = ThreadWorker(names, connection=connection, serializer=Serializer, job_class=job_class(run))
    thread = threading.Thread(target=lambda: worker.work(logging_level='ERROR'), daemon=True)
    thread.start()
    try:
        yield
    finally:
        worker.ended = True
        await asyncio.to_thread(thread.join, 5)


class TestRQ(TaskQueueBackendSuite):
    @pytest.fixture
    def backend(self):
        redis_or_skip()
        return RQBackend(url=URL)

    @asynccontextmanager
    async def working(self, backend, *, threads=4):
        async with thread_worker(backend):
            yield

    @pytest.mark.skip('RQ has no status but its own, and a worker of its own')
    async def test_a_worker_that_stops_puts_back_what_does_not_finish(self):
        """RQ lets a job run to its end."""


@pytest.fixture
def own_names():
    """Let the names on the server be those of this test alone; the namespace is the name of the project."""
    redis_or_skip()
    with settings.override(PROJECT_PACKAGE_NAME=f'rq_{new_id()}', SECRET_KEY='x' * 40):
        yield


async def test_the_options_of_the_seed(own_names):
    host, port = URL.split('//')[1].split('/')[0].rsplit(':', 1)
    options = {'host': host, 'port': int(port), 'db': 0, 'password': None, 'poll_results_interval': 1}
    value = {'backend': 'colibris.taskqueue.rq.RQBackend', **options, 'modules': ['colibris.taskqueue.testing']}
    with settings.override(TASK_QUEUE=value):
        await subsystem.open()
        with subsystems.adopt([subsystem]):
            async with thread_worker(subsystem.backend):
                assert await taskqueue.execute(add, 1, right=2, timeout=20) == 3
            await subsystem.backend.clear()
        await subsystem.close()


@pytest.mark.parametrize('option', [{'delay': 1}, {'retries': 1}, {'unique_key': 'k'}])
async def test_what_is_not_supported_is_refused(own_names, option):
    value = {'backend': 'rq', 'url': URL, 'modules': ['colibris.taskqueue.testing']}
    with settings.override(TASK_QUEUE=value):
        await subsystem.open()
        with subsystems.adopt([subsystem]):
            with pytest.raises(taskqueue.Unsupported, match=f'{next(iter(option))} is not supported by RQBackend'):
                await taskqueue.enqueue(add, 1, **option)
        await subsystem.close()


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


async def test_a_worker_runs_no_job_of_somebody_else_and_unpickles_nothing(tmp_path):
    redis_or_skip()
    backend = RQBackend(url=URL)
    backend.bind(make_context(f'suite_{new_id()}'))
    await backend.open()
    target, unpickled = tmp_path / 'made', tmp_path / 'unpickled'
    foreign = TaskJob.create('os.mkdir', args=(str(target),), connection=backend._redis, serializer=Serializer)
    pickled = TaskJob.create(FUNCTION, args=(b'',), connection=backend._redis, serializer=Serializer)
    forged = TaskJob.create(FUNCTION, args=(b'x' * 80,), connection=backend._redis, serializer=Serializer)
    queue = backend._queue('default')
    for job in (foreign, pickled, forged):
        queue.enqueue_job(job)
    backend._redis.hset(pickled.key, 'data', pickle.dumps(Bomb(str(unpickled))))
    backend._redis.hset(forged.key, 'failure_callback_name', 'os.abort')
    async with thread_worker(backend):
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while queue.count:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
    assert not target.exists()
    assert not unpickled.exists()
    assert await backend.status(foreign.id) is Status.FAILED
    assert await backend.status(forged.id) is Status.FAILED
    await backend.clear()
    await backend.close()
