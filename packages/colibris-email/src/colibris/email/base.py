"""The contract of an email backend."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from colibris.email.message import Envelope
from colibris.subsystems import Backend


class EmailBackend(Backend):
    """Delivers messages, one after the other: its methods are never called twice at once."""

    #: Whether `deliver` does not wait for anything, so that `send` can deliver at once.
    immediate: ClassVar[bool] = False

    @abstractmethod
    async def deliver(self, envelope: Envelope) -> None:
        """Deliver a message.

        Raises TemporaryFailure if it is worth trying again, PermanentFailure if not, and RecipientsRefused if some
        of the recipients were refused.
        """

    async def rest(self) -> None:
        """Release what is only needed while there are messages, such as a connection; called when there are none."""
