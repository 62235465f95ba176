"""Writing the file together."""

import threading
from concurrent.futures import wait

import pytest

from colibris.taskqueue.errors import TaskQueueUnavailable


@pytest.fixture
def numbers(run):
    run(lambda session: session.execute('CREATE TABLE numbers (number INTEGER PRIMARY KEY)'))


def insert(number):
    def operation(session):
        session.execute('INSERT INTO numbers VALUES (?)', (number,))
        return number

    return operation


def kept(queue):
    return queue.reader.read(lambda session: [row[0] for row in session.execute('SELECT number FROM numbers')])


@pytest.fixture
def commits(queue, monkeypatch):
    """How many operations each transaction had."""
    groups = []
    commit = queue.journal._commit
    monkeypatch.setattr(queue.journal, '_commit', lambda group: (groups.append(len(group)), commit(group))[1])
    return groups


def test_what_many_threads_write_is_all_there(queue, numbers, in_thread):
    def write(first):
        return [queue.journal.run(insert(number)) for number in range(first, first + 50)]

    joins = [in_thread(write, first) for first in range(0, 400, 50)]
    assert sorted(number for join in joins for number in join()) == list(range(400))
    assert sorted(kept(queue)) == list(range(400))


def test_what_waits_is_committed_together(queue, numbers, commits):
    with queue.journal._lock:
        futures = [queue.journal.submit(insert(number), durable=True) for number in range(100)]
    assert [future.result(5) for future in futures] == list(range(100))
    assert len(commits) <= 2


def test_one_that_fails_does_not_keep_others_from_being_written(queue, numbers):
    queue.journal.run(insert(3))
    with queue.journal._lock:
        futures = [queue.journal.submit(insert(number)) for number in range(6)]
    wait(futures, 5)
    assert sorted(kept(queue)) == list(range(6))
    assert [number for number, future in enumerate(futures) if future.exception()] == [3]


def test_an_operation_that_raises_has_changed_nothing(queue, numbers):
    def fail(session):
        session.execute('INSERT INTO numbers VALUES (1)')
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        queue.journal.run(fail)
    assert kept(queue) == []
    queue.journal.run(insert(1))


def test_a_durable_operation_is_synchronized_with_the_disk_and_others_are_not(queue, run):
    def level(session):
        return session.execute('PRAGMA synchronous').fetchone()[0]

    full, normal = 2, 1
    assert queue.journal.run(level) == normal
    assert queue.journal.run(level, durable=True) == full
    assert queue.journal.run(level) == normal


def test_bells_are_rung_after_the_commit(queue, numbers, monkeypatch):
    heard = []
    monkeypatch.setattr(queue.journal, '_ring', lambda kind: heard.append((kind, kept(queue))))

    def operation(session):
        insert(1)(session)
        session.rings.add('work')

    queue.journal.run(operation)
    queue.journal.run(insert(2))
    assert heard == [('work', [1])]


def test_closing_writes_what_waits(queue, numbers, path):
    with queue.journal._lock:
        futures = [queue.journal.submit(insert(number)) for number in range(10)]
    queue.journal.close()
    assert [future.result(0) for future in futures] == list(range(10))
    with pytest.raises(TaskQueueUnavailable):
        queue.journal.run(insert(11))


def test_errors_of_a_group_are_not_shared_by_threads(queue, numbers, path):
    path.rename(path.with_name('away'))
    with queue.journal._lock:
        futures = [queue.journal.submit(insert(number)) for number in range(2)]
    first, second = (future.exception(5) for future in futures)
    assert isinstance(first, TaskQueueUnavailable)
    assert first is not second


def test_reading_goes_on_while_another_writes(queue, numbers, in_thread):
    writing, read = threading.Event(), threading.Event()

    def slowly(session):
        insert(1)(session)
        writing.set()
        assert read.wait(5)

    join = in_thread(queue.journal.run, slowly)
    assert writing.wait(5)
    assert kept(queue) == []
    read.set()
    join()
    assert kept(queue) == [1]
