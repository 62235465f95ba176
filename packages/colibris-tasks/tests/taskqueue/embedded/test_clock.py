"""The clock of the file."""

import sqlite3

import pytest

from colibris.taskqueue.embedded import clock as clocks
from colibris.taskqueue.embedded.clock import Clock


@pytest.fixture
def connection():
    connection = sqlite3.connect(':memory:')
    connection.execute(clocks.TABLE)
    yield connection
    connection.close()


@pytest.fixture
def clock(connection, machine):
    clock = Clock(connection)
    clock.keep(connection)
    return clock


def test_it_starts_at_the_time_of_the_wall_clock(clock, machine):
    assert clock.now() == machine.wall


def test_it_runs_on_while_the_wall_clock_is_set_back(clock, machine):
    before = clock.now()
    machine.wall -= 3600
    machine.steady += 10
    assert clock.now() == before + 10


def test_processes_of_one_machine_agree_although_one_began_after_the_wall_clock_was_set(clock, connection, machine):
    machine.wall -= 3600
    machine.steady += 10
    other = Clock(connection)
    assert other.now() == clock.now()
    assert other.went_on


def test_after_a_reboot_the_time_that_the_machine_was_down_has_passed(clock, connection, machine):
    before = clock.now()
    machine.boot, machine.steady = 'second', 5.0
    machine.wall += 120
    again = Clock(connection)
    assert again.now() == before + 120
    assert not again.went_on


def test_it_does_not_go_back_if_the_wall_clock_did_during_a_reboot(clock, connection, machine):
    before = clock.now()
    machine.boot, machine.steady = 'second', 5.0
    machine.wall -= 3600
    assert Clock(connection).now() == before


def test_a_reboot_is_noticed_where_the_system_does_not_tell_boots_apart(connection, machine):
    machine.boot = ''
    clock = Clock(connection)
    clock.keep(connection)
    before = clock.now()
    machine.steady = 5.0
    machine.wall += 120
    assert Clock(connection).now() == before + 120


def test_the_machine_has_what_it_needs():
    assert clocks.boot_id()
    first = clocks.steady()
    assert clocks.steady() >= first
