"""Run one message in a worker: check it, call its function in a thread or in the event loop, say how it ended."""

from __future__ import annotations
