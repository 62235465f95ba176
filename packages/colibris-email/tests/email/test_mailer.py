"""The queue: it retries, is bounded, and lets nothing vanish in silence."""

import asyncio
import gc
import logging
import time

import pytest
from aiosmtplib.protocol import SMTPProtocol

from colibris.email.base import EmailBackend
from colibris.email.errors import PermanentFailure, RecipientsRefused, TemporaryFailure
from colibris.email.mailer import Mailer
from colibris.email.message import EmailMessage
from colibris.email.smtp import SMTPBackend


class Scripted(EmailBackend):
    """Fails as its script says, one entry a call, then delivers."""

    def __init__(self, *script):
        self.script = list(script)
        self.delivered = []
        self.times = []

    async def deliver(self, envelope):
        self.times.append(time.monotonic())
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            await step
        self.delivered.append(envelope)


def message(**changes):
    return EmailMessage(**{'subject': 's', 'body': 'b', 'from_': 'a@example.com', 'to': ['b@example.com'], **changes})


async def test_what_is_put_is_delivered_in_order(until):
    backend = Scripted()
    mailer = Mailer(backend)
    for number in range(10):
        mailer.put(mailer.prepare(message(subject=str(number))))
    await until(lambda: len(backend.delivered) == 10)
    assert [envelope.message.subject for envelope in backend.delivered] == [str(number) for number in range(10)]
    assert mailer.queued_bytes == 0
    await mailer.close()


async def test_later_changes_do_not_reach_a_message_that_was_put(until):
    backend = Scripted()
    mailer = Mailer(backend)
    original = message()
    mailer.put(mailer.prepare(original))
    original.to.append('stranger@example.com')
    original.attach('a', b'')
    await until(lambda: backend.delivered)
    assert backend.delivered[0].recipients == ('b@example.com',)
    assert backend.delivered[0].message.attachments == []
    await mailer.close()


async def test_a_temporary_failure_is_tried_again_after_growing_pauses(until, caplog):
    backend = Scripted(TemporaryFailure('busy'), TemporaryFailure('busy'))
    mailer = Mailer(backend, retry_delays=(0.05, 0.2))
    mailer.put(mailer.prepare(message()))
    await until(lambda: backend.delivered)
    pauses = [later - earlier for earlier, later in zip(backend.times, backend.times[1:], strict=False)]
    assert 0.03 < pauses[0] < pauses[1]
    assert backend.delivered[0].message_id in caplog.text
    await mailer.close()


async def test_others_do_not_wait_for_one_that_is_tried_again(until):
    backend = Scripted(TemporaryFailure('busy'))
    mailer = Mailer(backend, retry_delays=(0.2,))
    for subject in ('first', 'second'):
        mailer.put(mailer.prepare(message(subject=subject)))
    await until(lambda: len(backend.delivered) == 2)
    assert [envelope.message.subject for envelope in backend.delivered] == ['second', 'first']
    await mailer.close()


async def test_what_is_given_up_is_an_error_in_the_log(until, caplog):
    backend = Scripted(TemporaryFailure('busy'), TemporaryFailure('busy'))
    mailer = Mailer(backend, retry_delays=(0.01,))
    mailer.put(mailer.prepare(message()))
    await until(lambda: 'given up after 2 tries' in caplog.text)
    assert (mailer.queued_bytes, len(mailer)) == (0, 0)
    await mailer.close()


async def test_a_permanent_failure_is_not_tried_again(until, caplog):
    backend = Scripted(PermanentFailure('never'))
    mailer = Mailer(backend, retry_delays=(0.01,))
    mailer.put(mailer.prepare(message()))
    await until(lambda: 'was not sent: never' in caplog.text)
    await asyncio.sleep(0.05)
    assert len(backend.times) == 1
    await mailer.close()


async def test_only_the_recipients_that_were_busy_are_tried_again(until, caplog):
    refused = {'busy@example.com': (451, 'later'), 'bad@example.com': (550, 'unknown')}
    backend = Scripted(RecipientsRefused('refused', refused=refused))
    mailer = Mailer(backend, retry_delays=(0.01,))
    mailer.put(mailer.prepare(message(to=['good@example.com', *refused])))
    await until(lambda: backend.delivered)
    assert backend.delivered[0].recipients == ('busy@example.com',)
    assert 'refused for some of its recipients' in caplog.text
    await mailer.close()


async def test_a_fault_of_the_backend_does_not_end_the_queue(until, caplog):
    backend = Scripted(RuntimeError('a bug'))
    mailer = Mailer(backend)
    for _ in range(2):
        mailer.put(mailer.prepare(message()))
    await until(lambda: backend.delivered)
    assert 'a bug' in caplog.text
    await mailer.close()


