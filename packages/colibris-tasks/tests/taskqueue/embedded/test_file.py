"""Making and opening the file, and what its errors mean."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from colibris.taskqueue.embedded import file as files
from colibris.taskqueue.embedded.file import QueueFile
from colibris.taskqueue.embedded.queue import EmbeddedQueue
from colibris.taskqueue.embedded.tables import STATEMENTS
from colibris.taskqueue.errors import TaskQueueUnavailable


def nothing(session):
    session.execute('SELECT count(*) FROM tasks').fetchone()


def fill(session):
    session.execute('CREATE TABLE IF NOT EXISTS filling (data BLOB)')
    session.execute('INSERT INTO filling VALUES (zeroblob(4000000))')


def test_the_file_and_its_log_are_for_their_owner_alone(queue, path, run):
    run(fill)
    for name in (path.name, f'{path.name}-wal', f'{path.name}-shm'):
        assert path.with_name(name).stat().st_mode & 0o777 == 0o600, name


def test_a_queue_that_is_there_is_kept(queue, path, run):
    run(fill)
    again = EmbeddedQueue(path)
    again.open()
    assert again.reader.read(lambda session: session.execute('SELECT count(*) FROM filling').fetchone()) == (1,)
    again.close()


def test_many_processes_may_make_the_file_at_once(path, in_thread):
    start = threading.Barrier(8)

    def make():
        start.wait()
        QueueFile(path).make(STATEMENTS)
        return True

    joins = [in_thread(make) for _ in range(8)]
    assert all(join() for join in joins)


def test_a_file_that_another_makes_at_the_moment_is_not_taken_for_a_stranger(path, in_thread, monkeypatch):
    number = files._number
    joins = []

    def number_and_then_another_makes_it(connection, pragma):
        found = number(connection, pragma)
        if not joins:
            joins.append(in_thread(QueueFile(path).make, STATEMENTS))
            with suppress(TimeoutError):
                joins[0](0.3)
        return found

    monkeypatch.setattr(files, '_number', number_and_then_another_makes_it)
    QueueFile(path).make(STATEMENTS)
    joins[0]()


def test_opening_a_queue_that_is_there_waits_for_nobody_who_writes(queue, path):
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute('BEGIN IMMEDIATE')
    begun = time.monotonic()
    QueueFile(path).make(STATEMENTS)
    assert time.monotonic() - begun < files.BUSY_TIMEOUT / 2
    holder.close()


def test_opening_it_twice_in_a_process_does_not_let_others_take_its_log_away(queue, path, run):
    again = EmbeddedQueue(path)
    again.open()
    script = 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute("PRAGMA user_version"); c.close()'
    subprocess.run([sys.executable, '-c', script, str(path)], check=True)
    assert path.with_name(f'{path.name}-wal').exists()
    again.close()


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(TaskQueueUnavailable, match=r'the directory .*/nowhere does not exist; make it, or change'):
        EmbeddedQueue(tmp_path / 'nowhere' / 'tasks.db').open()


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(TaskQueueUnavailable, match='this is a directory'):
        EmbeddedQueue(tmp_path).open()


def test_the_database_of_another_program_is_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE theirs (id INTEGER)')
    connection.close()
    with pytest.raises(TaskQueueUnavailable, match='is a database of another program: set the option "path"'):
        EmbeddedQueue(path).open()


def test_the_marked_database_of_another_program_is_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute('PRAGMA application_id = 12345')
    connection.close()
    with pytest.raises(TaskQueueUnavailable, match='is a database of another program'):
        EmbeddedQueue(path).open()


def test_a_queue_of_another_release_is_refused(path, monkeypatch):
    monkeypatch.setattr(files, 'VERSION', 99)
    newer = EmbeddedQueue(path)
    newer.open()
    newer.close()
    monkeypatch.undo()
    with pytest.raises(TaskQueueUnavailable, match=r'is of version 99, .* this one knows version 1'):
        EmbeddedQueue(path).open()


def test_what_is_no_database_is_called_so(path):
    path.write_bytes(os.urandom(8192))
    with pytest.raises(TaskQueueUnavailable, match='is no SQLite database, or damaged: move it away'):
        EmbeddedQueue(path).open()


def test_damage_is_called_so(queue, path, run):
    for _ in range(20):
        run(fill)
    queue.close()
    with path.open('r+b') as file:
        file.seek(4096)
        file.write(os.urandom(4096 * 20))

    def use():
        damaged = EmbeddedQueue(path)
        try:
            damaged.open()
            damaged.journal.run(nothing)
            damaged.reader.read(lambda session: session.execute('SELECT sum(length(data)) FROM filling').fetchall())
        finally:
            damaged.close()

    with pytest.raises(TaskQueueUnavailable, match='is damaged: move it and its -wal file away'):
        use()


def test_a_full_disk_is_called_so_and_work_goes_on_when_there_is_room(queue, run):
    def limit(session, pages):
        session.execute(f'PRAGMA max_page_count = {pages}')

    run(limit, 100)
    with pytest.raises(TaskQueueUnavailable, match='the disk is full; make room'):
        run(fill)
    run(limit, 100_000)
    run(fill)


def test_a_removed_file_is_an_error_rather_than_writing_to_nowhere(queue, path):
    path.unlink()
    for _ in range(2):
        with pytest.raises(TaskQueueUnavailable, match=r'cannot be found .* put it back, or restart'):
            queue.journal.run(nothing, durable=True)


def test_that_the_file_is_gone_is_noticed_by_readers_and_workers_too(queue, path, run, eventually):
    def fails(function):
        try:
            function(nothing)
        except TaskQueueUnavailable:
            return True
        return False

    run(nothing)
    queue.reader.read(nothing)
    path.unlink()
    eventually(lambda: fails(run), 1)
    eventually(lambda: fails(queue.reader.read), 1)


def test_a_file_that_was_replaced_is_opened_anew(queue, path, run, tmp_path):
    run(fill)
    other = EmbeddedQueue(tmp_path / 'other.db')
    other.open()
    other.close()
    for name in ('-wal', '-shm'):
        path.with_name(path.name + name).unlink()
    (tmp_path / 'other.db').rename(path)
    with pytest.raises(sqlite3.OperationalError, match='no such table: filling'):
        queue.journal.run(lambda session: session.execute('SELECT * FROM filling'), durable=True)


def test_a_file_held_by_another_process_is_waited_for(queue, path, run, in_thread):
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute('BEGIN IMMEDIATE')
    join = in_thread(run, nothing)
    threading.Event().wait(0.2)
    holder.execute('COMMIT')
    join()
    holder.close()


def test_a_file_held_for_too_long_is_called_so(queue, path, run, monkeypatch):
    monkeypatch.setattr(files, 'BUSY_TIMEOUT', 0.2)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute('BEGIN IMMEDIATE')
    with pytest.raises(TaskQueueUnavailable, match='is held by another process that does not let go of it'):
        run(nothing)
    holder.execute('COMMIT')
    holder.close()
    run(nothing)


def test_a_closed_queue_is_called_so(queue, run):
    queue.close()
    with pytest.raises(TaskQueueUnavailable, match='is closed in this process'):
        run(nothing)
