"""The queue of messages that are sent in the background."""

from __future__ import annotations

import asyncio
import copy
import heapq
import itertools
import logging
import random
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.utils import make_msgid

from colibris import tracing
from colibris.email.addresses import parse_address
from colibris.email.base import EmailBackend
from colibris.email.errors import EmailError, RecipientsRefused, TemporaryFailure
from colibris.email.message import EmailMessage, Envelope, Frozen
from colibris.logs.context import REQUEST_ID_HEADER, current_request_id, set_request_id

logger = logging.getLogger(__name__)

#: Above this size, in bytes, a message is made ready in a thread, so that the event loop goes on meanwhile.
_LARGE = 50_000
#: How long the backend keeps its connection while there is nothing to send, in seconds.
_IDLE = 10.0

Packed = tuple[Frozen, str, int, tuple[str, ...] | None, int, dict[str, str] | None]


@dataclass(slots=True)
class Queued:
    """A message that waits, the recipients that are left, and how often it was tried."""

    frozen: Frozen
    message_id: str
    size: int
    recipients: tuple[str, ...] | None = None
    tries: int = 0
    #: What continues the trace of the request for which it is sent, if that is traced.
    trace: dict[str, str] | None = None

    @property
    def message(self) -> EmailMessage:
        """A copy of the message."""
        return EmailMessage.thaw(self.frozen)

    @property
    def request_id(self) -> str | None:
        """The id of the request for which it is sent, if there is one."""
        return self.message.headers.get(REQUEST_ID_HEADER)

    def packed(self) -> Packed:
        """Return all as a tuple, which the garbage collector need not look through: many thousands may wait."""
        return self.frozen, self.message_id, self.size, self.recipients, self.tries, self.trace


