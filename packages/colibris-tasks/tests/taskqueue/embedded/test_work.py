"""The threads that are free."""

import pytest

from colibris.taskqueue.embedded.work import Work


@pytest.fixture
def work():
    work = Work(3)
    for queue in ('a', 'b'):
        work.waker(queue)
    return work


def test_no_more_threads_are_given_than_there_are(work):
    assert work.reserve('a', 2) == 2
    assert work.reserve('b', 2) == 1
    assert work.reserve('b', 2) == 0
    work.free(1)
    assert work.reserve('b', 2) == 1


def test_a_queue_that_got_no_thread_is_woken_when_one_is_free(work):
    work.reserve('a', 3)
    work.reserve('b', 1)
    assert not work.waker('b').is_set()
    work.free(1)
    assert work.waker('b').is_set()
    assert not work.waker('a').is_set()


def test_a_thread_does_not_go_on_with_its_queue_while_another_one_starves(work):
    work.reserve('a', 3)
    assert work.may_go_on('a')
    work.reserve('a', 1)
    assert work.may_go_on('a')
    work.reserve('b', 1)
    assert not work.may_go_on('a')
    work.free(1)
    work.reserve('b', 1)
    assert work.may_go_on('a')


def test_news_wake_all(work):
    work.announce()
    assert work.waker('a').is_set()
    assert work.waker('b').is_set()
