"""The errors of sending email."""

from __future__ import annotations

from collections.abc import Mapping


class EmailError(Exception):
    """Raised when an email cannot be sent; *message_id* tells which one, if there is one."""

    def __init__(self, message: str, *, message_id: str | None = None) -> None:
        self.message_id = message_id
        super().__init__(message)


class TemporaryFailure(EmailError):
    """Raised when an email was not accepted this time: a lost connection, or an answer 4xx."""


class PermanentFailure(EmailError):
    """Raised when an email will never be accepted: an answer 5xx, or a setting that is wrong."""


class RecipientsRefused(EmailError):
    """Raised when an email was accepted for some of its recipients, or none, and not for others.

    *refused* maps the addresses of these to the server's status and text.
    """

    def __init__(self, message: str, *, refused: Mapping[str, tuple[int, str]], message_id: str | None = None) -> None:
        self.refused = dict(refused)
        super().__init__(message, message_id=message_id)

    @property
    def temporary(self) -> tuple[str, ...]:
        """The addresses for which it is worth trying again: those refused with 4xx."""
        return tuple(address for address, (status, _) in self.refused.items() if 400 <= status < 500)


class QueueFull(EmailError):
    """Raised, and logged, when an email does not fit into the queue."""
