"""Sending: what was accepted is on the server, and what cannot be sent fails before long."""

import asyncio
import time

import pytest

from colibris.taskqueue.dramatiq.rabbitmq import sender as module
from colibris.taskqueue.dramatiq.rabbitmq.line import WAIT
from colibris.taskqueue.errors import TaskQueueUnavailable
from colibris.taskqueue.messages import new_id


async def test_what_was_accepted_is_in_a_queue_that_survives_a_restart(make_line, take_all):
    line = await make_line()
    await line.publish('default', 'a' * 32, b'data')
    [(properties, body)] = take_all()
    assert (properties.message_id, properties.delivery_mode, body) == ('a' * 32, 2, b'data')


async def test_threads_may_send_as_well(make_line, take_all):
    line = await make_line()
    await asyncio.to_thread(line.publish_and_wait, 'default', 'a' * 32, b'data')
    assert len(take_all()) == 1


async def test_thousands_are_sent_at_once_in_their_order(make_line, take_all):
    line = await make_line(patience=30)
    await asyncio.gather(*(line.publish('default', new_id(), b'%d' % number) for number in range(3000)))
    assert [int(body) for _, body in take_all()] == list(range(3000))


async def test_sending_does_not_hold_the_event_loop(make_line):
    line = await make_line(patience=30)
    longest = 0.0
    for _ in range(200):
        begun = time.thread_time()
        sending = asyncio.create_task(line.publish('default', new_id(), bytes(10_000)))
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - begun)
        await sending
    assert longest < 0.005


async def test_a_server_that_is_away_is_told_after_a_while_and_found_again(make_line, wire, take_all):
    line = await make_line(port=wire.port, patience=1.0)
    await line.publish('default', 'a' * 32, b'before')
    await wire.cut()
    begun = time.monotonic()
    with pytest.raises(TaskQueueUnavailable, match=r'did not accept a message within 1 s: .*refused'):
        await line.publish('default', 'b' * 32, b'lost')
    assert 0.9 < time.monotonic() - begun < 3
    with pytest.raises(TaskQueueUnavailable, match='cannot be reached'):
        line.check()
    await asyncio.sleep(3)
    await wire.mend()
    await asyncio.to_thread(line.open, 10)
    await line.publish('default', 'c' * 32, b'after')
    assert [body for _, body in take_all()] == [b'before', b'after']


async def test_what_is_on_its_way_when_the_connection_is_lost_is_sent_again(make_line, wire, take_all):
    line = await make_line(port=wire.port, patience=10)
    wire.flowing.clear()
    sending = [asyncio.create_task(line.publish('default', new_id(), b'%d' % number)) for number in range(100)]
    await asyncio.sleep(0.3)
    await wire.cut()
    await wire.mend()
    await asyncio.gather(*sending)
    assert {int(body) for _, body in take_all()} == set(range(100))


async def test_a_server_that_does_not_answer_is_told(make_line, wire):
    line = await make_line(port=wire.port, patience=1.0)
    wire.flowing.clear()
    with pytest.raises(TaskQueueUnavailable, match='did not accept a message within 1 s'):
        await line.publish('default', 'a' * 32, b'data')


async def test_who_hears_that_a_task_has_ended_does_not_wait_for_the_server(make_line, wire, take_all):
    line = await make_line(port=wire.port, patience=10)
    wire.flowing.clear()
    ended, other = (asyncio.create_task(line.publish('default', letter * 32, b'data')) for letter in 'ab')
    await asyncio.sleep(0.1)
    line.bell.arrived('a' * 32)
    await asyncio.wait_for(ended, 2)
    assert not other.done()
    wire.flowing.set()
    await other
    assert len(take_all()) == 2


async def test_a_queue_that_was_deleted_is_made_again(make_line, take_all, delete_queue):
    line = await make_line()
    await line.publish('default', 'a' * 32, b'first')
    await asyncio.to_thread(delete_queue)
    await line.publish('default', 'b' * 32, b'second')
    assert [body for _, body in take_all()] == [b'second']


async def test_only_so_many_wait_in_the_process(make_line, wire, monkeypatch):
    monkeypatch.setattr(module, '_CAPACITY', 10)
    line = await make_line(port=wire.port, patience=0.5)
    await wire.cut()
    sending = [asyncio.create_task(line.publish('default', new_id(), b'')) for _ in range(11)]
    begun = time.monotonic()
    with pytest.raises(TaskQueueUnavailable, match='10 messages wait already'):
        await sending[-1]
    assert time.monotonic() - begun < 0.4
    results = await asyncio.gather(*sending, return_exceptions=True)
    assert all(isinstance(result, TaskQueueUnavailable) for result in results)


async def test_a_delayed_message_comes_to_its_queue_by_the_server_alone(make_line, take_all):
    line = await make_line()
    await line.publish('default', 'a' * 32, b'data', 0.6)
    assert take_all() == []
    await asyncio.sleep(0.9)
    assert [body for _, body in take_all()] == [b'data']


async def test_a_delay_that_the_server_cannot_count_is_told_to_the_worker(make_line, take_all, monkeypatch):
    monkeypatch.setattr('colibris.taskqueue.dramatiq.rabbitmq.line.LONGEST_WAIT', 0.05)
    line = await make_line()
    await line.publish('default', 'a' * 32, b'data', 100)
    await asyncio.sleep(0.3)
    [(properties, _)] = take_all()
    assert properties.headers[WAIT] == 100


async def test_what_waits_is_sent_before_the_connection_is_closed(make_line, take_all):
    line = await make_line()
    sending = [asyncio.create_task(line.publish('default', new_id(), b'')) for _ in range(500)]
    await asyncio.sleep(0)
    await asyncio.to_thread(line.close)
    await asyncio.gather(*sending)
    assert len(take_all()) == 500


async def test_after_the_connection_was_closed_nothing_waits_for_ever(make_line, wire):
    line = await make_line(port=wire.port, patience=30)
    await wire.cut()
    waiting = asyncio.create_task(line.publish('default', 'a' * 32, b''))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(line.close)
    for sending in (waiting, line.publish('default', 'b' * 32, b'')):
        with pytest.raises(TaskQueueUnavailable, match='was closed'):
            await asyncio.wait_for(sending, 5)


async def test_it_is_sent_by_tls_to_a_server_whose_certificate_is_good(make_line, encrypted, take_all):
    wire, ca_file = encrypted
    line = await make_line(host='localhost', port=wire.port, tls=True, ca_file=ca_file)
    await line.publish('default', 'a' * 32, b'data')
    assert len(take_all()) == 1


@pytest.mark.parametrize(('host', 'trusts'), [('127.0.0.1', True), ('localhost', False)])
async def test_a_server_whose_certificate_is_not_good_is_refused(make_line, encrypted, host, trusts):
    wire, ca_file = encrypted
    with pytest.raises(TaskQueueUnavailable, match=r'(?i)certificate verify failed'):
        await make_line(host=host, port=wire.port, tls=True, ca_file=ca_file if trusts else None, wait=1.0)
