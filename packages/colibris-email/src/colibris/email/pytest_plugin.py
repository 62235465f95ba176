"""The fixture ``mailbox``: what a test has sent."""

from __future__ import annotations

import pytest


@pytest.fixture
def mailbox() -> list[object]:
    """The messages that were sent in this test, as `Envelope`: ``mailbox[0].message.subject``."""
    from colibris.email.subsystem import subsystem

    return subsystem.outbox
