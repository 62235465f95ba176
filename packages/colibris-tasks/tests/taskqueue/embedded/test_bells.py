"""The sockets by which processes wake one another."""

import os
import signal
import subprocess
import sys

import pytest

from colibris.taskqueue.embedded.bells import Bells


@pytest.fixture
def bells(tmp_path):
    bells = Bells(tmp_path / 'bells')
    yield bells
    bells.close()


@pytest.fixture
def hang(bells):
    hung = []

    def hang(kind, of=bells):
        hung.append(of.hang(kind))
        return hung[-1]

    yield hang
    for bell in hung:
        bell.close()


def dead_bell(bells, kind):
    """Return the name of the bell of a process that was killed."""
    script = (
        'import pathlib, sys, time\n'
        'from colibris.taskqueue.embedded.bells import Bells\n'
        f'print(Bells(pathlib.Path(sys.argv[1])).hang({kind!r}).name, flush=True)\n'
        'time.sleep(60)'
    )
    process = subprocess.Popen([sys.executable, '-c', script, str(bells.directory)], stdout=subprocess.PIPE, text=True)
    name = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return name


def test_a_ring_wakes_whoever_waits_at_a_bell_of_the_kind(bells, hang):
    work, wait = hang('work'), hang('wait')
    bells.ring('work')
    assert work.wait(1)
    assert not wait.wait(0)


def test_rings_that_come_before_anybody_waits_are_heard_once(bells, hang):
    bell = hang('work')
    for _ in range(2000):
        bells.ring('work')
    assert bell.wait(0)
    assert not bell.wait(0)


def test_a_ring_from_another_directory_of_the_same_name_is_not_heard(bells, hang, tmp_path):
    bell = hang('work')
    Bells(tmp_path / 'other').ring('work')
    assert not bell.wait(0)


def test_the_directory_is_for_its_owner_alone(bells, hang):
    hang('work')
    assert bells.directory.stat().st_mode & 0o777 == 0o700


def test_the_bell_of_a_living_process_is_not_dead(bells, hang):
    bell = hang('work')
    assert not bells.is_dead(bell.name)


def test_the_bell_of_a_killed_process_is_dead(bells):
    assert bells.is_dead(dead_bell(bells, 'work'))


def test_of_a_bell_that_is_not_there_nobody_knows_whether_its_process_has_ended(bells, hang):
    hang('work')
    assert not bells.is_dead('work-unknown')


def test_sweeping_takes_down_the_bells_of_dead_processes_alone(bells, hang):
    dead = dead_bell(bells, 'wait')
    bell = hang('wait')
    bells.sweep('wait')
    assert os.listdir(bells.directory) == [bell.name]
    assert not bells.is_dead(dead)


def test_a_closed_bell_is_taken_down(bells):
    bells.hang('work').close()
    assert os.listdir(bells.directory) == []


def test_a_path_may_be_longer_than_an_address(tmp_path):
    deep = tmp_path / ('d' * 100) / ('e' * 100)
    deep.mkdir(parents=True)
    bells = Bells(deep / 'bells')
    bell = bells.hang('work')
    bells.ring('work')
    assert bell.wait(1)
    bell.close()
    bells.close()


def test_there_are_no_bells_where_there_can_be_no_sockets(tmp_path):
    (tmp_path / 'file').write_text('')
    bells = Bells(tmp_path / 'file')
    assert bells.hang('work') is None
    bells.ring('work')
    bells.close()
