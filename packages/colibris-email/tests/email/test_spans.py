"""The delivery of a mail is a span of the request that sent it, while tracing is on."""

import pytest
from opentelemetry.trace import StatusCode

from colibris import tracing
from colibris.email.base import EmailBackend
from colibris.email.errors import PermanentFailure, TemporaryFailure
from colibris.email.mailer import Mailer
from colibris.email.memory import MemoryBackend
from colibris.email.message import EmailMessage
from colibris.tracing.testing import recorded


class Scripted(EmailBackend):
    """Fails as its script says, one error a call, then delivers."""

    def __init__(self, *script):
        self.script = list(script)
        self.delivered = 0

    async def deliver(self, envelope):
        if self.script:
            raise self.script.pop(0)
        self.delivered += 1


def message():
    return EmailMessage('hunter2', 'hunter2', 'hunter2@example.com', ['hunter2@example.com'])


@pytest.fixture
async def spans():
    async with recorded() as exporter:
        yield exporter.get_finished_spans


async def test_the_background_delivers_for_the_request(spans, until):
    backend = Scripted(TemporaryFailure('hunter2'))
    mailer = Mailer(backend, retry_delays=[0.01, 0.01])
    with tracing.span('request'):
        mailer.put(mailer.prepare(message()))
    mailer.put(mailer.prepare(message()))  # for nobody
    await until(lambda: backend.delivered == 2)
    await mailer.close()
    request, *tries = spans()
    assert [span.name for span in tries] == ['email.deliver'] * 3
    linked = [span for span in tries if span.parent and span.parent.span_id == request.context.span_id]
    assert [span.status.status_code for span in linked] == [StatusCode.ERROR, StatusCode.UNSET]
    assert linked[0].status.description == 'TemporaryFailure'
    [other] = [span for span in tries if span not in linked]
    assert other.parent is None
    for span in tries:
        assert 'hunter2' not in span.to_json()


async def test_a_mail_that_is_waited_for_is_a_span_within(spans):
    mailer = Mailer(Scripted(PermanentFailure('no')))
    with pytest.raises(PermanentFailure), tracing.span('request'):
        await mailer.deliver(mailer.prepare(message()))
    await mailer.close()
    delivery, request = spans()
    assert delivery.parent.span_id == request.context.span_id


async def test_so_is_one_that_is_delivered_at_once(spans):
    mailer = Mailer(MemoryBackend())
    with tracing.span('request'):
        mailer.deliver_at_once(mailer.prepare(message()))
    await mailer.close()
    delivery, request = spans()
    assert delivery.parent.span_id == request.context.span_id
    assert delivery.attributes['email.backend'] == 'MemoryBackend'


async def test_without_tracing_nothing_is_kept_of_a_trace():
    mailer = Mailer(Scripted())
    assert mailer.prepare(message()).trace is None
    await mailer.close()
