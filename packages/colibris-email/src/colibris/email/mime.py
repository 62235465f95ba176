"""A message as bytes: ``mixed(alternative(text, related(html, inline…)), attachments…)`` (RFC 2045 to 2047, 2387)."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from email import message
from email.policy import EmailPolicy
from typing import Any

#: The longest line of a header without its end (RFC 5322, 2.1.1), for words that do not fit into 78 letters.
_LONGEST = 998
#: Attachments above this size, in bytes, are encoded piece by piece: the standard library would do it in calls that
#: keep all other threads waiting.
_LARGE = 64 * 1024
#: What is encoded at a time; it makes whole lines of 76 letters.
_PIECE = 57 * 4096


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part of a message: a file, or an image within the HTML if it has a *cid*."""

    filename: str
    content: bytes
    mimetype: str
    cid: str | None = None


class _Policy(EmailPolicy):
    """Lines end in CRLF; ASCII words too long for a line stay whole.

    The standard library would encode them as if they were not ASCII, which destroys URLs (List-Unsubscribe) and
    message ids (References).
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        text = str(value)
        if self.max_line_length != _LONGEST and text.isascii() and any(len(word) > 70 for word in text.split(' ')):
            folded: bytes = self.clone(max_line_length=_LONGEST).fold_binary(name, value)
            return folded
        return super().fold_binary(name, value)


#: RFC 2045, 5.1
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+")

_ASCII = _Policy(linesep='\r\n')
_UTF8 = _Policy(linesep='\r\n', utf8=True)


def media_type(text: str) -> tuple[str, str, dict[str, str]]:
    """Return the two parts and the parameters of a media type. Raises ValueError if *text* is none."""
    kind, *parameters = text.split(';')
    maintype, slash, subtype = kind.strip().partition('/')
    params = dict(_parameter(text, parameter) for parameter in parameters)
    if not slash or not all(map(_TOKEN.fullmatch, (maintype, subtype, *params))):
        raise ValueError(f'mimetype: {text!r} is not a media type such as application/pdf')
    return maintype.lower(), subtype.lower(), params


def _parameter(text: str, parameter: str) -> tuple[str, str]:
    name, equals, value = parameter.strip().partition('=')
    if not equals:
        raise ValueError(f'mimetype: {text!r} has a parameter without a value')
    return name.lower(), value.strip('"')


def build(text: str, html: str | None, parts: list[Attachment], headers: Mapping[str, Any], *, utf8: bool) -> bytes:
    """Return a message as bytes, without the parts of the tree that are not needed.

    *utf8* writes headers in UTF-8 (RFC 6532), for servers that take such messages.
    """
    large: dict[bytes, bytes] = {}
    mime = message.EmailMessage(policy=_ASCII)
    mime.set_content(text, cte=_transfer_encoding(text))
    if html is not None:
        mime.add_alternative(html, subtype='html', cte=_transfer_encoding(html))
        shown = mime.get_payload()[1]  # type: ignore[index]
        for part in parts:
            if part.cid is not None:
                options = {'cid': f'<{part.cid}>', 'disposition': 'inline'}
                _add(shown.add_related, part, large, **options)  # type: ignore[union-attr]
    for part in parts:
        if part.cid is None:
            _add(mime.add_attachment, part, large)
    for name, value in headers.items():
        mime[name] = value
    return _filled(mime.as_bytes(policy=_UTF8 if utf8 else _ASCII), large)


def _add(add: Any, part: Attachment, large: dict[bytes, bytes], **options: str) -> None:
    """Add *part*; a large one leaves a mark in the message, to be replaced in the end."""
    content = part.content
    if len(content) > _LARGE:
        mark = secrets.token_hex(24).encode()  # as base64 it fits into one line
        large[base64.b64encode(mark)] = content
        content = mark
    maintype, subtype, params = media_type(part.mimetype)
    add(content, maintype, subtype, filename=part.filename, params=params, **options)


def _filled(data: bytes, large: Mapping[bytes, bytes]) -> bytes:
    if not large:
        return data
    pieces: list[bytes] = []
    for mark, content in large.items():  # in the order of the tree: images first, then attachments
        before, _, data = data.partition(mark)
        pieces += [before, *_base64(content)]
    return b''.join([*pieces, data])


def _base64(content: bytes) -> list[bytes]:
    lines: list[bytes] = []
    for offset in range(0, len(content), _PIECE):
        encoded = base64.b64encode(content[offset : offset + _PIECE])
        lines.append(b'\r\n'.join([encoded[start : start + 76] for start in range(0, len(encoded), 76)]))
        lines.append(b'\r\n')
    return lines[:-1]


def _transfer_encoding(text: str) -> str:
    """Choose what carries *text* as it is where it can, and reads well where it cannot (RFC 2045, 2.7 and 6)."""
    if text.isascii() and '\0' not in text and all(len(line) <= _LONGEST for line in text.encode().splitlines()):
        return '7bit'
    plain = sum(map(str.isascii, text))
    return 'quoted-printable' if plain >= len(text) * 0.7 else 'base64'
