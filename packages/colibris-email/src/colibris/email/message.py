"""An email, and its form on the wire."""

from __future__ import annotations

import dataclasses
import mimetypes
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import format_datetime, localtime, make_msgid
from typing import Any, Self

from colibris.email import mime
from colibris.email.addresses import check_line, check_text, listed, parse_address, parse_addresses, spec_of
from colibris.email.mime import Attachment

#: What `EmailMessage.freeze` gives.
Frozen = tuple[Any, ...]

#: Headers that are made from the other arguments, or by sending.
_MADE = frozenset(
    {'subject', 'from', 'to', 'cc', 'bcc', 'reply-to', 'message-id', 'date', 'mime-version', 'content-type'}
    | {'content-transfer-encoding', 'content-disposition', 'content-id'}
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message made ready: what a backend delivers."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    data: bytes
    #: Whether an address has letters beyond ASCII before the @, which the server must be able to take (RFC 6531).
    smtputf8: bool
    message: EmailMessage

    def to(self, recipients: Sequence[str]) -> Envelope:
        """Return the same message for only those *recipients*."""
        return dataclasses.replace(self, recipients=tuple(recipients))


class EmailMessage:
    """An email: a text, and if there is one the same as HTML, with attachments.

    Addresses are ``user@host`` or ``Name <user@host>``. Raises ValueError for what is none, and for newlines in any
    header.
    """

    def __init__(
        self,
        subject: str,
        body: str,
        from_: str | None = None,
        to: Iterable[str] = (),
        cc: Iterable[str] = (),
        bcc: Iterable[str] = (),
        reply_to: Iterable[str] = (),
        html: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.subject = check_line('subject', subject)
        self.body = body
        self.html = html
        self.from_ = from_
        self.to = listed('to', to)
        self.cc = listed('cc', cc)
        self.bcc = listed('bcc', bcc)
        self.reply_to = listed('reply_to', reply_to)
        self.headers = dict(headers or {})
        self.attachments: list[Attachment] = []
        self.check()

    @classmethod
    def from_template(cls, name: str, *, subject: str, context: Mapping[str, Any] | None = None, **kwargs: Any) -> Self:
        """Make a message of the templates ``NAME.txt`` and, if there is one, ``NAME.html``; needs colibris-templates.

        *subject* is a template of its own, in which nothing is escaped. The other arguments are those of the class.
        """
        try:  # another distribution: only whoever calls this needs it
            from colibris import template
            from colibris.template.subsystem import subsystem as templates
        except ImportError as exc:
            raise ImportError('from_template needs another package: pip install colibris-templates') from exc
        variables = dict(context or {})
        html = None
        try:
            html = template.render(f'{name}.html', **variables)
        except template.TemplateNotFound as exc:
            if exc.name != f'{name}.html':  # it is there, and includes what is not
                raise
        title = templates.backend.render_string(subject, variables, escape=False)
        return cls(title, template.render(f'{name}.txt', **variables), html=html, **kwargs)

    def attach(self, filename: str, content: bytes | str, mimetype: str | None = None) -> None:
        """Add a file; its media type is guessed from the name unless it is given."""
        self.attachments.append(_attachment(filename, content, mimetype))

    def attach_inline(
        self, filename: str, content: bytes, mimetype: str | None = None, *, cid: str | None = None
    ) -> str:
        """Add an image to the HTML and return its content id: ``<img src="cid:…">``."""
        made = check_line('cid', cid) if cid is not None else make_msgid(domain='inline')[1:-1]
        self.attachments.append(_attachment(filename, content, mimetype, made))
        return made

    def check(self) -> None:
        """Raise ValueError or TypeError for what no message can have."""
        check_line('subject', self.subject)
        if self.from_ is not None:
            parse_address('from_', self.from_)
        for what in ('to', 'cc', 'bcc', 'reply_to'):
            parse_addresses(what, getattr(self, what))
        for name, value in self.headers.items():
            if not name.isascii() or not name.isprintable() or not name or set(name) & set(': '):
                raise ValueError(f'headers: {name!r} is not the name of a header')
            if name.lower() in _MADE:
                raise ValueError(f'headers: {name} is made from the other arguments; do not give it')
            check_line(f'headers: {name}', value)
        check_text('body', self.body)
        if self.html is not None:
            check_text('html', self.html)
        if self.html is None and any(part.cid is not None for part in self.attachments):
            raise ValueError('attach_inline: the message has no html to show the image in')

    @property
    def size(self) -> int:
        """What the message takes in memory, in bytes."""
        people = (*self.to, *self.cc, *self.bcc, *self.reply_to)
        texts = (self.subject, self.body, self.html, self.from_, *people, *self.headers.values())
        return 1000 + sum(map(sys.getsizeof, texts)) + sum(1000 + len(part.content) for part in self.attachments)

    def freeze(self) -> Frozen:
        """Return the message as a tuple that later changes do not reach.

        It holds nothing but tuples, strings and bytes, which the garbage collector need not look through.
        """
        people = (tuple(self.to), tuple(self.cc), tuple(self.bcc), tuple(self.reply_to))
        parts = tuple((part.filename, part.content, part.mimetype, part.cid) for part in self.attachments)
        return (self.subject, self.body, self.from_, *people, self.html, tuple(self.headers.items()), parts)

    @staticmethod
    def thaw(frozen: Frozen) -> EmailMessage:
        """Return the message that `freeze` made *frozen* of."""
        thawed = object.__new__(EmailMessage)
        thawed.subject, thawed.body, thawed.from_, *people, thawed.html, headers, parts = frozen
        thawed.to, thawed.cc, thawed.bcc, thawed.reply_to = map(list, people)
        thawed.headers = dict(headers)
        thawed.attachments = [Attachment(*part) for part in parts]
        return thawed

    def seal(self, default_from: str | None, message_id: str | None = None) -> Envelope:
        """Return the message ready for delivery. Raises ValueError if it has no sender or no recipient."""
        self.check()
        given = self.from_ or default_from
        if given is None:
            raise ValueError("the message has no sender: give from_, or set 'default_from' in EMAIL")
        sender = parse_address('from_', given)
        people = {what: parse_addresses(what, getattr(self, what)) for what in ('to', 'cc', 'bcc')}
        recipients = tuple(dict.fromkeys(spec_of(person) for group in people.values() for person in group))
        if not recipients:
            raise ValueError('the message has no recipients: give to, cc or bcc')
        made = message_id or make_msgid(domain=sender.domain)
        replies = parse_addresses('reply_to', self.reply_to)
        spoken = (spec_of(sender), *recipients, *map(spec_of, replies))
        utf8 = not all(address.isascii() for address in spoken)
        headers = {
            'Subject': self.subject,
            'From': sender,
            **{header: people[header.lower()] for header in ('To', 'Cc') if people[header.lower()]},
            **({'Reply-To': replies} if replies else {}),
            'Date': format_datetime(localtime()),
            'Message-ID': made,
            **self.headers,
        }
        data = mime.build(self.body, self.html, self.attachments, headers, utf8=utf8)
        return Envelope(made, spec_of(sender), recipients, data, utf8, self)

    def __repr__(self) -> str:
        return f'<EmailMessage {self.subject!r} to {len(self.to) + len(self.cc) + len(self.bcc)} recipients>'


def _attachment(filename: str, content: bytes | str, mimetype: str | None, cid: str | None = None) -> Attachment:
    check_line('filename', filename)
    is_text = isinstance(content, str)
    if isinstance(content, str):
        content = check_text('content', content).encode()
    elif not isinstance(content, (bytes, bytearray, memoryview)):
        raise TypeError(f'content must be bytes or text, not {type(content).__name__}')
    kind = check_line('mimetype', mimetype or mimetypes.guess_type(filename)[0] or 'application/octet-stream')
    maintype, _, params = mime.media_type(kind)
    if maintype in ('multipart', 'message'):
        kind = 'application/octet-stream'  # parts of parts are for mail readers to make, not for us
    elif maintype == 'text' and is_text and 'charset' not in params:
        kind += '; charset=utf-8'
    return Attachment(filename, bytes(content), kind, cid)
