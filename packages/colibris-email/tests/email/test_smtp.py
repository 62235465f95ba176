"""SMTP against a real server: the contract, TLS, authentication, refusals and lost connections."""

import pytest

from colibris.email import PermanentFailure, RecipientsRefused, TemporaryFailure
from colibris.email.smtp import SMTPBackend, _pieces
from colibris.email.testing import EmailBackendSuite, sealed


class TestSMTPBackend(EmailBackendSuite):
    @pytest.fixture
    async def backend(self, start):
        self.inbox, server = start()
        return SMTPBackend(host='127.0.0.1', port=server.port, timeout=5)

    async def received(self, backend):
        return self.inbox.messages


@pytest.fixture
def smtp(start):
    """Return a server's inbox and a backend for it."""

    def make(server_options=None, **options):
        inbox, server = start(**(server_options or {}))
        return inbox, SMTPBackend(host='127.0.0.1', port=server.port, **{'timeout': 5, **options})

    return make


async def test_one_connection_serves_several_messages(smtp):
    inbox, backend = smtp()
    for _ in range(5):
        await backend.deliver(sealed())
    assert (len(inbox.messages), inbox.connections) == (5, 1)
    await backend.close()


async def test_a_connection_is_given_up_after_so_many_messages(smtp):
    inbox, backend = smtp(messages_per_connection=2)
    for _ in range(5):
        await backend.deliver(sealed())
    assert (len(inbox.messages), inbox.connections) == (5, 3)
    await backend.close()


async def test_starttls(smtp, certificates):
    ca_file, context = certificates
    inbox, backend = smtp(
        {'tls_context': context, 'require_starttls': True, 'authenticator': None},
        use_tls=True,
        ca_file=ca_file,
    )
    await backend.deliver(sealed())
    assert len(inbox.messages) == 1
    await backend.close()


async def test_use_tls_sends_nothing_to_a_server_without_tls(smtp):
    inbox, backend = smtp(use_tls=True)
    with pytest.raises(PermanentFailure):
        await backend.deliver(sealed())
    assert inbox.messages == []


async def test_a_certificate_of_a_stranger_is_refused(smtp, certificates):
    inbox, backend = smtp({'tls_context': certificates[1]}, use_tls=True)
    with pytest.raises(PermanentFailure, match='TLS failed'):
        await backend.deliver(sealed())
    assert inbox.messages == []


async def test_implicit_tls(smtp, certificates):
    ca_file, context = certificates
    inbox, backend = smtp({'ssl_context': context}, use_ssl=True, ca_file=ca_file)
    await backend.deliver(sealed())
    assert len(inbox.messages) == 1
    await backend.close()


async def test_authentication(start, certificates):
    ca_file, context = certificates
    inbox, server = start(auth=True, tls_context=context, require_starttls=True)
    options = {'host': '127.0.0.1', 'port': server.port, 'use_tls': True, 'ca_file': ca_file, 'timeout': 5}
    backend = SMTPBackend(username='user', password='right', **options)
    await backend.deliver(sealed())
    assert (len(inbox.messages), inbox.logins) == (1, [(b'user', b'right')])
    await backend.close()
    with pytest.raises(PermanentFailure, match='535') as raised:
        await SMTPBackend(username='user', password='wrong', **options).deliver(sealed())
    assert 'wrong' not in str(raised.value)


def test_no_password_goes_over_an_open_line():
    with pytest.raises(ValueError, match='open line'):
        SMTPBackend(username='user', password='secret')
    SMTPBackend(username='user', password='secret', allow_insecure_auth=True)
    SMTPBackend(username='user', password='secret', port=465)


@pytest.mark.parametrize(('answer', 'error'), [('451 later', TemporaryFailure), ('554 never', PermanentFailure)])
async def test_an_answer_decides_whether_to_try_again(smtp, answer, error):
    inbox, backend = smtp()
    inbox.faults.append(answer)
    with pytest.raises(error, match=answer) as raised:
        await backend.deliver(sealed())
    assert raised.value.message_id
    await backend.deliver(sealed())
    assert len(inbox.messages) == 1
    await backend.close()


async def test_one_bad_recipient_among_good_ones(smtp):
    inbox, backend = smtp()
    inbox.refuse = {'bad@example.com': '550 unknown', 'busy@example.com': '451 later'}
    with pytest.raises(RecipientsRefused, match=r'bad@example\.com: 550') as raised:
        await backend.deliver(sealed(to=['good@example.com', 'bad@example.com', 'busy@example.com']))
    assert inbox.recipients == [['good@example.com']]
    assert raised.value.temporary == ('busy@example.com',)
    assert raised.value.refused['bad@example.com'] == (550, 'unknown')
    await backend.close()


