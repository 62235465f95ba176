"""Messages: their tree of parts, their headers, and what is refused."""

from email import message_from_bytes, policy

import pytest

from colibris.email import EmailMessage

PEOPLE = {'from_': 'Sender <sender@example.com>', 'to': ['"Ünal, Özge" <one@example.com>', 'two@example.com']}


def parsed(message):
    return message_from_bytes(message.seal(None).data, policy=policy.default)


def tree(part):
    return (
        (part.get_content_type(), [tree(child) for child in part.iter_parts()])
        if part.is_multipart()
        else (part.get_content_type())
    )


def test_the_tree_of_parts():
    message = EmailMessage('s', 'text', html='<img src="cid:logo">', **PEOPLE)
    message.attach_inline('logo.png', b'png', cid='logo')
    message.attach('a.pdf', b'pdf')
    message.attach('b.txt', 'text')
    assert tree(parsed(message)) == (
        'multipart/mixed',
        [
            ('multipart/alternative', ['text/plain', ('multipart/related', ['text/html', 'image/png'])]),
            'application/pdf',
            'text/plain',
        ],
    )


@pytest.mark.parametrize(
    ('html', 'inline', 'attached', 'expected'),
    [
        (None, False, False, 'text/plain'),
        ('<p>', False, False, ('multipart/alternative', ['text/plain', 'text/html'])),
        (
            '<p>',
            True,
            False,
            ('multipart/alternative', ['text/plain', ('multipart/related', ['text/html', 'image/png'])]),
        ),
        (None, False, True, ('multipart/mixed', ['text/plain', 'application/zip'])),
    ],
)
def test_no_part_is_there_without_need(html, inline, attached, expected):
    message = EmailMessage('s', 'text', html=html, **PEOPLE)
    if inline:
        message.attach_inline('a.png', b'')
    if attached:
        message.attach('a.zip', b'')
    assert tree(parsed(message)) == expected


def test_contents_arrive():
    message = EmailMessage('Grüße 🐦', 'Zeile 1\nZeile ü\n', html='<p>ü</p>', **PEOPLE)
    cid = message.attach_inline('ü.png', b'\x89PNG')
    message.attach('Übersicht.csv', 'a;ü')
    arrived = parsed(message)
    assert arrived['Subject'] == 'Grüße 🐦'
    assert arrived.get_body(('plain',)).get_content() == 'Zeile 1\r\nZeile ü\r\n'
    assert arrived.get_body(('html',)).get_content().strip() == '<p>ü</p>'
    (attached,) = arrived.iter_attachments()
    assert attached.get_filename() == 'Übersicht.csv'
    assert attached.get_payload(decode=True).decode() == 'a;ü'
    inline = next(part for part in arrived.walk() if part['Content-ID'])
    assert (inline['Content-ID'], inline.get_payload(decode=True)) == (f'<{cid}>', b'\x89PNG')
    assert inline.get_content_disposition() == 'inline'


def test_headers():
    message = EmailMessage(
        's',
        'b',
        cc=['cc@example.com'],
        bcc=['b@example.com'],
        reply_to=['r@example.com'],
        headers={'X-A': '1'},
        **PEOPLE,
    )
    envelope = message.seal(None)
    arrived = message_from_bytes(envelope.data, policy=policy.default)
    assert arrived['From'] == 'Sender <sender@example.com>'
    assert [address.display_name for address in arrived['To'].addresses] == ['Ünal, Özge', '']
    assert (arrived['Cc'], arrived['Reply-To'], arrived['X-A']) == ('cc@example.com', 'r@example.com', '1')
    assert arrived['Bcc'] is None
    assert arrived['Message-ID'] == envelope.message_id
    assert arrived['Message-ID'].endswith('@example.com>')
    assert arrived['Date'].datetime.tzinfo is not None
    assert envelope.recipients == ('one@example.com', 'two@example.com', 'cc@example.com', 'b@example.com')
    assert envelope.sender == 'sender@example.com'


def test_lines_are_short_enough_for_smtp():
    message = EmailMessage('x ' * 2000, 'y' * 50_000, html='<p>' + 'ü' * 50_000, **PEOPLE)
    assert max(map(len, message.seal(None).data.split(b'\r\n'))) <= 998


def test_internationalized_addresses():
    domain = EmailMessage('s', 'b', 'a@example.com', ['info@bücher.example']).seal(None)
    assert (domain.recipients, domain.smtputf8) == (('info@xn--bcher-kva.example',), False)
    local = EmailMessage('s', 'b', 'a@example.com', ['jürgen@example.com']).seal(None)
    assert (local.recipients, local.smtputf8) == (('jürgen@example.com',), True)
    assert 'jürgen@example.com'.encode() in local.data


@pytest.mark.parametrize(
    'arguments',
    [
        {'subject': 'a\nBcc: x@example.com'},
        {'subject': 'a\rb'},
        {'subject': 'a\0'},
        {'subject': 'a\u2028b'},
        {'from_': 'a@example.com\nX: y'},
        {'to': ['Name\r\nX: y <a@example.com>']},
        {'cc': ['a@example.com\n']},
        {'headers': {'X-A': 'a\nb'}},
        {'headers': {'X-A\n': 'b'}},
        {'headers': {'X A': 'b'}},
        {'headers': {'Bcc': 'a@example.com'}},
        {'headers': {'Content-Type': 'text/html'}},
        {'to': ['nobody']},
        {'to': ['a@b@c']},
        {'to': ['@example.com']},
        {'to': ['a b@example.com']},
        {'to': ['a@example.com, b@example.com']},
        {'to': ['Ünal, Özge <a@example.com>']},
        {'to': ['']},
        {'to': ['a@' + 'ü' * 300]},
    ],
)
def test_what_would_break_a_header_is_refused(arguments):
    arguments = {'subject': 's', 'body': 'b', **PEOPLE, **arguments}
    with pytest.raises(ValueError, match=r'\S'):
        EmailMessage(**arguments)


@pytest.mark.parametrize(('filename', 'mimetype'), [('a\nb', None), ('a', 'text/plain\nX: y'), ('a', 'text')])
def test_what_would_break_an_attachment_is_refused(filename, mimetype):
    with pytest.raises(ValueError, match=r'filename|mimetype'):
        EmailMessage('s', 'b', **PEOPLE).attach(filename, b'', mimetype)


def test_a_string_in_place_of_a_list_is_refused():
    with pytest.raises(TypeError, match=r"to=\['a@example\.com'\]"):
        EmailMessage('s', 'b', to='a@example.com')


def test_an_image_needs_html():
    message = EmailMessage('s', 'b', **PEOPLE)
    message.attach_inline('a.png', b'')
    with pytest.raises(ValueError, match='no html'):
        message.seal(None)


@pytest.mark.parametrize(('missing', 'match'), [('from_', 'no sender'), ('to', 'no recipients')])
def test_a_message_needs_a_sender_and_recipients(missing, match):
    arguments = {key: value for key, value in PEOPLE.items() if key != missing}
    with pytest.raises(ValueError, match=match):
        EmailMessage('s', 'b', **arguments).seal(None)


def test_an_attached_message_is_carried_as_a_file():
    message = EmailMessage('s', 'b', **PEOPLE)
    message.attach('a.eml', b'Subject: inner\r\n\r\ntext', 'message/rfc822')
    (part,) = parsed(message).iter_attachments()
    assert (part.get_content_type(), part.get_payload(decode=True)[:8]) == ('application/octet-stream', b'Subject:')
