"""The façade: the examples of the documentation, transactions, and tests of projects."""

import asyncio

import pytest

from colibris import email, plugins, subsystems, transactions
from colibris.conf import ImproperlyConfigured, settings
from colibris.email.console import ConsoleBackend
from colibris.email.smtp import SMTPBackend
from colibris.email.subsystem import subsystem


@pytest.fixture
async def opened():
    """Be open as in the tests of a project."""
    with settings.override(EMAIL={'backend': 'console', 'default_from': 'myservice@example.com'}):
        async with subsystem.test_session():
            with subsystems.adopt([subsystem]):
                async with subsystem.test_case():
                    yield


@pytest.mark.usefixtures('opened')
async def test_the_examples_of_the_documentation(mailbox, tmp_path):
    msg = email.EmailMessage('My Subject', 'my body', to=['email@example.com'])
    (tmp_path / 'myfile.pdf').write_bytes(b'%PDF')
    with open(tmp_path / 'myfile.pdf', 'rb') as f:  # noqa: ASYNC230  # to the letter
        msg.attach('myfile.pdf', f.read())
    email.send(msg)
    html = email.EmailMessage('My Subject', 'my text body', html='<p>My HTML content</p>', to=['email@example.com'])
    await email.deliver(html)
    assert [envelope.sender for envelope in mailbox] == ['myservice@example.com'] * 2
    assert mailbox[0].message.attachments[0].filename == 'myfile.pdf'
    assert b'My HTML content' in mailbox[1].data


@pytest.mark.usefixtures('opened')
async def test_within_a_transaction_sending_waits_for_the_commit(mailbox):
    waiting = []
    token = transactions.hooks.set(waiting)
    email.send(email.EmailMessage('s', 'b', to=['a@example.com']))
    transactions.hooks.reset(token)
    assert mailbox == []
    await transactions.run_hooks(waiting)
    assert len(mailbox) == 1


async def test_a_running_service_sends_in_the_background(start, until):
    inbox, server = start()
    setting = {'backend': 'smtp', 'host': '127.0.0.1', 'port': server.port, 'default_from': 'a@example.com'}
    with settings.override(EMAIL=setting):
        async with subsystems.running():
            email.send(email.EmailMessage('s', 'b', to=['b@example.com']))
            assert inbox.messages == []
            await until(lambda: inbox.messages)
            email.send(email.EmailMessage('last', 'b', to=['b@example.com']))
    assert len(inbox.messages) == 2


async def test_a_server_that_was_away_gets_what_was_sent_meanwhile(start, until):
    _, server = start()
    setting = {
        'backend': 'smtp',
        'host': '127.0.0.1',
        'port': server.port,
        'default_from': 'a@example.com',
        'retry_delays': (0.2,) * 20,
        'timeout': 2,
    }
    with settings.override(EMAIL=setting):
        async with subsystems.running():
            await asyncio.to_thread(server.stop)
            email.send(email.EmailMessage('s', 'b', to=['b@example.com']))
            with pytest.raises(email.TemporaryFailure):
                await subsystem.check_health()
            again, _ = await asyncio.to_thread(start, port=server.port)
            await until(lambda: again.messages)
            await subsystem.check_health()


@pytest.mark.parametrize(
    ('backend', 'target'),
    [
        ('console', ConsoleBackend),
        ('colibris.email.console.ConsoleBackend', ConsoleBackend),
        ('smtp', SMTPBackend),
        ('colibris.email.smtp.SMTPBackend', SMTPBackend),
    ],
)
def test_backends_are_found_by_alias_and_by_path(backend, target):
    with settings.override(EMAIL={'backend': backend, 'default_from': 'a@example.com'}):
        assert type(subsystem.configure()) is target


def test_the_smtp_example_of_the_documentation():
    setting = {
        'backend': 'colibris.email.smtp.SMTPBackend',
        'host': 'smtp.gmail.com',
        'port': 587,
        'use_tls': True,
        'username': 'user@gmail.com',
        'password': 'yourpassword',
    }
    with settings.override(EMAIL=setting):
        assert isinstance(subsystem.configure(), SMTPBackend)


def test_an_unknown_option_names_the_setting_and_the_key():
    with settings.override(EMAIL={'backend': 'smtp', 'hots': 'x'}):
        with pytest.raises(plugins.PluginError, match=r'EMAIL.*hots.*host'):
            subsystem.configure()


async def test_a_wrong_default_from_is_an_error_at_start_up():
    with settings.override(EMAIL={'backend': 'console', 'default_from': 'nobody'}):
        with pytest.raises(ImproperlyConfigured, match="EMAIL: default_from: 'nobody' is not an email address"):
            await subsystem.open()


def test_without_a_setting_email_says_what_to_set():
    with settings.override(), pytest.raises(subsystems.NotConfigured, match=r'set EMAIL in settings\.py'):
        email.send(email.EmailMessage('s', 'b', 'a@example.com', ['b@example.com']))
