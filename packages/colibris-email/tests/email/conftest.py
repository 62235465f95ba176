"""A real SMTP server for the tests, with faults on demand."""

import asyncio
import contextlib
import socket
import ssl

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from colibris.email.pytest_plugin import mailbox  # noqa: F401  # a project's tests find it by themselves


class Inbox:
    """What a server has received, and the faults that it was told to have."""

    def __init__(self):
        self.messages = []
        self.recipients = []
        self.connections = 0
        self.faults = []
        self.refuse = {}
        self.cut_data = 0
        self.logins = []

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        if self.faults:
            return self.faults.pop(0)
        self.messages.append(envelope.content)
        self.recipients.append(list(envelope.rcpt_tos))
        return '250 OK'

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b'right', handled=False)


class CuttingSMTP(SMTP):
    """Cuts the connection in the middle of DATA as often as its inbox says."""

    async def smtp_DATA(self, arg):
        if self.event_handler.cut_data:
            self.event_handler.cut_data -= 1
            await self.push('354 go on')
            await self._reader.readline()
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


class Server(Controller):
    def __init__(self, inbox, **options):
        super().__init__(inbox, hostname='127.0.0.1', port=options.pop('port', 0) or free_port(), **options)

    def factory(self):
        return CuttingSMTP(self.handler, **self.SMTP_kwargs)


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


@pytest.fixture
def certificates(tmp_path):
    """Return the file of an authority, and a server's context with a certificate of it for localhost."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert('localhost', '127.0.0.1').configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / 'ca.pem')
    return str(tmp_path / 'ca.pem'), context


@pytest.fixture
def start():
    """Start a server: ``inbox, server = start(...)``."""
    servers = []

    def make(*, auth=False, **options):
        inbox = Inbox()
        if auth:
            options |= {'authenticator': inbox.authenticate, 'auth_required': True}
        server = Server(inbox, **options)
        server.start()
        servers.append(server)
        return inbox, server

    yield make
    for server in servers:
        with contextlib.suppress(Exception):  # a test may have stopped it
            server.stop(no_assert=True)


async def until(condition, seconds=10):
    """Wait until *condition* holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # the condition is anything
            await asyncio.sleep(0.01)


@pytest.fixture(name='until')
def until_fixture():
    return until
