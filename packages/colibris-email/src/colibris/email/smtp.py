"""Emails by SMTP."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import aiosmtplib

from colibris.email.base import EmailBackend
from colibris.email.errors import EmailError, PermanentFailure, RecipientsRefused, TemporaryFailure
from colibris.email.message import Envelope

logger = logging.getLogger(__name__)

_LOST = (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, ConnectionError, OSError)


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
        if username is not None and not (implicit or use_tls or allow_insecure_auth):
            raise ValueError(
                "username: the password would go over an open line; set 'use_tls': True (STARTTLS) or "
                "'use_ssl': True, or allow it with 'allow_insecure_auth': True"
            )
        if (username is None) != (password is None):
            raise ValueError('username and password belong together: give both or neither')
        if messages_per_connection < 1 or timeout <= 0:
            raise ValueError('messages_per_connection and timeout must be positive')
        self._address = f'{host}:{port or (465 if implicit else 587 if use_tls else 25)}'
        self._options: dict[str, Any] = {
            'hostname': host,
            'port': port or (465 if implicit else 587 if use_tls else 25),
            'use_tls': implicit,
            'start_tls': None if implicit else use_tls,
            'timeout': timeout,
            'tls_context': ssl.create_default_context(cafile=ca_file) if implicit or use_tls else None,
        }
        if implicit:
            del self._options['start_tls']
        self._login = (username, password) if username is not None and password is not None else None
        self._messages_per_connection = messages_per_connection
        self._client: aiosmtplib.SMTP | None = None
        self._sent = 0

    async def check_health(self) -> None:
        """Connect and, if there is a password, log in; on a connection of its own."""
        client = await self._connect()
        await _quit(client)

    async def open(self) -> None:
        await self.check_health()

    async def close(self) -> None:
        await self.rest()

    async def rest(self) -> None:
        client, self._client, self._sent = self._client, None, 0
        if client is not None:
            await _quit(client)

    async def deliver(self, envelope: Envelope) -> None:
        reused = self._client is not None and self._client.is_connected
        try:
            await self._deliver(envelope)
        except _LOST as exc:
            await self._forget()
            if not reused:
                raise TemporaryFailure(
                    f'the connection to {self._address} was lost: {exc}', message_id=envelope.message_id
                ) from exc
            await self._deliver_again(envelope)

    async def _deliver_again(self, envelope: Envelope) -> None:
        """Try once more over a new connection: servers close those that were idle."""
        try:
            await self._deliver(envelope)
        except _LOST as exc:
            await self._forget()
            raise TemporaryFailure(
                f'the connection to {self._address} was lost: {exc}', message_id=envelope.message_id
            ) from exc

    async def _deliver(self, envelope: Envelope) -> None:
        client = await self._connected()
        options = ['SMTPUTF8', 'BODY=8BITMIME'] if envelope.smtputf8 else []
        try:
            refused, _ = await client.sendmail(
                envelope.sender, list(envelope.recipients), envelope.data, mail_options=options
            )
        except aiosmtplib.SMTPRecipientsRefused as exc:
            raise self._refused(envelope, {one.recipient: (one.code, one.message) for one in exc.recipients}) from exc
        except aiosmtplib.SMTPResponseException as exc:
            raise _failure(exc, self._address, envelope.message_id) from exc
        except (aiosmtplib.SMTPNotSupported, ValueError) as exc:
            raise PermanentFailure(f'{self._address}: {exc}', message_id=envelope.message_id) from exc
        finally:
            self._sent += 1
        if refused:
            raise self._refused(envelope, {to: (answer.code, answer.message) for to, answer in refused.items()})

    def _refused(self, envelope: Envelope, refused: dict[str, tuple[int, str]]) -> RecipientsRefused:
        told = '; '.join(f'{to}: {code} {text}' for to, (code, text) in refused.items())
        return RecipientsRefused(
            f'{self._address} refused recipients: {told}', refused=refused, message_id=envelope.message_id
        )

    async def _connected(self) -> aiosmtplib.SMTP:
        if self._client is not None and (self._sent >= self._messages_per_connection or not self._client.is_connected):
            await self.rest()
        if self._client is None:
            self._client, self._sent = await self._connect(), 0
        return self._client

    async def _connect(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(**self._options)
        try:
            await client.connect()
            if self._login is not None:
                await client.login(*self._login)
        except ssl.SSLError as exc:
            client.close()
            raise PermanentFailure(f'{self._address}: TLS failed: {exc}') from exc
        except aiosmtplib.SMTPConnectError as exc:
            client.close()
            if isinstance(exc.__cause__, ssl.SSLError):
                raise PermanentFailure(f'{self._address}: TLS failed: {exc.__cause__}') from exc
            raise TemporaryFailure(f'{self._address} cannot be reached: {exc}') from exc
        except aiosmtplib.SMTPResponseException as exc:
            client.close()
            raise _failure(exc, self._address, None) from exc
        except (*_LOST, aiosmtplib.SMTPException) as exc:
            client.close()
            if isinstance(exc, _LOST):
                raise TemporaryFailure(f'{self._address} cannot be reached: {exc}') from exc
            raise PermanentFailure(f'{self._address}: {exc}') from exc
        except BaseException:
            client.close()
            raise
        return client

    async def _forget(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _failure(exc: aiosmtplib.SMTPResponseException, address: str, message_id: str | None) -> EmailError:
    kind = TemporaryFailure if 400 <= exc.code < 500 else PermanentFailure
    return kind(f'{address} answered {exc.code} {exc.message}', message_id=message_id)


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        client.close()
