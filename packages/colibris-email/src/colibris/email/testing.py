"""The contract of email backends, as tests. A plug-in's tests subclass the suite:

from colibris.email.testing import EmailBackendSuite

class TestMyBackend(EmailBackendSuite):
    @pytest.fixture
    async def backend(self):
        return MyBackend(...)

    async def received(self, backend):
        return [...]  # the messages that arrived, as bytes
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from email import message_from_bytes, policy
from typing import Any

import pytest

from colibris.email import EmailBackend, EmailMessage, Envelope


def sealed(**changes: Any) -> Envelope:
    """Return a message that is ready for delivery."""
    arguments = {'from_': 'Sender <sender@example.com>', 'to': ['one@example.com'], **changes}
    message = EmailMessage(arguments.pop('subject', 'A subject'), arguments.pop('body', 'A body'), **arguments)
    return message.seal(None)


class EmailBackendSuite:
    """Every documented behaviour of an email backend."""

    @pytest.fixture
    async def backend(self) -> EmailBackend:
        """Return a backend that is not open yet."""
        raise NotImplementedError('define the fixture "backend" in your subclass')

    async def received(self, backend: EmailBackend) -> Sequence[bytes]:
        """Return what has arrived so far, in order."""
        raise NotImplementedError('define "received" in your subclass')

    @pytest.fixture
    async def opened(self, backend: EmailBackend) -> AsyncIterator[EmailBackend]:
        await backend.open()
        yield backend
        await backend.close()

    async def test_a_message_arrives_as_it_is(self, opened: EmailBackend) -> None:
        await opened.deliver(sealed(subject='Grüße', body='Zeile\n.\n..Punkt\n', html='<p>Grüße</p>'))
        (data,) = await self.received(opened)
        arrived = message_from_bytes(data, policy=policy.default)
        assert arrived['Subject'] == 'Grüße'
        text = arrived.get_body(('plain',))
        assert text is not None
        assert text.get_content().replace('\r\n', '\n') == 'Zeile\n.\n..Punkt\n'

    async def test_messages_arrive_in_their_order(self, opened: EmailBackend) -> None:
        for number in range(20):
            await opened.deliver(sealed(subject=str(number)))
        subjects = [message_from_bytes(data)['Subject'] for data in await self.received(opened)]
        assert subjects == [str(number) for number in range(20)]

    async def test_hidden_recipients_stay_hidden(self, opened: EmailBackend) -> None:
        await opened.deliver(sealed(bcc=['hidden@example.com']))
        (data,) = await self.received(opened)
        assert b'hidden@example.com' not in data

    async def test_it_goes_on_after_a_rest(self, opened: EmailBackend) -> None:
        await opened.deliver(sealed())
        await opened.rest()
        await opened.rest()
        await opened.deliver(sealed())
        assert len(await self.received(opened)) == 2

    async def test_a_large_message_arrives(self, opened: EmailBackend) -> None:
        message = EmailMessage('Large', '', 'sender@example.com', ['one@example.com'])
        message.attach('large.bin', bytes(range(256)) * 4096 * 5)
        await opened.deliver(message.seal(None))
        (data,) = await self.received(opened)
        (part,) = message_from_bytes(data, policy=policy.default).iter_attachments()
        assert part.get_payload(decode=True) == bytes(range(256)) * 4096 * 5

    async def test_closing_twice_does_no_harm(self, opened: EmailBackend) -> None:
        await opened.close()

    async def test_health(self, opened: EmailBackend) -> None:
        await opened.check_health()
