"""Emails by SMTP."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

import aiosmtplib

from colibris.email.base import EmailBackend
from colibris.email.errors import EmailError, PermanentFailure, RecipientsRefused, TemporaryFailure
from colibris.email.message import Envelope

_LOST = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError)
_LATE = (aiosmtplib.SMTPTimeoutError, TimeoutError)

#: How much of a message is written at a time, in bytes, and how much may wait to be sent before the next piece.
_PIECE = 64 * 1024
_WAITING = 256 * 1024

_GO_ON, _CLOSING = 354, 421


class SMTPBackend(EmailBackend):
    """Delivers messages to an SMTP server, several over one connection.

    *use_tls* requires STARTTLS; *use_ssl*, and port 465, is TLS from the start (RFC 8314). A password is not sent over
    an open line unless *allow_insecure_auth* says so. The server's certificate must be valid for *host*; *ca_file*
    names authorities of one's own. *timeout* limits each step, in seconds.
    """

    def __init__(
        self,
        *,
        host: str = 'localhost',
        port: int | None = None,
        use_tls: bool = False,
        use_ssl: bool = False,
        username: str | None = None,
        password: str | None = None,
        timeout: float = 30.0,
        ca_file: str | None = None,
        allow_insecure_auth: bool = False,
        messages_per_connection: int = 100,
    ) -> None:
        implicit = use_ssl or port == 465
        if username and not (implicit or use_tls or allow_insecure_auth):
            raise ValueError(
                "username: the password would go over an open line; set 'use_tls': True (STARTTLS) or "
                "'use_ssl': True, or allow it with 'allow_insecure_auth': True"
            )
        if bool(username) != bool(password):
            raise ValueError('username and password belong together: give both or neither')
        if messages_per_connection < 1 or timeout <= 0:
            raise ValueError('messages_per_connection and timeout must be positive')
        port = port or (465 if implicit else 587 if use_tls else 25)
        self._address = f'{host}:{port}'
        self._timeout = timeout
        self._options: dict[str, Any] = {
            'hostname': host,
            'port': port,
            'use_tls': implicit,
            'timeout': timeout,
            'tls_context': _tls(ca_file) if implicit or use_tls else None,
        }
        if not implicit:
            self._options['start_tls'] = use_tls
        self._login = (username, password) if username and password else None
        self._messages_per_connection = messages_per_connection
        self._client: aiosmtplib.SMTP | None = None
        self._sent = 0

    async def open(self) -> None:
        """Connect and, if there is a password, log in once, so that a wrong setting is told at the start."""
        await _quit(await self._connect())

    async def check_health(self) -> None:
        """Connect, on a connection of its own; servers do not like a login every few seconds."""
        await _quit(await self._connect(login=False))

    async def close(self) -> None:
        await self.rest()

    async def rest(self) -> None:
        client, self._client, self._sent = self._client, None, 0
        if client is not None:
            await _quit(client)

    async def deliver(self, envelope: Envelope) -> None:
        reused = self._client is not None
        try:
            await self._deliver(envelope)
        except _Lost:
            if not reused:
                raise
            await self._deliver(envelope)  # servers close connections that were idle: once more over a new one

    async def _deliver(self, envelope: Envelope) -> None:
        client = await self._connected()
        try:
            refused = await self._transaction(client, envelope)
        except _LOST as exc:
            self._forget()
            kind, what = (TemporaryFailure, 'is too slow') if isinstance(exc, _LATE) else (_Lost, 'was lost')
            raise kind(f'the connection to {self._address} {what}: {exc}', message_id=envelope.message_id) from exc
        except aiosmtplib.SMTPResponseException as exc:
            if exc.code == _CLOSING:
                self._forget()
            raise _failure(exc, self._address, envelope.message_id) from exc
        except (aiosmtplib.SMTPNotSupported, ValueError) as exc:
            raise PermanentFailure(f'{self._address}: {exc}', message_id=envelope.message_id) from exc
        except asyncio.CancelledError:
            self._forget()  # nobody knows where in the conversation it is
            raise
        if refused:
            told = '; '.join(f'{to}: {code} {text}' for to, (code, text) in refused.items())
            raise RecipientsRefused(
                f'{self._address} refused recipients: {told}', refused=refused, message_id=envelope.message_id
            )

    async def _transaction(self, client: aiosmtplib.SMTP, envelope: Envelope) -> dict[str, tuple[int, str]]:
        """Hand the message over; return the recipients that were refused. With none left, nothing is handed over."""
        options, encoding = [], 'ascii'
        if envelope.smtputf8:
            if not client.supports_extension('smtputf8'):
                raise aiosmtplib.SMTPNotSupported('SMTPUTF8 is not supported by this server')
            options, encoding = ['SMTPUTF8', 'BODY=8BITMIME'], 'utf-8'
        if client.supports_extension('size'):
            options.append(f'SIZE={len(envelope.data)}')
        self._sent += 1
        refused: dict[str, tuple[int, str]] = {}
        try:
            await client.mail(envelope.sender, options=options, encoding=encoding)
            for recipient in envelope.recipients:
                try:
                    await client.rcpt(recipient, encoding=encoding)
                except aiosmtplib.SMTPRecipientRefused as exc:
                    if exc.code == _CLOSING:
                        raise
                    refused[recipient] = (exc.code, exc.message)
            if len(refused) < len(envelope.recipients):
                await self._data(client, envelope.data)
                return refused
        except aiosmtplib.SMTPResponseException:
            await _reset(client)
            raise
        await _reset(client)
        return refused

    async def _data(self, client: aiosmtplib.SMTP, data: bytes) -> None:
        """Send the content piece by piece, so that the event loop goes on, as far as the server does not refuse it."""
        start = await client.execute_command(b'DATA')
        if start.code != _GO_ON:
            raise aiosmtplib.SMTPDataError(start.code, start.message)
        protocol, transport = client.protocol, client.transport
        if protocol is None or transport is None:
            raise aiosmtplib.SMTPServerDisconnected('Connection lost')
        answer = asyncio.create_task(protocol.read_response())
        try:
            await asyncio.sleep(0)  # it listens before anything is written
            complete = await self._write(protocol, transport, data, answer)
            async with asyncio.timeout(self._timeout):
                response = await answer
        finally:
            answer.cancel()
        if not complete:
            client.close()
        if response.code != 250:
            raise aiosmtplib.SMTPDataError(response.code, response.message)

    async def _write(self, protocol: Any, transport: Any, data: bytes, answer: asyncio.Task[Any]) -> bool:
        """Write *data* as fast as the server reads. Return whether all was written before it answered."""
        for piece in _pieces(data):
            if answer.done():
                return False
            protocol.write(piece)
            if transport.get_write_buffer_size() > _WAITING:
                async with asyncio.timeout(self._timeout):
                    while not answer.done() and transport.get_write_buffer_size() > _WAITING:  # noqa: ASYNC110
                        await asyncio.sleep(0.005)
        return True

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and (self._sent >= self._messages_per_connection or not self._client.is_connected):
            await self.rest()
        if self._client is None:
            self._client, self._sent = await self._connect(), 0
        return self._client

    async def _connect(self, *, login: bool = True) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(**self._options)
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await _greet(client)
            if login and self._login is not None:
                await client.login(*self._login)
        except BaseException as exc:
            client.close()
            error = self._connecting_failed(exc)
            if error is None:
                raise
            raise error from exc
        return client

    def _connecting_failed(self, exc: BaseException) -> EmailError | None:
        """Return what an error while connecting means; None if it is none of these."""
        tls = exc if isinstance(exc, ssl.SSLError) else exc.__cause__
        if isinstance(tls, ssl.SSLError):
            return PermanentFailure(f'the SMTP server at {self._address}: TLS failed: {tls}')
        if isinstance(exc, (*_LOST, aiosmtplib.SMTPConnectError)):
            return TemporaryFailure(f'the SMTP server at {self._address} cannot be reached: {exc}')
        if isinstance(exc, aiosmtplib.SMTPResponseException):
            return _failure(exc, self._address, None)
        if isinstance(exc, aiosmtplib.SMTPException):
            return PermanentFailure(f'{self._address}: {exc}')
        return None

    def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


class _Lost(TemporaryFailure):
    """Raised when a connection was lost, or is being closed by the server, in the course of a delivery."""


def _failure(exc: aiosmtplib.SMTPResponseException, address: str, message_id: str | None) -> EmailError:
    temporary = _Lost if exc.code == _CLOSING else TemporaryFailure
    kind = temporary if 400 <= exc.code < 500 else PermanentFailure
    return kind(f'{address} answered {exc.code} {exc.message}', message_id=message_id)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as exc:
        raise ValueError(f'ca_file: {ca_file!r} cannot be read as a file of certificates: {exc}') from exc


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield *data* piece by piece, lines that begin with a dot doubling it, and the end mark (RFC 5321, 4.5.2)."""
    before = b'\r\n'
    for offset in range(0, len(data), _PIECE):
        piece = data[offset : offset + _PIECE]
        yield (before + piece).replace(b'\r\n.', b'\r\n..')[2:]
        before = (before + piece)[-2:]
    yield b'.\r\n' if before == b'\r\n' else b'\r\n.\r\n'


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


async def _reset(client: aiosmtplib.SMTP) -> None:
    """Clear the server's mind of a message that was not handed over; the error that led here tells more."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await client.rset()


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        client.close()
