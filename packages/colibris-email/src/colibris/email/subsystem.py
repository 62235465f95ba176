"""Email as a subsystem of the application."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from colibris import transactions
from colibris.conf import ImproperlyConfigured, settings
from colibris.email.addresses import parse_address
from colibris.email.base import EmailBackend
from colibris.email.mailer import Mailer
from colibris.email.memory import MemoryBackend
from colibris.email.message import EmailMessage
from colibris.measures import Kind, Measure
from colibris.subsystems import Subsystem

#: The options of EMAIL that are the queue's; all others are the backend's.
MAILER_OPTIONS = frozenset(inspect.signature(Mailer).parameters) - {'backend'}


class EmailSubsystem(Subsystem[EmailBackend]):
    """The sending of email: a backend, and the queue before it."""

    name = 'email'
    setting = 'EMAIL'
    group = 'colibris.email'
    base = EmailBackend
    package = 'colibris-email'

    def __init__(self) -> None:
        super().__init__()
        self._mailer: Mailer | None = None

    def options(self, value: object) -> Mapping[str, object]:
        options = super().options(value)
        return {key: option for key, option in options.items() if key not in MAILER_OPTIONS}

    def _mailer_options(self) -> dict[str, Any]:
        options = {key: option for key, option in settings.EMAIL.items() if key in MAILER_OPTIONS}
        for name in ('max_queue_bytes', 'shutdown_timeout'):
            if name in options and not _is_amount(options[name]):
                raise ImproperlyConfigured(
                    f'EMAIL: {name} must be a number from 0 on, not {options[name]!r}', setting='EMAIL'
                )
        delays = options.get('retry_delays', ())
        if not isinstance(delays, (list, tuple)) or not all(map(_is_amount, delays)):
            raise ImproperlyConfigured(
                f'EMAIL: retry_delays must be a list of seconds, such as [1, 5, 30], not {delays!r}', setting='EMAIL'
            )
        if (sender := options.get('default_from')) is not None:
            try:
                parse_address('default_from', sender)
            except (ValueError, TypeError) as exc:
                raise ImproperlyConfigured(f'EMAIL: {exc}', setting='EMAIL') from exc
        return options

    @property
    def mailer(self) -> Mailer:
        """The open queue. Raises NotConfigured when there is none."""
        if self._mailer is None:
            raise self._not_configured()
        return self._mailer

    async def open(self) -> None:
        options = self._mailer_options()
        await asyncio.to_thread(_warm_up)
        await super().open()
        self._mailer = Mailer(self.backend, **options)

    async def close(self) -> None:
        mailer, self._mailer = self._mailer, None
        if mailer is not None:
            await mailer.close()
        await super().close()

    def send(self, message: EmailMessage) -> None:
        """Queue *message* once the transaction that is open, if any, has committed."""
        mailer = self.mailer
        queued = mailer.prepare(message)
        if self.backend.immediate:
            transactions.on_commit(lambda: mailer.deliver_at_once(queued))
        else:
            transactions.on_commit(lambda: mailer.put(queued))

    async def deliver(self, message: EmailMessage) -> None:
        """Deliver *message* now."""
        await self.mailer.deliver(self.mailer.prepare(message))

    @asynccontextmanager
    async def test_session(self) -> AsyncIterator[None]:
        """Keep messages in memory, whatever the setting says: tests send nothing."""
        self.configure()  # what is wrong with the setting is told all the same
        given = settings.EMAIL
        kept = {key: option for key, option in given.items() if key in MAILER_OPTIONS}
        with settings.override(EMAIL={**kept, 'backend': MemoryBackend}):
            await self.open()
        try:
            yield
        finally:
            await self.close()

    @asynccontextmanager
    async def test_case(self, *, isolated: bool = False) -> AsyncIterator[None]:
        self.outbox.clear()
        yield

    def measures(self) -> Iterable[Measure]:
        if (mailer := self._mailer) is not None:
            yield Measure('emails_sent', mailer.sent, Kind.COUNTER, 'Mails that were handed over.')
            yield Measure('emails_failed', mailer.failed, Kind.COUNTER, 'Mails that were not sent in the end.')
            yield Measure('emails_waiting', len(mailer), Kind.GAUGE, 'Mails that wait to be sent.')

    @property
    def outbox(self) -> list[Any]:
        """What the memory backend has kept."""
        if not isinstance(self._backend, MemoryBackend):
            raise TypeError("the backend of EMAIL is not 'memory': only that keeps what it is given")
        return self._backend.outbox


def _is_amount(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _warm_up() -> None:
    """Let Python load what the first message needs, which would hold up the event loop then."""
    EmailMessage('ä', 'ä', 'a@example.com', ['a@ä.example'], html='ä').seal(None)


subsystem = EmailSubsystem()
