"""An email, and its form on the wire."""

from __future__ import annotations

import dataclasses
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email import message, policy
from email.utils import format_datetime, localtime, make_msgid
from typing import Any, Self

from colibris.email.addresses import check_line, parse_address, parse_addresses, spec_of

#: Headers that are made from the other arguments, or by sending.
_MADE = frozenset(
    {'subject', 'from', 'to', 'cc', 'bcc', 'reply-to', 'message-id', 'date', 'mime-version', 'content-type'}
    | {'content-transfer-encoding', 'content-disposition', 'content-id'}
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part of a message: a file, or an image within the HTML if it has a *cid*."""

    filename: str
    content: bytes
    mimetype: str
    cid: str | None = None


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
        self.to = _listed('to', to)
        self.cc = _listed('cc', cc)
        self.bcc = _listed('bcc', bcc)
        self.reply_to = _listed('reply_to', reply_to)
        self.headers = dict(headers or {})
        self.attachments: list[Attachment] = []
        self.check()

    @classmethod
    def from_template(cls, name: str, *, subject: str, context: Mapping[str, Any] | None = None, **kwargs: Any) -> Self:
        """Make a message of the templates ``NAME.txt`` and, if there is one, ``NAME.html``; needs colibris-templates.

        *subject* is a template of its own, in which nothing is escaped. The other arguments are those of the class.
        """
        from colibris import template  # another distribution: only whoever calls this needs it

        variables = dict(context or {})
        try:
            html = template.render(f'{name}.html', **variables)
        except template.TemplateNotFound:
            html = None
        title = template.render_string(f'{{% autoescape false %}}{subject}{{% endautoescape %}}', **variables)
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
        for what in ('body', 'html'):
            text = getattr(self, what)
            if not isinstance(text, str) and (what, text) != ('html', None):
                raise TypeError(f'{what} must be a string, not {type(text).__name__}')
        if self.html is None and any(part.cid is not None for part in self.attachments):
            raise ValueError('attach_inline: the message has no html to show the image in')

    @property
    def size(self) -> int:
        """What the message takes in memory, in bytes, roughly."""
        text = len(self.subject) + len(self.body) + len(self.html or '')
        return 1000 + 4 * text + 2 * sum(len(part.content) for part in self.attachments)

    def snapshot(self) -> EmailMessage:
        """Return a copy that later changes to this message do not reach."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        for name in ('to', 'cc', 'bcc', 'reply_to', 'attachments'):
            setattr(copy, name, list(getattr(self, name)))
        copy.headers = dict(self.headers)
        return copy

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
        mime = self._mime()
        mime['Subject'] = self.subject
        mime['From'] = sender
        for what, header in (('to', 'To'), ('cc', 'Cc')):
            if people[what]:
                mime[header] = people[what]
        if self.reply_to:
            mime['Reply-To'] = parse_addresses('reply_to', self.reply_to)
        mime['Date'] = format_datetime(localtime())
        mime['Message-ID'] = made
        for name, value in self.headers.items():
            mime[name] = value
        smtputf8 = not all(address.isascii() for address in (spec_of(sender), *recipients))
        rules = policy.SMTPUTF8 if smtputf8 else policy.SMTP
        return Envelope(made, spec_of(sender), recipients, mime.as_bytes(policy=rules), smtputf8, self)

    def _mime(self) -> message.EmailMessage:
        """Build ``mixed(alternative(text, related(html, inline…)), attachments…)``, without what is not needed."""
        mime = message.EmailMessage(policy=policy.SMTP)
        mime.set_content(self.body, cte=_transfer_encoding(self.body))
        if self.html is not None:
            mime.add_alternative(self.html, subtype='html', cte=_transfer_encoding(self.html))
            html = mime.get_payload()[1]  # type: ignore[index]
            for part in self.attachments:
                if part.cid is not None:
                    maintype, _, subtype = part.mimetype.partition('/')
                    html.add_related(  # type: ignore[union-attr]
                        part.content,
                        maintype,
                        subtype,
                        cid=f'<{part.cid}>',
                        filename=part.filename,
                        disposition='inline',
                    )
        for part in self.attachments:
            if part.cid is None:
                maintype, _, subtype = part.mimetype.partition('/')
                mime.add_attachment(part.content, maintype, subtype, filename=part.filename)
        return mime

    def __repr__(self) -> str:
        return f'<EmailMessage {self.subject!r} to {len(self.to) + len(self.cc) + len(self.bcc)} recipients>'


def _listed(what: str, addresses: Iterable[str]) -> list[str]:
    if isinstance(addresses, (str, bytes)):
        raise TypeError(f'{what} must be a list of addresses, not a string: {what}=[{addresses!r}]')
    return list(addresses)


def _attachment(filename: str, content: bytes | str, mimetype: str | None, cid: str | None = None) -> Attachment:
    check_line('filename', filename)
    if isinstance(content, str):
        content = content.encode()
    elif not isinstance(content, (bytes, bytearray, memoryview)):
        raise TypeError(f'content must be bytes or text, not {type(content).__name__}')
    kind = mimetype or mimetypes.guess_type(filename)[0] or 'application/octet-stream'
    maintype, slash, subtype = check_line('mimetype', kind).partition('/')
    if not slash or not maintype or not subtype or ' ' in kind:
        raise ValueError(f'mimetype: {kind!r} is not a media type such as application/pdf')
    if maintype in ('multipart', 'message'):
        kind = 'application/octet-stream'  # parts of parts are for mail readers to make, not for us
    return Attachment(filename, bytes(content), kind, cid)


def _transfer_encoding(text: str) -> str:
    """Choose what carries *text* as it is where it can, and reads well where it cannot (RFC 2045)."""
    if text.isascii() and all(len(line) <= 998 for line in text.splitlines()):
        return '7bit'
    plain = sum(character.isascii() for character in text)
    return 'quoted-printable' if plain >= len(text) * 0.7 else 'base64'
