"""Whatever is killed, stopped or broken: each accepted task runs at least once, or is a dead letter; nothing hangs."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections import Counter

import pytest
from taskfaults import tasks
from taskqueue_faults import ENGINES, PROJECT, Worker, start

from colibris import subsystems, taskqueue
from colibris.conf import settings
from colibris.taskqueue.messages import Codec, Message, Status
from colibris.taskqueue.subsystem import subsystem

SECRET = 'the secret of the project that is killed'


@pytest.fixture(params=sorted(ENGINES))
def engine(request, tmp_path):
    engine = ENGINES[request.param](tmp_path)
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
async def service(engine):
    """Open the queue in this process, as a service of the project does."""
    package = {'PROJECT_PACKAGE_NAME': 'taskfaults', 'PROJECT_PACKAGE_DIR': str(PROJECT)}
    if (database := engine.database()) is not None:
        package['DATABASE'] = database
    with settings.override(TASK_QUEUE=engine.settings(), SECRET_KEY=SECRET, **package):
        async with subsystems.running():
            yield subsystem.backend


@pytest.fixture
def work(engine):
    """Start workers; what is left of them is killed after the test."""
    workers = []

    def work(**options):
        workers.append(Worker(engine, **options))
        return workers[-1]

    yield work
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / 'notes')


def lines(file):
    with contextlib.suppress(FileNotFoundError), open(file) as stream:
        return stream.read().split('\n')[:-1]
    return []


async def until(condition, limit=20.0):
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_task_runs_again_when_its_worker_is_killed(service, work, file):
    worker = work()
    handle = await taskqueue.enqueue(tasks.note_slowly, file, 'x', 1)
    await until(lambda: lines(file))
    worker.kill_one()
    assert await handle.result(15) == 'end x'
    assert Counter(lines(file)) == {'begin x': 2, 'end x': 1}
    assert worker.stop() == 0


async def test_no_queued_task_is_lost_when_all_workers_are_killed(service, work, file):
    worker = work(processes=2)
    handles = [await taskqueue.enqueue(tasks.note, file, number) for number in range(1000)]
    await until(lambda: len(lines(file)) > 50)
    worker.kill()
    work(processes=2)
    await asyncio.gather(*(handle.result(30) for handle in handles))
    assert set(lines(file)) == {str(number) for number in range(1000)}


async def test_tasks_run_when_the_service_is_killed_that_waits_for_them(engine, work, file):
    command = [sys.executable, 'manage.py', 'call', file, '20']
    caller = start(command, engine, stdout=subprocess.PIPE)
    assert await asyncio.to_thread(caller.stdout.readline) == b'waiting\n'
    caller.kill()
    caller.wait()
    work()
    await until(lambda: {f'end {number}' for number in range(20)} <= set(lines(file)))


async def test_what_is_queued_survives_a_restart_of_the_broker(engine, service, work, file):
    handles = [await taskqueue.enqueue(tasks.note, file, number) for number in range(50)]
    late = await taskqueue.enqueue(tasks.note, file, 'late', delay=2)
    await asyncio.to_thread(engine.stop)
    await asyncio.to_thread(engine.start)
    work()
    await asyncio.gather(*(handle.result(20) for handle in (*handles, late)))
    assert set(lines(file)) == {*(str(number) for number in range(50)), 'late'}


async def test_workers_and_callers_survive_a_restart_of_the_broker(engine, service, work, file):
    worker = work()
    calls = [asyncio.create_task(taskqueue.execute(tasks.note_slowly, file, n, 1, timeout=30)) for n in range(3)]
    await until(lambda: len(lines(file)) == 3)
    await asyncio.to_thread(engine.stop)
    await asyncio.to_thread(engine.start)
    assert await asyncio.gather(*calls) == ['end 0', 'end 1', 'end 2']
    assert await taskqueue.execute(tasks.note, file, 'after', timeout=20) == 'after'
    assert worker.stop() == 0


async def test_a_broker_that_is_away_for_10_seconds(engine, service, work, file):
    if not engine.has_server:
        pytest.skip('the engine has no server')
    worker = work()
    waiting = asyncio.create_task(taskqueue.execute(tasks.note_slowly, file, 'x', 3, timeout=40))
    await until(lambda: lines(file))
    await asyncio.to_thread(engine.stop)
    gone = time.monotonic()
    with pytest.raises(taskqueue.TaskQueueUnavailable):
        await taskqueue.enqueue(tasks.note, file, 'refused')
    with pytest.raises(taskqueue.TaskQueueUnavailable):
        await subsystem.check_health()
    assert time.monotonic() - gone < 10
    await asyncio.sleep(max(0, gone + 10 - time.monotonic()))
    await asyncio.to_thread(engine.start)
    assert await waiting == 'end x'
    assert await taskqueue.execute(tasks.note, file, 'after', timeout=20) == 'after'
    assert 'refused' not in lines(file)
    assert worker.stop() == 0


async def test_tasks_that_misbehave_fail_and_others_go_on(service, work, file):
    worker = work()
    for function, args, kind in (
        (tasks.fail, (file,), 'ValueError'),
        (tasks.leave, (), 'SystemExit'),
        (tasks.return_object, (), 'TypeError'),
    ):
        with pytest.raises(taskqueue.TaskExecException) as caught:
            await taskqueue.execute(function, *args, timeout=20)
        assert caught.value.type == kind
    handle = await taskqueue.enqueue(tasks.fail, file, retries=2)
    with pytest.raises(taskqueue.TaskExecException):
        await handle.result(20)
    assert lines(file) == ['failed'] * 4
    letters = await service.dead_letters()
    assert len(letters) == 4
    assert {letter.status for letter in letters} == {Status.FAILED}
    assert worker.stop() == 0


@pytest.mark.parametrize('name', ['hang_alone', 'hang_loop'])
async def test_a_task_that_hangs_in_c_code_fails_and_what_its_process_had_runs(service, work, file, name):
    worker = work(threads=2)
    hanging = await taskqueue.enqueue(getattr(tasks, name), file, retries=0)
    await until(lambda: lines(file))
    others = [await taskqueue.enqueue(tasks.note_slowly, file, number, 0.2) for number in range(8)]
    with pytest.raises(taskqueue.TaskExecException, match='did not react'):
        await hanging.result(20)
    for number, handle in enumerate(others):
        assert await handle.result(20) == f'end {number}'
    assert [letter.id for letter in await service.dead_letters()] == [hanging.id]
    assert worker.stop() == 0


async def test_a_task_that_hangs_and_lets_nothing_else_run_costs_its_process_and_becomes_a_dead_letter(
    service, work, file
):
    worker = work()
    hanging = await taskqueue.enqueue(tasks.hang, file, retries=0)
    with pytest.raises(taskqueue.TaskExecException) as caught:
        await hanging.result(60)
    assert caught.value.type == 'WorkerLost'
    assert await taskqueue.execute(tasks.note, file, 'after', timeout=30) == 'after'
    assert worker.stop() == 0


async def test_a_task_that_kills_its_workers_becomes_a_dead_letter(service, work, file):
    worker = work()
    handle = await taskqueue.enqueue(tasks.die, file)
    with pytest.raises(taskqueue.TaskExecException) as caught:
        await handle.result(60)
    assert caught.value.type == 'WorkerLost'
    assert await taskqueue.execute(tasks.note, file, 'after', timeout=30) == 'after'
    assert worker.stop() == 0


async def test_messages_that_cannot_be_run_become_dead_letters(service, work):
    codec = service.context.codec
    gone = Message(function='taskfaults.tasks:removed')
    moved = Message(function='taskfaults.removed:note')
    foreign = Message(function='os:getcwd')
    for message in (gone, moved, foreign):
        await service.send(message, codec.encode(message))
    forged = Message(function='taskfaults.tasks:nothing')
    await service.send(forged, Codec(b'the secret of somebody else', max_size=1000).encode(forged))
    worker = work()
    for message in (gone, moved, foreign, forged):
        with pytest.raises(taskqueue.TaskExecException):
            await taskqueue.handle(message.id).result(20)
    letters = {letter.id: letter.failure.type for letter in await service.dead_letters()}
    names = {gone.id: 'NotFound', moved.id: 'NotFound', foreign.id: 'NotAllowed', forged.id: 'InvalidMessage'}
    expected = {task_id: f'colibris.taskqueue.errors.{name}' for task_id, name in names.items()}
    assert letters == expected
    assert worker.stop() == 0


async def test_a_clock_that_is_set_back_loses_and_holds_up_nothing(service, work, file):
    worker = work(TASKFAULTS_CLOCK='back')
    late = await taskqueue.enqueue(tasks.note, file, 'late', delay=2)
    failing = await taskqueue.enqueue(tasks.fail, file, retries=3)
    await asyncio.sleep(1.5)
    assert await taskqueue.execute(tasks.note, file, 'now', timeout=10) == 'now'
    assert await late.result(10) == 'late'
    with pytest.raises(taskqueue.TaskExecException):
        await failing.result(10)
    slow = await taskqueue.enqueue(tasks.note_slowly, file, 'x', 1)
    await until(lambda: 'begin x' in lines(file))
    worker.kill_one()
    assert await slow.result(15) == 'end x'
    assert worker.stop() == 0


async def test_each_scheduled_run_is_sent_once_however_many_workers_there_are(engine, work, file):
    begun = time.monotonic()
    workers = [work(processes=2, TASKFAULTS_SCHEDULE=file) for _ in range(2)]
    await until(lambda: len(lines(file)) >= 5, 30)
    passed = time.monotonic() - begun
    ids = lines(file)
    assert len(set(ids)) == len(ids)
    assert len(ids) <= passed + 1
    for worker in workers:
        assert worker.stop() == 0


async def test_a_worker_that_is_told_to_stop_puts_back_what_does_not_finish(service, work, file):
    worker = work(threads=2)
    long = [await taskqueue.enqueue(tasks.note_slowly, file, f'long {n}', 4) for n in range(2)]
    short = [await taskqueue.enqueue(tasks.note, file, f'short {n}') for n in range(4)]
    await until(lambda: len(lines(file)) == 2)
    begun = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - begun < 15
    assert {await handle.status() for handle in (*long, *short)} == {Status.QUEUED}
    work(threads=8)
    await asyncio.gather(*(handle.result(20) for handle in (*long, *short)))