class Mailer:
    """Delivers messages one after the other, and tries again what failed for a while.

    The queue holds at most *max_queue_bytes*; *retry_delays* are the pauses before each further try, in seconds;
    closing delivers what waits for at most *shutdown_timeout* seconds and logs the rest.
    """

    def __init__(
        self,
        backend: EmailBackend,
        *,
        default_from: str | None = None,
        max_queue_bytes: int = 64 * 1024 * 1024,
        retry_delays: Sequence[float] = (1, 5, 30, 120, 600),
        shutdown_timeout: float = 10.0,
    ) -> None:
        self._backend = backend
        self.default_from = default_from
        self._max_bytes = max_queue_bytes
        self._retry_delays = tuple(retry_delays)
        self._shutdown_timeout = shutdown_timeout
        self._bytes = 0
        #: How many messages were handed over, and how many were not sent in the end.
        self.sent = 0
        self.failed = 0
        self._accounts = threading.Lock()
        self._waiting: deque[Packed] = deque()
        self._later: list[tuple[float, int, Packed]] = []
        self._numbers = itertools.count()
        self._wake = asyncio.Event()
        self._using = asyncio.Lock()
        self._current: Queued | None = None
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._worker = asyncio.create_task(self._work(), name='colibris.email')

    @property
    def queued_bytes(self) -> int:
        """What the messages that wait take, in bytes."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._waiting) + len(self._later) + (self._current is not None)

    def prepare(self, message: EmailMessage) -> Queued:
        """Check *message* and take a copy of it. Raises ValueError for what can never be sent."""
        message = _of_request(message)
        message.check()
        sender = message.from_ or self.default_from
        if sender is None:
            raise ValueError("the message has no sender: give from_, or set 'default_from' in EMAIL")
        if not (message.to or message.cc or message.bcc):
            raise ValueError('the message has no recipients: give to, cc or bcc')
        message_id = make_msgid(domain=parse_address('from_', sender).domain)
        return Queued(message.freeze(), message_id, message.size, trace=tracing.carrier() or None)

    def put(self, queued: Queued) -> None:
        """Take a prepared message; one that does not fit is logged and dropped. May be called from any thread."""
        with self._accounts:
            closing, fits = self._closing, self._bytes + queued.size <= self._max_bytes
            if fits and not closing:
                self._bytes += queued.size
        if closing:
            self.failed += 1
            logger.error('email %s is dropped: the service is shutting down', queued.message_id)
        elif not fits:
            self.failed += 1
            logger.error(
                'email %s is dropped: its %d bytes do not fit into the queue, which holds %d messages of %d bytes; '
                'max_queue_bytes is %d',
                *(queued.message_id, queued.size, len(self), self._bytes, self._max_bytes),
            )
        else:
            self._waiting.append(queued.packed())
            if threading.get_ident() == self._thread:
                self._wake.set()
            else:
                self._loop.call_soon_threadsafe(self._wake.set)

    def _finished(self, queued: Queued) -> None:
        with self._accounts:
            self._bytes -= queued.size

    async def deliver(self, queued: Queued) -> None:
        """Deliver a prepared message now. Raises EmailError."""
        with self._span(queued):
            envelope = await self._seal(queued)
            async with self._using:
                await self._backend.deliver(envelope)
        self.sent += 1

    def deliver_at_once(self, queued: Queued) -> None:
        """Deliver a prepared message by a backend that is immediate."""
        with self._span(queued):
            try:
                self._backend.deliver(queued.message.seal(self.default_from, queued.message_id)).send(None)
            except StopIteration:
                self.sent += 1
                return
            raise RuntimeError(f'{type(self._backend).__name__} says that it is immediate, but waits for something')

    def _span(self, queued: Queued) -> AbstractContextManager[object]:
        """Return the block in which *queued* is delivered; addresses and subjects are nobody's business."""
        attributes = {'messaging.message.id': queued.message_id, 'email.backend': type(self._backend).__name__}
        return tracing.span('email.deliver', kind='client', attributes={**attributes, 'email.size': queued.size})

    async def _seal(self, queued: Queued) -> Envelope:
        def seal() -> Envelope:
            envelope = queued.message.seal(self.default_from, queued.message_id)
            return envelope if queued.recipients is None else envelope.to(queued.recipients)

        return await asyncio.to_thread(seal) if queued.size > _LARGE else seal()

    async def _work(self) -> None:
        while True:
            self._take_due()
            if self._waiting:
                self._current = Queued(*self._waiting.popleft())
                await self._try(self._current)
                self._current = None
            elif self._closing and not self._later:
                return
            else:
                await self._rest()

    def _take_due(self) -> None:
        now = self._loop.time()
        while self._later and (self._later[0][0] <= now or self._closing):
            self._waiting.append(heapq.heappop(self._later)[2])

    async def _rest(self) -> None:
        """Wait for a message; give the connection back after a while."""
        due = self._later[0][0] - self._loop.time() if self._later else None
        pause = _IDLE if due is None else min(due, _IDLE)
        self._wake.clear()
        if self._waiting or (self._closing and not self._later):
            return
        try:
            async with asyncio.timeout(max(pause, 0)):
                await self._wake.wait()
            return
        except TimeoutError:
            if pause < _IDLE:
                return
        await self._release()
        if due is None:
            await self._wake.wait()

    async def _release(self) -> None:
        async with self._using:
            try:
                await self._backend.rest()
            except Exception:
                logger.exception('%s could not rest', type(self._backend).__name__)

    async def _try(self, queued: Queued) -> None:
        queued.tries += 1
        set_request_id(queued.request_id)
        try:
            with tracing.continued(queued.trace or {}):
                await self.deliver(queued)
        except RecipientsRefused as exc:
            permanent = exc.refused.keys() - set(exc.temporary)
            if permanent:
                logger.error('email %s was refused for some of its recipients: %s', queued.message_id, exc)
            if exc.temporary:
                queued.recipients = exc.temporary
                self._try_later(queued, exc)
                return
        except TemporaryFailure as exc:
            self._try_later(queued, exc)
            return
        except EmailError as exc:
            self.failed += 1
            logger.error('email %s was not sent: %s', queued.message_id, exc)
        except Exception:
            self.failed += 1
            logger.exception('email %s was not sent', queued.message_id)
        self._finished(queued)

    def _try_later(self, queued: Queued, exc: EmailError) -> None:
        if self._closing or queued.tries > len(self._retry_delays):
            self.failed += 1
            logger.error('email %s is given up after %d tries: %s', queued.message_id, queued.tries, exc)
            self._finished(queued)
            return
        pause = self._retry_delays[queued.tries - 1] * random.uniform(0.8, 1.2)
        logger.warning('email %s is tried again in %.1f s: %s', queued.message_id, pause, exc)
        heapq.heappush(self._later, (self._loop.time() + pause, next(self._numbers), queued.packed()))

    async def close(self) -> None:
        """Deliver what waits within the time limit; log what is left, message by message."""
        with self._accounts:
            self._closing = True
        self._wake.set()
        try:
            async with asyncio.timeout(self._shutdown_timeout):
                await asyncio.shield(self._worker)
        except TimeoutError:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        if self._current is not None:
            logger.error(
                'email %s was not sent before the service shut down, or the server did not say that it has it',
                self._current.message_id,
            )
        for _, message_id, *_ in (*self._waiting, *(packed for _, _, packed in self._later)):
            logger.error('email %s was not sent before the service shut down', message_id)


def _of_request(message: EmailMessage) -> EmailMessage:
    """Return *message* with the id of the request for which it is sent, if there is one."""
    request_id = current_request_id()
    if request_id is None or REQUEST_ID_HEADER in message.headers:
        return message
    marked = copy.copy(message)
    marked.headers = {**message.headers, REQUEST_ID_HEADER: request_id}
    return marked
