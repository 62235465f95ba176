"""The options that all engines share."""

import pytest

from colibris.taskqueue.policy import OPTIONS, Policy


def test_each_option_has_a_default():
    assert Policy().queues == ('default',)
    assert 'result_timeout' in OPTIONS
    assert 'timeout' not in OPTIONS  # it is the engines'


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({'modules': 'tasks'}, 'modules must be a list'),
        ({'queues': 'mail'}, 'queues must be a list'),
        ({'queues': ()}, 'queues must be a list'),
        ({'queues': ['a b']}, 'queues must be a list'),
        ({'retries': -1}, 'retries must be an integer from 0 on'),
        ({'retries': 1.5}, 'retries must be an integer from 0 on'),
        ({'max_message_size': True}, 'max_message_size must be an integer'),
        ({'grace': 0}, 'grace must be a positive number of seconds'),
        ({'result_lifetime': float('inf')}, 'result_lifetime must be a positive number'),
        ({'result_timeout': None}, 'result_timeout must be a positive number'),
        ({'outbox': 1}, 'outbox must be True or False'),
    ],
)
def test_wrong_values_are_refused_with_the_name_of_the_option(options, reason):
    with pytest.raises(ValueError, match=reason):
        Policy(**options)


def test_there_may_be_no_time_limit():
    assert Policy(time_limit=None).time_limit is None
