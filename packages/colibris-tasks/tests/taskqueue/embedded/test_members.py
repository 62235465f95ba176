"""The signs of life of workers."""

import pytest

from colibris.taskqueue.embedded import members, tasks
from colibris.taskqueue.embedded.members import BEATS, Member, Watch
from colibris.taskqueue.messages import Message, Status
from colibris.taskqueue.stats import WorkerInfo


def worker(name):
    return WorkerInfo(name, 'host', 1, 8, ('default',), 0.0)


@pytest.fixture
def others(run):
    return lambda: run(members.others, 'shop', 'me')


def test_a_worker_is_silent_after_some_beats_without_one_of_its_own():
    watch = Watch()
    for _ in range(BEATS):
        assert watch.silent([Member('other', 7, None)]) == []
    assert watch.silent([Member('other', 7, None)]) == [Member('other', 7, None)]


def test_a_worker_that_beats_is_not_silent():
    watch = Watch()
    for beat in range(BEATS * 3):
        assert watch.silent([Member('other', beat // 2, None)]) == []


def test_a_beat_makes_a_worker_known_and_counts_up(run, others):
    run(members.beat, 'shop', worker('other'), 'bell')
    run(members.beat, 'shop', worker('me'), None)
    (first,) = others()
    assert (first.id, first.bell) == ('other', 'bell')
    run(members.beat, 'shop', worker('other'), 'bell')
    assert others()[0].beat == first.beat + 1


def test_workers_of_other_namespaces_are_not_watched(run, others):
    run(members.beat, 'test_shop', worker('other'), None)
    assert others() == []


def test_burying_gives_back_what_a_worker_had(run, others):
    run(members.beat, 'shop', worker('dead'), None)
    run(tasks.add, 'shop', Message(id='a', function='jobs:work'), b'')
    run(tasks.take, 'shop', 'default', 'dead', 1)
    assert run(members.bury, 'shop', others()[0])
    assert others() == []
    assert [task.losses for task in run(tasks.take, 'shop', 'default', 'me', 1)] == [1]


def test_a_worker_that_gave_a_sign_of_life_meanwhile_is_not_buried(run, others, queue):
    from colibris.taskqueue.embedded import looking

    run(members.beat, 'shop', worker('other'), None)
    run(tasks.add, 'shop', Message(id='a', function='jobs:work'), b'')
    run(tasks.take, 'shop', 'default', 'other', 1)
    (seen,) = others()
    run(members.beat, 'shop', worker('other'), None)
    assert not run(members.bury, 'shop', seen)
    assert run(looking.status, 'a') is Status.RUNNING


def test_a_worker_that_leaves_is_forgotten(run, others):
    run(members.beat, 'shop', worker('other'), None)
    run(members.leave, 'other')
    assert others() == []