async def test_all_recipients_refused(smtp):
    inbox, backend = smtp()
    inbox.refuse = {'bad@example.com': '550 unknown'}
    with pytest.raises(RecipientsRefused):
        await backend.deliver(sealed(to=['bad@example.com']))
    await backend.deliver(sealed())
    assert len(inbox.messages) == 1
    await backend.close()


async def test_an_idle_connection_that_was_closed_is_made_again(smtp):
    inbox, backend = smtp()
    await backend.deliver(sealed())
    backend._client.transport.abort()
    await backend.deliver(sealed())
    assert (len(inbox.messages), inbox.connections) == (2, 2)
    await backend.close()


async def test_a_connection_cut_in_the_middle_of_data(smtp):
    inbox, backend = smtp()
    inbox.cut_data = 1
    with pytest.raises(TemporaryFailure, match='lost'):
        await backend.deliver(sealed())
    await backend.deliver(sealed())
    inbox.cut_data = 1  # on a connection that was used before, it tries once more by itself
    await backend.deliver(sealed())
    assert len(inbox.messages) == 2
    inbox.cut_data = 2
    with pytest.raises(TemporaryFailure, match='lost'):
        await backend.deliver(sealed())
    await backend.close()


async def test_an_unreachable_server(smtp):
    backend = SMTPBackend(host='127.0.0.1', port=1, timeout=2)
    for operation in (backend.open(), backend.check_health(), backend.deliver(sealed())):
        with pytest.raises(TemporaryFailure, match=r'127\.0\.0\.1:1 cannot be reached'):
            await operation


async def test_letters_beyond_ascii_before_the_at(smtp):
    inbox, backend = smtp({'enable_SMTPUTF8': True})
    await backend.deliver(sealed(to=['jürgen@example.com']))
    assert inbox.recipients == [['jürgen@example.com']]
    await backend.close()
    inbox, backend = smtp({'enable_SMTPUTF8': False})
    with pytest.raises(PermanentFailure, match='SMTPUTF8'):
        await backend.deliver(sealed(to=['jürgen@example.com']))
    await backend.close()


async def test_a_server_that_closes_an_idle_connection_with_421_is_connected_to_again(smtp):
    inbox, backend = smtp()
    await backend.deliver(sealed())
    inbox.faults.append('421 too long idle')
    await backend.deliver(sealed())
    assert (len(inbox.messages), inbox.connections) == (2, 2)
    inbox.faults += ['421 going down'] * 2
    with pytest.raises(TemporaryFailure, match='421'):
        await backend.deliver(sealed())
    await backend.close()


async def test_a_message_that_is_too_large_is_refused_before_it_is_sent(smtp):
    inbox, backend = smtp({'data_size_limit': 10_000})
    with pytest.raises(PermanentFailure, match='552'):
        await backend.deliver(sealed(body='x' * 20_000))
    await backend.deliver(sealed())
    assert len(inbox.messages) == 1
    await backend.close()


async def test_health_needs_no_login(start, certificates):
    ca_file, context = certificates
    inbox, server = start(auth=True, tls_context=context, require_starttls=True)
    options = {'host': '127.0.0.1', 'port': server.port, 'use_tls': True, 'ca_file': ca_file, 'timeout': 5}
    backend = SMTPBackend(username='user', password='right', **options)
    await backend.open()
    for _ in range(3):
        await backend.check_health()
    assert len(inbox.logins) == 1
    with pytest.raises(PermanentFailure, match='535'):
        await SMTPBackend(username='user', password='wrong', **options).open()
    await backend.close()


def test_empty_credentials_are_none():
    SMTPBackend(username='', password='')
    with pytest.raises(ValueError, match='belong together'):
        SMTPBackend(username='user', password='', use_tls=True)


def test_a_wrong_file_of_authorities_is_named():
    with pytest.raises(ValueError, match='ca_file'):
        SMTPBackend(use_tls=True, ca_file='/nowhere')


@pytest.mark.parametrize('size', [0, 1, 65_533, 65_534, 65_535, 65_536, 65_537, 131_072])
def test_lines_that_begin_with_a_dot_double_it_wherever_pieces_end(size):
    data = b'x' * size + b'\r\n.\r\n..a\r\nb.\r\n'
    assert b''.join(_pieces(data)) == data.replace(b'\r\n.', b'\r\n..') + b'.\r\n'
    assert b''.join(_pieces(b'.' + data)).startswith(b'..')
