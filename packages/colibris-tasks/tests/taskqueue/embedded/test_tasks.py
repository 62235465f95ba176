"""What is done to tasks in the file."""

import pytest

from colibris.taskqueue.embedded import looking, members, tasks
from colibris.taskqueue.embedded.tasks import Ending
from colibris.taskqueue.messages import Message, Status
from colibris.taskqueue.stats import WorkerInfo

SUCCEEDED = Ending(Status.SUCCEEDED, b'fine', 100)
FAILED = Ending(Status.FAILED, b'bad', 1000)
CANCELLED = Ending(Status.CANCELLED, b'never', 100)


@pytest.fixture
def add(run):
    def add(task_id, *, namespace='shop', delay=0, queue='default', unique_key=None, data=b'data'):
        message = Message(id=task_id, function='jobs:work', queue=queue, unique_key=unique_key)
        return run(tasks.add, namespace, message, data, delay=delay)

    return add


@pytest.fixture
def take(run):
    def take(most=10, *, namespace='shop', queue='default', worker='worker'):
        return run(tasks.take, namespace, queue, worker, most)

    return take


@pytest.fixture
def status(run):
    return lambda task_id: run(looking.status, task_id)


def ids(taken):
    return [each.id for each in taken]


def test_tasks_are_taken_in_the_order_of_their_sending(add, take):
    for task_id in 'abc':
        add(task_id)
    assert ids(take(2)) == ['a', 'b']
    assert ids(take(2)) == ['c']
    assert ids(take(2)) == []


def test_what_is_taken_has_what_was_sent(add, take):
    add('a', data=b'\x00message')
    (taken,) = take()
    assert (taken.data, taken.queue, taken.losses) == (b'\x00message', 'default', 0)


def test_queues_and_namespaces_are_apart(add, take):
    add('a', queue='mail')
    add('b', namespace='test_shop')
    assert ids(take()) == []
    assert ids(take(queue='mail')) == ['a']
    assert ids(take(namespace='test_shop')) == ['b']


def test_a_task_is_accepted_once(add, take, run, status):
    add('a')
    add('a')
    (taken,) = take()
    add('a')
    run(tasks.end, taken, SUCCEEDED)
    add('a')
    assert take() == []
    assert status('a') is Status.SUCCEEDED


def test_a_unique_key_is_held_until_the_end(add, take, run):
    assert add('a', unique_key='key') == 'a'
    assert add('b', unique_key='key') == 'a'
    assert add('c', unique_key='key', namespace='test_shop') == 'c'
    (taken,) = take()
    assert add('d', unique_key='key') == 'a'
    run(tasks.end, taken, SUCCEEDED)
    assert add('e', unique_key='key') == 'e'


def test_a_delayed_task_is_queued_when_it_is_due_and_not_before(machine, queue, add, take, run, status):
    add('a', delay=60)
    assert status('a') is Status.DELAYED
    machine.steady += 59
    run(tasks.queue_due)
    assert take() == []
    machine.steady += 2
    run(tasks.queue_due)
    assert status('a') is Status.QUEUED
    assert ids(take()) == ['a']


def test_a_delay_does_not_change_with_the_wall_clock(machine, queue, add, take, run):
    add('a', delay=60)
    machine.wall -= 86400
    machine.steady += 61
    run(tasks.queue_due)
    assert ids(take()) == ['a']


def test_the_next_delayed_task_is_known(machine, queue, add, run):
    assert run(tasks.is_waiting, 'shop', 'default') == (False, None)
    add('a', delay=60)
    add('b', delay=30)
    assert run(tasks.is_waiting, 'shop', 'default') == (False, machine.wall + 30)
    add('c')
    assert run(tasks.is_waiting, 'shop', 'default') == (True, machine.wall + 30)


def test_a_further_try_is_delayed_and_counted(machine, queue, add, take, run, context, status):
    add('a', unique_key='key')
    (taken,) = take()
    run(tasks.put_off, taken, b'again', 5)
    assert status('a') is Status.DELAYED
    assert add('b', unique_key='key') == 'a'
    machine.steady += 6
    run(tasks.queue_due)
    (again,) = take()
    assert (again.id, again.data) == ('a', b'again')
    assert run(looking.info, context.codec, 'a').attempt == 1


def test_what_is_put_back_has_its_place_in_the_queue(add, take, run):
    for task_id in 'abc':
        add(task_id)
    taken = take(2)
    run(tasks.put_back, taken)
    again = take(3)
    assert ids(again) == ['a', 'b', 'c']
    assert again[0].losses == 0


@pytest.fixture
def alive(run):
    """A worker that is known."""
    run(members.beat, 'shop', WorkerInfo('alive', 'host', 1, 8, ('default',), 0.0), None)
    return 'alive'


def test_what_unknown_workers_have_is_queued_again_with_one_more_loss(add, take, run, alive):
    add('a')
    add('b')
    take(1, worker='dead')
    take(1, worker=alive)
    run(tasks.give_back_orphans, 'test_shop')
    assert take() == []
    run(tasks.give_back_orphans, 'shop')
    (again,) = take()
    assert (again.id, again.losses) == ('a', 1)


def test_a_task_that_its_worker_lost_counts_a_loss(add, take, run):
    add('a')
    (taken,) = take()
    run(tasks.lose, taken)
    (again,) = take()
    assert again.losses == 1


