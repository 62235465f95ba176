"""Emails in a list, for tests."""

from __future__ import annotations

from typing import ClassVar

from colibris.email.base import EmailBackend
from colibris.email.message import Envelope


class MemoryBackend(EmailBackend):
    """Keeps messages in `outbox`."""

    immediate: ClassVar[bool] = True

    def __init__(self) -> None:
        self.outbox: list[Envelope] = []

    async def deliver(self, envelope: Envelope) -> None:
        self.outbox.append(envelope)
