"""Messages and outcomes as signed bytes."""

import re
from dataclasses import fields
from datetime import UTC, datetime

import pytest

from colibris import serialization
from colibris.taskqueue.errors import InvalidMessage, TooLarge
from colibris.taskqueue.messages import Codec, Failure, Message, Outcome, Status, new_id

SECRET = b'a secret of the tests of messages'


@pytest.fixture
def codec():
    return Codec(SECRET, max_size=1000)


def test_a_message_comes_back_as_it_was(codec):
    message = Message(
        function='shop.tasks:add',
        args=[1, datetime(2026, 1, 1, tzinfo=UTC)],
        kwargs={'key': (1, 2)},
        queue='mail',
        retries=3,
        attempt=1,
        time_limit=1.5,
        unique_key='key',
        request_id='request',
        trace={'traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'},
    )
    decoded = codec.decode(codec.encode(message))
    assert {field.name: getattr(decoded, field.name) for field in fields(Message)} == {
        field.name: getattr(message, field.name) for field in fields(Message)
    }


def test_a_message_that_is_sent_for_no_request_has_the_form_of_before(codec):
    """Workers of one release may read it that know nothing of requests, and what such a release has sent is read."""
    data = codec.encode(Message(function='shop.tasks:add', args=[1]))
    assert len(serialization.loads(data[32:])) == 11
    assert (codec.decode(data).request_id, codec.decode(data).trace) == (None, {})


def test_any_change_of_a_message_is_noticed(codec):
    data = codec.encode(Message(function='shop.tasks:add', args=['text']))
    for index in range(len(data)):
        changed = data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
        with pytest.raises(InvalidMessage, match='signature'):
            codec.decode(changed)
    for broken in (b'', data[:10], data[:-1], data + b'x'):
        with pytest.raises(InvalidMessage):
            codec.decode(broken)


def test_another_secret_makes_another_signature(codec):
    data = Codec(b'the secret of somebody else', max_size=1000).encode(Message(function='f'))
    with pytest.raises(InvalidMessage, match='another SECRET_KEY'):
        codec.decode(data)


def test_an_outcome_belongs_to_one_task(codec):
    outcome = Outcome(Status.FAILED, None, Failure('ValueError', 'no', 'Traceback'))
    data = codec.encode_outcome('a' * 32, outcome)
    assert codec.decode_outcome('a' * 32, data) == outcome
    with pytest.raises(InvalidMessage):
        codec.decode_outcome('b' * 32, data)


def test_an_outcome_is_no_message_and_a_message_no_outcome(codec):
    with pytest.raises(InvalidMessage):
        codec.decode(codec.encode_outcome('', Outcome(Status.SUCCEEDED, 1)))
    with pytest.raises(InvalidMessage):
        codec.decode_outcome('', codec.encode(Message(function='f')))


@pytest.mark.parametrize(
    ('args', 'kwargs', 'named'),
    [([1, object()], {}, 'argument 2'), ([], {'a': 1, 'key': [object()]}, "the argument 'key'")],
)
def test_an_argument_that_cannot_travel_is_named(codec, args, kwargs, named):
    with pytest.raises(TypeError, match=f'{named} of shop.tasks:add cannot travel'):
        codec.encode(Message(function='shop.tasks:add', args=args, kwargs=kwargs))


def test_a_message_that_is_too_large_names_the_largest_argument(codec):
    with pytest.raises(TooLarge, match=r"max_message_size is 1000. Most of it is the argument 'key', with 2003 bytes"):
        codec.encode(Message(function='shop.tasks:add', args=['x'], kwargs={'key': bytes(2000)}))


def test_a_result_that_is_too_large_is_refused(codec):
    with pytest.raises(TooLarge, match='the result takes'):
        codec.encode_outcome('a', Outcome(Status.SUCCEEDED, bytes(2000)))


def test_ids_are_random_and_derived_ones_depend_on_the_secret(codec):
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch('[0-9a-f]{32}', task_id) for task_id in ids)
    assert codec.derive_id('run') == codec.derive_id('run') != codec.derive_id('walk')
    assert codec.derive_id('run') != Codec(b'x', max_size=1).derive_id('run')
    assert re.fullmatch('[0-9a-f]{32}', codec.derive_id('run'))


def test_the_next_attempt_has_the_same_id():
    message = Message(function='f', retries=2)
    assert (message.next_attempt().id, message.next_attempt().attempt) == (message.id, 1)


def test_a_result_that_cannot_travel_is_called_a_result(codec):
    with pytest.raises(TypeError, match=r'what the task returned cannot travel: the value at \[0\] cannot'):
        codec.encode_outcome('a', Outcome(Status.SUCCEEDED, [object()]))
