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


def headers_of(message):
    head, _, _ = message.seal(None).data.partition(b'\r\n\r\n')
    return head.decode()


def test_long_words_of_headers_stay_whole():
    ids = ' '.join(f'<{"a" * 90}{number}@example.com>' for number in range(3))
    url = f'<https://example.com/{"x" * 200}>'
    head = headers_of(EmailMessage('s', 'b', headers={'References': ids, 'List-Unsubscribe': url}, **PEOPLE))
    assert f'References: {ids}' in head
    assert f'List-Unsubscribe: {url}' in head
    assert max(map(len, head.split('\r\n'))) <= 998


def test_encoded_words_are_short_enough():
    message = EmailMessage('Grüße ' * 100, 'b', 'a@example.com', [f'"Ünal, {n}" <u{n}@example.com>' for n in range(50)])
    head = headers_of(message)
    assert max(map(len, head.split('\r\n'))) <= 78
    arrived = parsed(message)
    assert arrived['Subject'] == ('Grüße ' * 100)
    assert [address.addr_spec for address in arrived['To'].addresses] == [f'u{n}@example.com' for n in range(50)]


@pytest.mark.parametrize(
    'arguments',
    [{'reply_to': ['jürgen@example.com']}, {'from_': 'jürgen@example.com'}, {'bcc': ['jürgen@example.com']}],
)
def test_any_address_beyond_ascii_makes_the_headers_utf8(arguments):
    envelope = EmailMessage('s', 'b', **{**PEOPLE, **arguments}).seal(None)
    assert envelope.smtputf8
    if 'bcc' not in arguments:
        assert 'jürgen@example.com'.encode() in envelope.data


def test_domains_are_encoded_by_idna_2008():
    message = EmailMessage('s', 'b', 'a@straße.example', ['b@Bücher.Example'])
    assert (message.seal(None).sender, message.seal(None).recipients) == (
        'a@xn--strae-oqa.example',
        ('b@xn--bcher-kva.example',),
    )


@pytest.mark.parametrize('size', [65_536, 65_537, 57 * 4096, 57 * 4096 + 1, 3_000_000])
def test_large_attachments_arrive(size):
    contents = [bytes(range(256)) * (size // 256 + 1), b'\xff' * size, b'small']
    message = EmailMessage('s', 'b', html='<p>', **PEOPLE)
    message.attach_inline('a.png', contents[0])
    message.attach('b.bin', contents[1])
    message.attach('c.txt', contents[2])
    data = message.seal(None).data
    arrived = message_from_bytes(data, policy=policy.default)
    inline = next(part for part in arrived.walk() if part['Content-ID'])
    attached = [part.get_payload(decode=True) for part in arrived.iter_attachments()]
    assert [inline.get_payload(decode=True), *attached] == contents
    assert max(map(len, data.split(b'\r\n'))) <= 78
    assert data.count(b'\n') == data.count(b'\r\n') == data.count(b'\r')


@pytest.mark.parametrize('body', ['a\nb\rc\r\nd', '.\n..\n', 'x' * 5000, 'ü' * 5000, '\0', ' ', 'From me\n'])
def test_any_text_arrives(body):
    message = EmailMessage('s', body, **PEOPLE)
    data = message.seal(None).data
    assert data.count(b'\n') == data.count(b'\r\n') == data.count(b'\r')
    assert b'\0' not in data
    arrived = parsed(message).get_content().splitlines()
    assert arrived == body.splitlines()


def test_text_that_is_attached_says_how_it_is_encoded():
    message = EmailMessage('s', 'b', **PEOPLE)
    message.attach('a.csv', 'a;ü')
    message.attach('b.csv', 'ü'.encode('latin-1'), 'text/csv; charset="iso-8859-1"')
    first, second = parsed(message).iter_attachments()
    assert (first.get_content(), first.get_content_charset()) == ('a;ü', 'utf-8')
    assert second.get_content() == 'ü'


@pytest.mark.parametrize(
    'arguments', [{'subject': '\ud800'}, {'body': '\ud800'}, {'html': '\ud800'}, {'headers': {'X-A': '\ud800'}}]
)
def test_half_surrogate_pairs_are_refused_at_once(arguments):
    with pytest.raises(ValueError, match='surrogate'):
        EmailMessage(**{'subject': 's', 'body': 'b', **PEOPLE, **arguments})


def test_a_frozen_message_thaws_as_it_was():
    message = EmailMessage('s', 'b', cc=['c@example.com'], html='<p>', headers={'X-A': '1'}, **PEOPLE)
    message.attach('a', b'b')
    thawed = EmailMessage.thaw(message.freeze())
    assert vars(thawed) == vars(message)
    assert thawed.to is not message.to