@pytest.mark.parametrize('late', ['end', 'put_off', 'put_back', 'lose'])
def test_a_worker_that_was_taken_for_dead_changes_nothing_any_more(add, take, run, status, late):
    add('a')
    (first,) = take(worker='frozen')
    run(tasks.give_back_orphans, 'shop')
    (second,) = take(worker='other')
    arguments = {'end': (first, FAILED), 'put_off': (first, b'', 1), 'put_back': ([first],), 'lose': (first,)}
    run(getattr(tasks, late), *arguments[late])
    assert status('a') is Status.RUNNING
    run(tasks.end, second, SUCCEEDED)
    assert status('a') is Status.SUCCEEDED
    run(getattr(tasks, late), *arguments[late])
    assert status('a') is Status.SUCCEEDED


def test_a_task_that_nobody_has_taken_can_be_cancelled(add, take, run, status):
    add('a', unique_key='key')
    add('b', delay=60)
    assert run(tasks.cancel, 'a', CANCELLED)
    assert run(tasks.cancel, 'b', CANCELLED)
    assert run(tasks.cancel, 'a', CANCELLED)
    assert status('a') is status('b') is Status.CANCELLED
    assert take() == []
    assert add('c', unique_key='key') == 'c'


def test_a_task_that_runs_or_has_ended_or_is_unknown_cannot_be_cancelled(add, take, run, status):
    add('a')
    (taken,) = take()
    assert not run(tasks.cancel, 'a', CANCELLED)
    run(tasks.end, taken, SUCCEEDED)
    assert not run(tasks.cancel, 'a', CANCELLED)
    assert not run(tasks.cancel, 'unknown', CANCELLED)
    assert status('a') is Status.SUCCEEDED


def dead_letter(add, take, run, task_id='a'):
    add(task_id, data=b'its message')
    run(tasks.end, take()[0], FAILED)


def test_a_dead_letter_keeps_its_message_and_can_be_revived(add, take, run, status):
    dead_letter(add, take, run)
    assert run(looking.dead_message, 'shop', 'a') == b'its message'
    assert run(tasks.revive, 'shop', 'a', b'new')
    assert status('a') is Status.QUEUED
    assert run(looking.dead_message, 'shop', 'a') is None
    (taken,) = take()
    assert taken.data == b'new'
    run(tasks.end, taken, SUCCEEDED)
    assert not run(tasks.revive, 'shop', 'a', b'new')
    assert not run(tasks.revive, 'shop', 'unknown', b'new')


def test_what_has_succeeded_does_not_keep_its_message(add, take, run):
    add('a')
    run(tasks.end, take()[0], SUCCEEDED)
    assert run(lambda session: session.execute('SELECT data FROM finished').fetchone()) == (None,)


def test_dead_letters_are_purged_by_their_ids_or_all(add, take, run, status):
    for task_id in 'abcd':
        dead_letter(add, take, run, task_id)
    assert run(tasks.purge_dead, 'shop', ['a', 'b', 'unknown']) == 2
    assert run(tasks.purge_dead, 'test_shop', None) == 0
    assert run(tasks.purge_dead, 'shop', None) == 2
    assert status('c') is Status.UNKNOWN


def test_what_ended_is_forgotten_after_its_lifetime(machine, queue, add, take, run, status):
    add('a')
    run(tasks.end, take()[0], SUCCEEDED)
    dead_letter(add, take, run, 'b')
    machine.steady += 99
    assert run(tasks.forget_expired, 10) == 0
    machine.steady += 2
    assert run(tasks.forget_expired, 10) == 1
    assert status('a') is Status.UNKNOWN
    assert status('b') is Status.FAILED
    machine.steady += 1000
    assert run(tasks.forget_expired, 10) == 1


def test_clearing_forgets_one_namespace(add, take, run, status):
    add('a')
    dead_letter(add, take, run, 'b')
    add('c', namespace='test_shop')
    run(tasks.clear, 'shop')
    assert [status(task_id) for task_id in 'abc'] == [Status.UNKNOWN, Status.UNKNOWN, Status.QUEUED]


def test_endings_that_somebody_is_to_hear_are_told_in_their_order(run, take):
    since = run(looking.last_ending)
    for task_id, channel in (('a', 'mine'), ('b', None), ('c', 'other')):
        message = Message(id=task_id, function='jobs:work')
        run(tasks.add, 'shop', message, b'', channel=channel)
    for taken in take():
        run(tasks.end, taken, SUCCEEDED)
    last, told = run(looking.endings, since, 'mine')
    assert told == [('a', b'fine'), ('c', None)]
    assert last == since + 3
    assert run(looking.endings, last, 'mine') == (last, [])


def test_who_asks_later_is_to_hear_the_end_too(add, take, run):
    for task_id in 'ab':
        add(task_id)
    run(tasks.end, take(1)[0], SUCCEEDED)
    assert run(looking.unheard, ['a', 'b', 'unknown']) == ['b']
    run(tasks.listen, ['b'], 'mine')
    run(tasks.listen, ['b'], 'other')
    assert run(looking.unheard, ['a', 'b']) == []
    since = run(looking.last_ending)
    run(tasks.end, take(1)[0], SUCCEEDED)
    assert run(looking.endings, since, 'mine')[1] == [('b', b'fine')]


def test_numbers_of_endings_are_not_used_again_when_the_last_are_forgotten(add, take, run):
    dead_letter(add, take, run)
    last = run(looking.last_ending)
    run(tasks.purge_dead, 'shop', None)
    assert run(looking.last_ending) == last
    dead_letter(add, take, run, 'b')
    assert run(looking.last_ending) == last + 1
