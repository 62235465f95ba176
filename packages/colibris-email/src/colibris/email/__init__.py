"""Send email, by the backend that the setting ``EMAIL`` names.

from colibris import email

msg = email.EmailMessage('My Subject', 'my body', to=['email@example.com'])
email.send(msg)
"""

from __future__ import annotations

from colibris.email.base import EmailBackend
from colibris.email.errors import EmailError, PermanentFailure, RecipientsRefused, TemporaryFailure
from colibris.email.message import EmailMessage, Envelope
from colibris.email.subsystem import subsystem

__all__ = [
    'EmailBackend',
    'EmailError',
    'EmailMessage',
    'Envelope',
    'PermanentFailure',
    'RecipientsRefused',
    'TemporaryFailure',
    'deliver',
    'send',
]


def send(message: EmailMessage) -> None:
    """Send *message* in the background, after the commit if a transaction is open.

    It does not wait and does not raise for what happens on delivery: that is logged, with the message's id. Raises
    ValueError for a message that can never be sent.
    """
    subsystem.send(message)


async def deliver(message: EmailMessage) -> None:
    """Send *message* now and wait until the server has taken it. Raises EmailError."""
    await subsystem.deliver(message)
