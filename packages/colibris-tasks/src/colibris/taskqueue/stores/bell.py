"""How services hear of the end of tasks from a store that cannot tell by itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from colibris.taskqueue.stores.base import Notice


class Bell(Protocol):
    """Tells services how tasks end; the database itself has no means for that."""

    def ring(self, channel: str, task_id: str, outcome: bytes | None) -> None:
        """Tell those who listen to *channel*; from any thread, and at once."""

    def listen(self, channels: Sequence[str]) -> AsyncGenerator[Notice, None]:
        """Hear what is told to *channels*, as `Store.notifications` says."""
