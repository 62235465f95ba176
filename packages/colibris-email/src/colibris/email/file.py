"""Emails as files, for development and for pick-up by others."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

from colibris.email.base import EmailBackend
from colibris.email.errors import TemporaryFailure
from colibris.email.message import Envelope


class FileBackend(EmailBackend):
    """Writes each message to a file of its own in the folder *path*, ending in ``.eml``; complete or not at all."""

    def __init__(self, *, path: str | Path) -> None:
        self._folder = Path(path)

    async def open(self) -> None:
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)

    async def check_health(self) -> None:
        if not await asyncio.to_thread(os.access, self._folder, os.W_OK | os.X_OK):
            raise TemporaryFailure(f'{self._folder} is no folder that can be written to')

    async def deliver(self, envelope: Envelope) -> None:
        try:
            await asyncio.to_thread(self._write, envelope)
        except OSError as exc:
            raise TemporaryFailure(f'{self._folder}: {exc}', message_id=envelope.message_id) from exc

    def _write(self, envelope: Envelope) -> None:
        name = f'{time.time_ns()}-{re.sub(r"[^A-Za-z0-9.@-]", "_", envelope.message_id.strip("<>"))}'
        unfinished = self._folder / f'.{name[:200]}.part'
        try:
            unfinished.write_bytes(envelope.data)
            os.replace(unfinished, self._folder / f'{name[:200]}.eml')
        finally:
            unfinished.unlink(missing_ok=True)
