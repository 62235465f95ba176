"""One connection to RabbitMQ for a whole process, in a thread of its own."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pika  # type: ignore[import-untyped]
from pika.adapters.select_connection import IOLoop  # type: ignore[import-untyped]

from colibris.taskqueue.dramatiq.rabbitmq.address import Address

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds before it is tried again to connect


class ChannelUser:
    """Who works on a channel of its own; everything but `__init__` runs in the connection's thread."""

    def ready(self, channel: Any) -> None:
        """Begin to work on *channel*, which is open."""

    def lost(self, error: Exception) -> None:
        """Stop to work: the channel, or the whole connection, is gone; `ready` comes again."""

    def ended(self) -> None:
        """Stop for good: the connection was closed."""


class Connection:
    """Keeps one connection open, and a channel for each of its users; makes them again whenever they are lost."""

    def __init__(self, address: Address, name: str) -> None:
        self.address = address
        self._name = name
        self._loop = IOLoop()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._users: list[ChannelUser] = []
        self._raw: pika.SelectConnection | None = None
        self._pause = _FIRST_PAUSE
        _quieten()
        self._closing = False
        self._decided = threading.Event()
        #: Why there is no connection; None while there is one.
        self.trouble: Exception | None = ConnectionError('not connected yet')

    def wait(self, timeout: float) -> None:
        """Wait until there is a connection, or the server refuses it, for *timeout* seconds at the most."""
        self._start()
        self._decided.wait(timeout)

    def add(self, user: ChannelUser) -> None:
        """Give *user* a channel as soon as there is a connection."""
        self._start()
        self.call(lambda: self._adopt(user))

    def remove(self, user: ChannelUser) -> None:
        """Open no more channels for *user*."""
        self.call(lambda: self._users.remove(user) if user in self._users else None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f'colibris-{self._name}', daemon=True)
                self.call(self._connect)
                self._thread.start()

    def call(self, function: Callable[[], None]) -> None:
        """Call *function* in the connection's thread; from any thread."""
        self._loop.add_callback_threadsafe(function)

    def later(self, seconds: float, function: Callable[[], None]) -> None:
        """Call *function* after *seconds*; in the connection's thread only."""
        self._loop.call_later(seconds, function)

    def close(self, timeout: float = 5) -> None:
        """Close the connection and end the thread; waits for *timeout* seconds at the most."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self.call(self._end)
            thread.join(timeout)

    def _run(self) -> None:
        while not self._closing:
            try:
                self._loop.start()
            except Exception as exc:  # what a callback raises, pika's own included, ends its loop
                logger.exception('the connection to %s failed unexpectedly', self.address)
                self._drop(exc)
        self._loop.close()
        for user in self._users:
            user.ended()

    def _drop(self, error: Exception) -> None:
        raw, self._raw = self._raw, None
        if raw is not None and not raw.is_closed:
            with suppress(Exception):
                raw.close()
        self._lost(error)

    def _connect(self) -> None:
        if not self._closing:
            self._raw = pika.SelectConnection(
                self.address.parameters(self._name),
                on_open_callback=self._opened,
                on_open_error_callback=self._closed,
                on_close_callback=self._closed,
                custom_ioloop=self._loop,
            )

    def _opened(self, raw: pika.SelectConnection) -> None:
        if self._closing:
            raw.close()
            return
        logger.debug('connected to %s', self.address)
        self._pause, self.trouble = _FIRST_PAUSE, None
        self._decided.set()
        for user in self._users:
            self._open_channel(user)

    def _closed(self, raw: pika.SelectConnection, error: Exception) -> None:
        if raw is self._raw:
            self._raw = None
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        if self.trouble is None and not self._closing:
            logger.warning('the connection to %s is lost: %s', self.address, describe(error))
        self.trouble = error
        if isinstance(innermost(error), _REFUSALS):
            self._decided.set()
        else:
            self._decided.clear()
        for user in self._users:
            user.lost(error)
        if self._closing:
            self._loop.stop()
        else:
            self._loop.call_later(self._pause * random.uniform(0.5, 1), self._connect)
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _adopt(self, user: ChannelUser) -> None:
        self._users.append(user)
        if self.trouble is None:
            self._open_channel(user)

    def _open_channel(self, user: ChannelUser) -> None:
        raw = self._raw
        if raw is None or not raw.is_open or user not in self._users:
            return

        def opened(channel: Any) -> None:
            channel.add_on_close_callback(closed)
            if user in self._users:
                user.ready(channel)
            else:
                channel.close()

        def closed(channel: Any, error: Exception) -> None:
            if raw.is_open and raw is self._raw and user in self._users:  # else `_lost` tells
                logger.warning('%s has closed a channel: %s', self.address, describe(error))
                user.lost(error)
                self._loop.call_later(_FIRST_PAUSE, lambda: self._open_channel(user))

        raw.channel(on_open_callback=opened)

    def _end(self) -> None:
        self._closing = True
        raw = self._raw
        if raw is None or raw.is_closed:
            self._loop.stop()
        elif raw.is_open:
            raw.close()
        else:
            with suppress(Exception):
                raw.close()
            self._loop.stop()


_AUTHENTICATION = (pika.exceptions.AuthenticationError, pika.exceptions.ProbableAuthenticationError)
_REFUSALS = (*_AUTHENTICATION, pika.exceptions.ProbableAccessDeniedError)


def innermost(error: BaseException) -> BaseException:
    """Return what is at the bottom of pika's *error*, which may be wrapped in others."""
    while True:
        causes = [*getattr(error, 'exceptions', ()), getattr(error, 'exception', None), *error.args]
        nested = next((cause for cause in causes if isinstance(cause, BaseException)), None)
        if nested is None:
            return error
        error = nested


def describe(error: BaseException) -> str:
    """Return what pika's *error* says."""
    cause = innermost(error)
    text = f'{type(cause).__name__}: {cause}' if str(cause) else type(cause).__name__
    if isinstance(cause, _AUTHENTICATION):
        return f'it refuses the username or the password ({text})'
    if isinstance(cause, pika.exceptions.ProbableAccessDeniedError):
        return f'there is no such virtual host, or the user may not use it ({text})'
    return text


def _quieten() -> None:
    """Keep pika from logging each step of each attempt to connect as an error; what matters is logged here."""
    if (theirs := logging.getLogger('pika')).level == logging.NOTSET:
        theirs.setLevel(logging.CRITICAL)
