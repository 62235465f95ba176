"""The names on the server, and the lengths of delays."""

import pytest

from colibris.taskqueue.dramatiq.rabbitmq.places import LONGEST_WAIT, Places


@pytest.fixture
def places():
    return Places('shop')


def test_a_task_goes_to_the_queue_of_its_application(places):
    route = places.route('mail')
    assert (route.exchange, route.routing_key, route.mandatory) == ('', 'shop.mail', True)


@pytest.mark.parametrize(
    ('delay', 'milliseconds'),
    [(0.0001, 1), (0.05, 50), (1, 1000), (1.234, 1300), (59, 59_000), (86_400, 86_400_000), (3661, 3_670_000)],
)
def test_a_delay_is_a_queue_and_never_shorter_than_asked_for(places, delay, milliseconds):
    route = places.route('mail', delay)
    assert route.routing_key == f'shop.mail.{milliseconds}'
    assert route.always


@pytest.mark.parametrize('delay', [0.1, 1, 17.3, 101.5, 5000, 123_456, LONGEST_WAIT])
def test_a_delay_is_at_most_a_tenth_longer_than_asked_for(places, delay):
    milliseconds = int(places.route('mail', delay).routing_key.rpartition('.')[2])
    assert delay * 1000 <= milliseconds <= delay * 1100
    assert milliseconds + 60_000 < 2**32


def test_few_queues_hold_all_delays(places):
    names = {places.route('mail', number / 100).routing_key for number in range(1000, 10_000)}
    assert len(names) == 91


def test_what_is_put_aside_for_a_task_has_a_queue_of_its_own(places):
    route = places.aside('mail', 'a' * 32, 10)
    assert route.routing_key == f'shop.mail.{"a" * 32}'
    assert not route.always
