"""Emails on the standard output, for development."""

from __future__ import annotations

import asyncio
import sys
from email import message_from_bytes, policy

from colibris.email.base import EmailBackend
from colibris.email.message import Envelope


class ConsoleBackend(EmailBackend):
    """Prints messages: headers, and texts as they can be read; attachments by name and size."""

    async def deliver(self, envelope: Envelope) -> None:
        await asyncio.to_thread(_print, envelope)


def _print(envelope: Envelope) -> None:
    parsed = message_from_bytes(envelope.data, policy=policy.default)
    lines = [f'{name}: {value}' for name, value in parsed.items() if name.lower() != 'mime-version']
    lines.append(f'(to {", ".join(envelope.recipients)})')
    for part in parsed.walk():
        if part.is_multipart():
            continue
        if part.get_content_maintype() == 'text' and not part.is_attachment():
            lines += ['', f'--- {part.get_content_type()}', part.get_content().rstrip('\r\n').replace('\r\n', '\n')]
        else:
            size = len(part.get_payload(decode=True) or b'')
            lines += ['', f'--- {part.get_content_type()}: {part.get_filename()} ({size} bytes)']
    text = '\n'.join([*lines, '-' * 72, ''])
    encoding = sys.stdout.encoding or 'utf-8'
    sys.stdout.write(text.encode(encoding, 'backslashreplace').decode(encoding))  # a terminal may know ASCII only
    sys.stdout.flush()
