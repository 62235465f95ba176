"""Time limits: raised in the thread, told when nothing reacts, and never in other code."""

import threading
import time
from contextlib import suppress

import pytest

from colibris.taskqueue.limits import TimeLimitExceeded, Watchdog
from colibris.taskqueue.messages import Message


@pytest.fixture
def hung():
    return []


@pytest.fixture
def watchdog(hung):
    watchdog = Watchdog(0.2, hung.append)
    watchdog.start()
    yield watchdog
    watchdog.close()


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.001)


def limited(seconds):
    return Message(function='f', time_limit=seconds)


def test_it_is_raised_in_the_thread(watchdog):
    begun = time.monotonic()
    with pytest.raises(TimeLimitExceeded), watchdog.watching(limited(0.2), interrupt=True):
        spin(5)
    assert 0.2 <= time.monotonic() - begun < 2


def test_a_block_that_ends_in_time_hears_nothing(watchdog, hung):
    for _ in range(50):
        with watchdog.watching(limited(0.01), interrupt=True):
            pass
    spin(0.05)
    assert hung == []


def test_without_a_limit_nothing_is_watched(watchdog):
    with watchdog.watching(limited(None), interrupt=True):
        spin(0.05)


def test_shorter_limits_are_kept_beside_longer_ones(watchdog):
    with watchdog.watching(limited(60), interrupt=True):
        begun = time.monotonic()
        with pytest.raises(TimeLimitExceeded), watchdog.watching(limited(0.1), interrupt=True):
            spin(5)
        assert time.monotonic() - begun < 2


def test_it_never_comes_up_after_the_block(watchdog):
    for round in range(60):
        try:
            with watchdog.watching(limited(0.01), interrupt=True):
                spin(0.0098 + round % 5 * 0.0001)
        except TimeLimitExceeded:
            pass
        spin(0.003)


def test_what_does_not_react_is_told_after_the_grace(watchdog, hung):
    message = limited(0.1)
    ended = threading.Event()

    def stubborn():
        try:
            with watchdog.watching(message, interrupt=True):
                while not ended.is_set():
                    with suppress(TimeLimitExceeded):
                        spin(0.05)
        except TimeLimitExceeded:
            pass

    thread = threading.Thread(target=stubborn)
    thread.start()
    spin(0.6)
    ended.set()
    thread.join()
    assert hung[:1] == [message]


def test_a_block_that_is_not_interrupted_is_told_of_after_limit_and_grace(watchdog, hung):
    message = limited(0.1)
    with watchdog.watching(message, interrupt=False):
        spin(0.2)
        assert hung == []
        spin(0.3)
    assert hung[:1] == [message]
