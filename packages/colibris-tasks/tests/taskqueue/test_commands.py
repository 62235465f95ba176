"""`runworker` and `tasks`, as they are typed."""

import re
import subprocess
import sys

import pytest
from taskfaults import tasks
from taskqueue_faults import PROJECT, Embedded, Worker, start

from colibris import subsystems, taskqueue
from colibris.conf import settings
from colibris.taskqueue.messages import Codec, Message
from colibris.taskqueue.subsystem import subsystem

SECRET = 'the secret of the project that is killed'


@pytest.fixture
def engine(tmp_path):
    """The embedded engine with two queues, in a folder of its own."""
    engine = Embedded(tmp_path)
    options = {**engine.settings(), 'queues': ['default', 'mail']}
    engine.settings = lambda: options
    return engine


@pytest.fixture
async def service(engine):
    """Open the queue in this process, as a service of the project does."""
    package = {'PROJECT_PACKAGE_NAME': 'taskfaults', 'PROJECT_PACKAGE_DIR': str(PROJECT)}
    with settings.override(TASK_QUEUE=engine.settings(), SECRET_KEY=SECRET, **package):
        await subsystem.open()
        with subsystems.adopt([subsystem]):
            yield subsystem.backend
        await subsystem.close()


@pytest.fixture
def manage(engine):
    def manage(*arguments):
        command = [sys.executable, 'manage.py', *arguments]
        process = start(command, engine, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, error = process.communicate(timeout=60)
        return process.returncode, output.decode(), error.decode()

    return manage


async def fail(file):
    handle = await taskqueue.enqueue(tasks.fail, file, retries=0)
    with pytest.raises(taskqueue.TaskExecException):
        await handle.result(20)
    return handle.id


async def test_dead_letters_are_listed_shown_tried_again_and_forgotten(engine, service, manage, tmp_path):
    worker = Worker(engine)
    first, second = [await fail(str(tmp_path / 'notes')) for _ in range(2)]

    code, listed, _ = manage('tasks', 'list')
    assert code == 0
    assert re.search(rf'^{first}  20\d\d-.+  taskfaults.tasks:fail  ValueError: it failed$', listed, re.MULTILINE)
    assert listed.index(second) < listed.index(first)
    assert first not in manage('tasks', 'list', '--limit', '1')[1]

    code, shown, _ = manage('tasks', 'show', first)
    assert code == 0
    assert 'status:    failed' in shown
    assert 'raise ValueError' in shown

    assert manage('tasks', 'retry', first)[:2] == (0, '1 task queued again.\n')
    with pytest.raises(taskqueue.TaskExecException):
        await taskqueue.handle(first).result(20)
    assert (tmp_path / 'notes').read_text() == 'failed\n' * 3

    assert manage('tasks', 'purge', first, first)[:2] == (0, '1 task forgotten.\n')
    assert manage('tasks', 'purge', '--all')[1] == '1 task forgotten.\n'
    assert manage('tasks', 'list')[1] == 'No task has failed for good.\n'
    assert worker.stop() == 0


async def test_what_cannot_be_read_does_not_keep_the_others_from_being_tried_again(engine, service, manage, tmp_path):
    worker = Worker(engine)
    forged = Message(function='taskfaults.tasks:nothing')
    await service.send(forged, Codec(b'the secret of somebody else', max_size=1000).encode(forged))
    with pytest.raises(taskqueue.TaskExecException):
        await taskqueue.handle(forged.id).result(20)
    await fail(str(tmp_path / 'notes'))

    code, printed, error = manage('tasks', 'retry', '--all')
    assert (code, printed) == (1, '1 task queued again.\n')
    assert f'{forged.id}: the signature of the message is wrong' in error
    assert worker.stop() == 0


async def test_what_is_not_there_is_told(service, manage):
    for command in ('show', 'retry', 'purge'):
        code, _, error = manage('tasks', command, 'f' * 32)
        assert code == 1
        assert 'f' * 32 in error
    code, _, error = manage('tasks', 'purge')
    assert code == 2
    assert 'give the ids of tasks, or --all' in error


async def test_stats_show_queues_and_workers(engine, service, manage, tmp_path):
    for number in range(3):
        await taskqueue.enqueue(tasks.note, str(tmp_path / 'notes'), number, queue='mail')
    code, shown, _ = manage('tasks', 'stats')
    assert code == 0
    assert re.search(r'^default +0 +-$', shown, re.MULTILINE)
    assert re.search(r'^mail +3 +\d+\.\d s$', shown, re.MULTILINE)
    assert 'No worker is alive' in shown
    worker = Worker(engine, processes=2, threads=3)
    shown = manage('tasks', 'stats')[1]
    assert len(re.findall(r'^\S+ \d+ +3 +default, mail', shown, re.MULTILINE)) == 2
    assert worker.stop() == 0


async def test_a_worker_serves_the_queues_that_it_is_told(engine, service, tmp_path):
    worker = Worker(engine, arguments=['--queues', 'mail'])
    other = await taskqueue.enqueue(tasks.note, str(tmp_path / 'notes'), 'default')
    mail = await taskqueue.enqueue(tasks.note, str(tmp_path / 'notes'), 'mail', queue='mail')
    assert await mail.result(20) == 'mail'
    assert await other.status() is taskqueue.Status.QUEUED
    assert worker.stop() == 0


@pytest.mark.parametrize(
    ('options', 'arguments', 'reason'),
    [
        ({}, ['--queues', 'nowhere'], "there is no queue 'nowhere'"),
        ({'backend': 'immediate', 'path': None}, [], 'there is no work for a worker'),
        ({'retries': -1}, [], 'TASK_QUEUE: retries must be'),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_started(engine, manage, options, arguments, reason):
    given = {**engine.settings(), **options}
    engine.settings = lambda: {key: value for key, value in given.items() if value is not None}
    code, _, error = manage('runworker', *arguments)
    assert code == 1
    assert reason in error
    assert error.count('\n') == 1


def test_runserver_can_bring_a_worker_along(manage):
    assert '--with-worker' in manage('runserver', '--help')[1]