async def test_what_does_not_fit_is_logged_with_its_id_and_dropped(caplog):
    backend = Scripted(asyncio.sleep(0.2))
    mailer = Mailer(backend, max_queue_bytes=5_000)
    queued = [mailer.prepare(message()) for _ in range(10)]
    for one in queued:
        mailer.put(one)
    dropped = [one for one in queued if f'email {one.message_id} is dropped' in caplog.text]
    assert 0 < len(dropped) < 10
    await mailer.close()
    assert len(backend.delivered) == 10 - len(dropped)


async def test_closing_delivers_what_waits():
    backend = Scripted()
    mailer = Mailer(backend)
    for _ in range(100):
        mailer.put(mailer.prepare(message()))
    await mailer.close()
    assert len(backend.delivered) == 100


async def test_closing_logs_what_is_left_message_by_message(caplog):
    backend = Scripted(asyncio.sleep(60))
    mailer = Mailer(backend, shutdown_timeout=0.1)
    queued = [mailer.prepare(message()) for _ in range(3)]
    for one in queued:
        mailer.put(one)
    await mailer.close()
    for one in queued:
        assert f'email {one.message_id} was not sent before the service shut down' in caplog.text


async def test_closing_tries_at_once_what_waits_for_its_next_try(until):
    backend = Scripted(TemporaryFailure('busy'))
    mailer = Mailer(backend, retry_delays=(600,))
    mailer.put(mailer.prepare(message()))
    await until(lambda: backend.times)
    await mailer.close()
    assert len(backend.delivered) == 1


async def test_a_message_may_be_put_by_another_thread(until):
    backend = Scripted()
    mailer = Mailer(backend)
    queued = mailer.prepare(message())
    await asyncio.to_thread(mailer.put, queued)
    await until(lambda: backend.delivered)
    await mailer.close()


@pytest.mark.parametrize(('changes', 'match'), [({'from_': None}, 'default_from'), ({'to': []}, 'no recipients')])
async def test_what_can_never_be_sent_is_refused_at_once(changes, match):
    mailer = Mailer(Scripted())
    with pytest.raises(ValueError, match=match):
        mailer.prepare(message(**changes))
    await mailer.close()


async def test_ten_thousand_messages_arrive(start):
    inbox, server = start()
    backend = SMTPBackend(host='127.0.0.1', port=server.port, timeout=30)
    mailer = Mailer(backend, shutdown_timeout=300)
    count = 10_000
    for number in range(count):
        mailer.put(mailer.prepare(message(subject=str(number))))
        if number % 100 == 0:
            await asyncio.sleep(0)
    await mailer.close()
    await backend.close()
    assert len(inbox.messages) == count
    assert mailer.queued_bytes == 0


async def test_waiting_messages_cost_the_garbage_collector_nothing():
    mailer = Mailer(Scripted(asyncio.sleep(60)), shutdown_timeout=0)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(2_000):
        mailer.put(mailer.prepare(message(subject=str(number), html='<p>')))
    for _ in range(3):
        gc.collect()
    assert len(gc.get_objects()) - before < 500
    logging.disable()
    await mailer.close()
    logging.disable(logging.NOTSET)


async def test_a_message_counts_as_what_it_takes(caplog):
    mailer = Mailer(Scripted(asyncio.sleep(0.1)), max_queue_bytes=10_000_000)
    large = message()
    large.attach('a.bin', bytes(9_900_000))
    mailer.put(mailer.prepare(large))
    assert 9_900_000 < mailer.queued_bytes < 9_910_000
    crowd = message(bcc=[f'u{number}@example.com' for number in range(2_000)])
    mailer.put(mailer.prepare(crowd))
    assert 'dropped: its' in caplog.text
    await mailer.close()


async def test_a_backend_that_cannot_rest_does_not_end_the_queue(until, monkeypatch, caplog):
    class Restless(Scripted):
        async def rest(self):
            raise OSError('no rest')

    monkeypatch.setattr('colibris.email.mailer._IDLE', 0.01)
    mailer = Mailer(Restless())
    await until(lambda: 'no rest' in caplog.text)
    mailer.put(mailer.prepare(message()))
    await until(lambda: mailer._backend.delivered)
    await mailer.close()


async def test_a_large_message_is_written_piece_by_piece(start, monkeypatch):
    inbox, server = start(data_size_limit=0)
    backend = SMTPBackend(host='127.0.0.1', port=server.port)
    mailer = Mailer(backend, shutdown_timeout=60)
    pieces = []
    write = SMTPProtocol.write

    def recorded(protocol, data):
        pieces.append(len(data))
        write(protocol, data)

    monkeypatch.setattr(SMTPProtocol, 'write', recorded)
    large = message()
    large.attach('large.bin', bytes(range(256)) * 4 * 20_000)
    await mailer.deliver(mailer.prepare(large))
    (data,) = inbox.messages
    assert len(data) > 20_000_000
    assert max(pieces) < 70_000
    await mailer.close()
    await backend.close()
