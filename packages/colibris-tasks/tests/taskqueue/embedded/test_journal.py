"""Writing the file together."""

import asyncio
import sqlite3
import threading
import time

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


async def write_at_once(queue, operations):
    """Let all of *operations* wait before the first is run; return what they return or raise."""
    with queue.journal._lock:
        writing = asyncio.gather(*(queue.journal.write(operation) for operation in operations), return_exceptions=True)
        await asyncio.sleep(0)
    return await writing


async def test_what_waits_is_committed_together(queue, numbers, commits):
    assert await write_at_once(queue, [insert(number) for number in range(100)]) == list(range(100))
    assert len(commits) <= 2


async def test_one_that_fails_does_not_keep_others_from_being_written(queue, numbers):
    queue.journal.run(insert(3))
    results = await write_at_once(queue, [insert(number) for number in range(6)])
    assert [isinstance(result, Exception) for result in results] == [number == 3 for number in range(6)]
    assert sorted(kept(queue)) == list(range(6))


async def test_what_a_cancelled_caller_wrote_is_kept(queue, numbers):
    with queue.journal._lock:
        writing = asyncio.create_task(queue.journal.write(insert(1)))
        await asyncio.sleep(0)
        writing.cancel()
    await queue.journal.write(insert(2))
    assert kept(queue) == [1, 2]
    assert writing.cancelled()


def test_an_operation_that_raises_has_changed_nothing(queue, numbers):
    def fail(session):
        session.execute('INSERT INTO numbers VALUES (1)')
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        queue.journal.run(fail)
    assert kept(queue) == []
    queue.journal.run(insert(1))


def test_when_the_file_cannot_be_used_all_who_wait_are_told_at_once(queue, numbers, path, monkeypatch, in_thread):
    monkeypatch.setattr('colibris.taskqueue.embedded.journal._LARGEST_GROUP', 1)
    monkeypatch.setattr('colibris.taskqueue.embedded.file.BUSY_TIMEOUT', 0.3)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute('BEGIN IMMEDIATE')

    def write(number):
        with pytest.raises(TaskQueueUnavailable, match='is held by another process'):
            queue.journal.run(insert(number))
        return time.monotonic()

    begun = time.monotonic()
    with queue.journal._lock:
        joins = [in_thread(write, number) for number in range(20)]
        time.sleep(0.1)
    assert max(join() for join in joins) - begun < 1.5
    other.close()


def test_an_operation_of_a_thread_that_is_ended_is_run_by_another(queue, numbers, in_thread):
    class End(BaseException):
        pass

    ending = [End()]

    def end(session):
        insert(1)(session)
        if ending:
            raise ending.pop()

    def write():
        with pytest.raises(End):
            queue.journal.run(end)
        return True

    assert in_thread(write)()
    queue.journal.run(insert(2))
    assert kept(queue) == [1, 2]


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


async def test_closing_writes_what_waits(queue, numbers, path):
    with queue.journal._lock:
        writing = asyncio.gather(*(queue.journal.write(insert(number)) for number in range(10)))
        await asyncio.sleep(0)
    await asyncio.to_thread(queue.journal.close)
    assert await writing == list(range(10))
    with pytest.raises(TaskQueueUnavailable):
        queue.journal.run(insert(11))


async def test_errors_of_a_group_are_not_shared(queue, numbers, path, monkeypatch):
    monkeypatch.setattr('colibris.taskqueue.embedded.journal._TRUST', 0)
    path.rename(path.with_name('away'))
    first, second = await write_at_once(queue, [insert(1), insert(2)])
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


def test_a_reader_sees_one_state_of_the_file(queue, numbers, in_thread):
    """What moves from one table to another meanwhile is in the one where it was."""

    def look(session):
        before = session.execute('SELECT number FROM numbers').fetchall()
        in_thread(queue.journal.run, insert(1))()
        return before, session.execute('SELECT number FROM numbers').fetchall()

    assert queue.reader.read(look) == ([], [])
    assert kept(queue) == [1]


def test_a_reader_whose_operation_fails_reads_on(queue, numbers):
    with pytest.raises(sqlite3.OperationalError):
        queue.reader.read(lambda session: session.execute('SELECT 1 FROM nowhere'))
    with pytest.raises(ZeroDivisionError):
        queue.reader.read(lambda session: 1 / 0)
    assert kept(queue) == []
